"""What runs on the robot: one image in, a match and a pose prior out. No rclpy, no torch."""
