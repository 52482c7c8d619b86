"""Training images: which show the same place, how they are split, augmented and batched."""
