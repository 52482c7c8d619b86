"""Targeted-mismatch attacks on a map, and how often they succeed."""
