"""The network: backbone, pooling, whitening; its file, its export, and describing many images
with it.
"""
