"""What is fitted, not trained: clusters, whitening, similarity calibration."""
