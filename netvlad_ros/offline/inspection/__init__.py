"""netvlad inspect: which regions of an image, and which clusters, decide its descriptor."""
