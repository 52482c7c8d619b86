"""The losses, one in each file."""
