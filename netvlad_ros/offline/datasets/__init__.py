"""Readers of training images: one file for each dataset layout."""
