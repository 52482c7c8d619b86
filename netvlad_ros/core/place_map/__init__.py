"""The map: places with descriptors, poses, features and landmarks; its files; its calibration."""
