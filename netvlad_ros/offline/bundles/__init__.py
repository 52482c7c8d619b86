"""Bundles made from bundles: fewer dimensions, half precision, and a check that both agree."""
