"""Local descriptors (N, C, H, W) to one unit vector."""
