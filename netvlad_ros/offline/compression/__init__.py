"""What smaller descriptors cost in recall: fewer dimensions, whitening, coarser numbers."""
