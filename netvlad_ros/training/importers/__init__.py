"""Public models become networks of ours."""
