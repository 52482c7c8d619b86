"""Ways to find a place by an image, all behind one interface: images in, ranked places out."""
