"""Public benchmarks of image retrieval: Oxford, Paris, Holidays."""
