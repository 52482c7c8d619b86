"""Visual place recognition and pose priors for ROS 2: where is the robot, from one camera."""

__version__ = '0.1.0'
