"""Bundles made from bundles: fewer dimensions, half precision, and the check that both answer
alike.
"""
