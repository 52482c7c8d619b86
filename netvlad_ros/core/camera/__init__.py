"""A camera: its images, from files and ROS messages, and its calibration, from pixels to rays
and back.
"""
