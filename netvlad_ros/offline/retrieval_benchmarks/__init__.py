"""Public benchmarks of image retrieval, read in the layouts that they are handed out in."""
