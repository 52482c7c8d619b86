"""Outputs of the node: topics, pictures, fix events, statistics."""
