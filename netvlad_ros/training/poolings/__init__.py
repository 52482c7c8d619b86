"""Ways to pool a grid of local descriptors into one unit vector, a class a file."""
