"""Arrays in, numbers out: recall, precision, pose errors, NEES, average precision, bootstraps."""
