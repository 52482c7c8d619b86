"""What the node says: topics, pictures, fix events, statistics."""
