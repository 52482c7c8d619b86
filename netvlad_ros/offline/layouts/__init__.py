"""Readers of training images, one file a layout; open_place_images chooses among them."""
