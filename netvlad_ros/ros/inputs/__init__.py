"""Inputs of the node: images, camera_info, odometry, TF."""
