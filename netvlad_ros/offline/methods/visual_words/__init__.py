"""Methods over local features, assigned to visual words."""
