"""Public models, read into networks that export as bundles: one layout a file."""
