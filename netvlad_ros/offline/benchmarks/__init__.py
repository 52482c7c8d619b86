"""Public benchmarks of place recognition, read in the layouts in which they are published."""
