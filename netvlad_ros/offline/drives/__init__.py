"""Recorded drives: a folder or a bag as one list of images with poses."""
