"""rosbag2 recordings, read and written without ROS, truncated ones too."""
