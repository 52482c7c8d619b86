"""Recorded drives, map building and evaluation. No torch, no rclpy."""
