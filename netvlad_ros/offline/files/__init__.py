"""Files from elsewhere, read safely: CSV, lists of images, NumPy, MATLAB, pickles."""
