"""Backbones: local descriptors of an image on a grid, and the weights that they start from."""
