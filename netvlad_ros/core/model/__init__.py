"""The model bundle: the ONNX network that answers a place descriptor, its metadata, checks and
identity.
"""
