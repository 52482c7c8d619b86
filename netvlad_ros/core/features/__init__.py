"""Local features of an image: SIFT, ORB or an ONNX bundle, and how they are matched."""
