"""The ROS 2 node. With demo/ the only room that imports rclpy and message packages."""
