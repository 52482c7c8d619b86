"""Public benchmarks of place recognition, read in the layouts that they are handed out in."""
