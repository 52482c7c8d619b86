"""Descriptor, map and localizer: what runs on the robot. No rclpy, no torch."""
