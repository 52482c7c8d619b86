"""Classic methods of place recognition behind one interface: images in, ranked places out."""
