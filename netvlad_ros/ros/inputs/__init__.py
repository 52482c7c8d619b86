"""What the node hears: images, camera_info, odometry, TF."""
