"""Command-line options that several commands share, or that are too many for one file."""
