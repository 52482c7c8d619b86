"""Rendered places and drives, for the demo and for training. No rclpy, no torch."""
