"""Bring the localize node up: ros2 launch netvlad_ros localize.launch.py map:=DIR image:=TOPIC."""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import LifecycleNode

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

SHARE = Path(get_package_share_directory('netvlad_ros'))
PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE'

# Arguments that Nav2's launch files also have come first.
# An argument with an empty default does not override the parameter file.
ARGUMENTS = {
    'namespace': ('', 'namespace of the node and its topics'),
    'map': ('', 'map folder: a path, file:// or package:// (overrides params_file)'),
    'params_file': (str(SHARE / 'config' / 'localize.yaml'), 'parameter file'),
    'use_sim_time': ('', 'true: time from /clock (overrides params_file)'),
    'autostart': ('true', 'configure and activate by itself, also after a respawn'),
    'use_respawn': ('false', 'start again after a crash'),
    'log_level': ('info', 'debug, info, warn, error or fatal'),
    'model': ('', 'model bundle .onnx (overrides params_file)'),
    'image': ('image', 'topic of the images; with image_transport compressed, without /compressed'),
    'camera_info': ('camera_info', 'topic of the camera_info; left alone, it is beside the images'),
    'odom': ('odom', 'topic of the odometry (nav_msgs/Odometry), which moves the belief'),
}


def localize_node(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node; arguments that were given override the parameter file."""
    given = {name: context.launch_configurations[name] for name in ARGUMENTS}
    overrides: dict[str, str | bool] = {
        name: given[name] for name in ('map', 'model') if given[name]
    }
    for name in ('autostart', 'use_sim_time'):
        if given[name]:
            overrides[name] = given[name].lower() in ('true', '1')
    return [
        LifecycleNode(
            package='netvlad_ros',
            executable='localize',
            name='netvlad',
            namespace=given['namespace'],
            output='screen',
            parameters=[given['params_file'], overrides],
            remappings=[(name, given[name]) for name in ('image', 'camera_info', 'odom')],
            ros_arguments=['--log-level', given['log_level']],
            respawn=given['use_respawn'].lower() in ('true', '1'),
            respawn_delay=2.0,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node.

    The node activates itself (its parameter autostart). Launch events could do that too, but not
    after a respawn and not with `ros2 run`.
    """
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    profiles = []
    if PROFILES not in os.environ:
        # Without this file, Fast DDS loses most large best-effort images; the file says why.
        path = str(SHARE / 'config' / 'fastdds.xml')
        profiles = [SetEnvironmentVariable(PROFILES, path)]
    return LaunchDescription([*arguments, *profiles, OpaqueFunction(function=localize_node)])
