#!/usr/bin/env bash
# Build both ROS packages with colcon and write .venv/ros_env.sh. Needs a prepared .venv: with the ROS wheels in it, or,
# where a ROS 2 is sourced, with colcon in it (or the system's, through --system-site-packages).
#
#   scripts/build_ros.sh             then, in every shell:  . .venv/ros_env.sh
#
# What it does beyond colcon:
# - ROS wheels only: their exported CMake files name the Python of the machine that built them; those prefixes are rewritten
#   to the venv's own folders, once.
# - --base-paths names netvlad_ros_msgs too: colcon does not look for packages inside a package.
# - --symlink-install: install/ points back at the sources, as the venv's editable install does, so both run the same code.
#   (It wants setuptools < 80.)
# - Nothing is built when the fingerprint of what colcon reads (manifests, interfaces, names of installed files, ROS, Python)
#   is that of the last build: the second run takes a fraction of a second.
# - ros_env.sh sets what install/setup.bash would, in plain sh and without starting Python, and LD_LIBRARY_PATH for the
#   wheels: ros_wheels_bootstrapper otherwise re-executes every Python once to set it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/.venv
python=$venv/bin/python
[ -x "$python" ] || { echo "build_ros: no .venv here; run 'make setup' first" >&2; exit 1; }
exec 9>"$venv/.build_ros.lock"
flock 9

if [ -d "$venv/share/ament_index" ]; then # ROS from wheels, whatever else may be sourced
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  ament=$venv libraries=$venv/lib ros=wheels ros_python=
  for folder in "$site"/ros_*.libs; do [ -d "$folder" ] && libraries=$libraries:$folder; done
  bootstrapped='export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1'
elif [ -n "${ROS_DISTRO:-}" ] && [ -n "${AMENT_PREFIX_PATH:-}" ]; then
  ament=$AMENT_PREFIX_PATH libraries=${LD_LIBRARY_PATH:-} ros=$ROS_DISTRO ros_python=${PYTHONPATH:-}
  bootstrapped="export ROS_DISTRO=$ROS_DISTRO ROS_VERSION=2"
else
  echo "build_ros: no ROS 2: neither its wheels in .venv nor a sourced one (source /opt/ros/DISTRO/setup.bash)" >&2
  exit 1
fi

fingerprint=$(
  {
    echo "$ros $ament"
    "$python" --version
    sha256sum package.xml setup.py setup.cfg scripts/build_ros.sh netvlad_ros/__init__.py
    find netvlad_ros_msgs -type f -exec sha256sum {} + | sort
    find launch config models resource -type f | sort
  } | sha256sum
)
stamp=install/.fingerprint
if [ -f "$stamp" ] && [ -f "$venv/ros_env.sh" ] && [ "$(cat "$stamp")" = "$fingerprint" ]; then exit 0; fi

include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
if ! command -v c++ >/dev/null || [ ! -f "$include/Python.h" ]; then
  echo "build_ros: the messages are compiled: install a C++ compiler and Python's headers" \
    "(Debian, Ubuntu: apt install build-essential python3-dev)" >&2
  exit 1
fi
if [ "$ros" = wheels ]; then
  grep -l /opt/python/ "$venv"/share/*/cmake/*.cmake | xargs -r sed -i -E \
    "s#/opt/python/[^;\"]*/site-packages#$site#g; s#/opt/python/[^;\"]*/include/python3\.[0-9]+#$include#g" || true
fi

rm -f "$stamp"
mkdir -p log
if ! env AMENT_PREFIX_PATH="$ament" CMAKE_PREFIX_PATH="$ament" LD_LIBRARY_PATH="$libraries" \
  ${bootstrapped#export } PATH="$venv/bin:$PATH" PYTHONPATH="$ros_python" \
  "$python" -m colcon build --symlink-install --base-paths . netvlad_ros_msgs \
  --event-handlers console_cohesion- --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$python" \
  >log/build_ros.log 2>&1; then
  cat log/build_ros.log >&2
  echo "build_ros: colcon failed; the lines above are in log/build_ros.log" >&2
  exit 1
fi

ros_site=$("$python" -c 'import sys; print("lib/python%d.%d/site-packages" % sys.version_info[:2])')
messages=$root/install/netvlad_ros_msgs
messages_python=$messages/$ros_site
[ -d "$messages_python" ] || messages_python=$(dirname "$(find "$messages" -type d -path '*-packages/netvlad_ros_msgs')")
cat >"$venv/ros_env.sh" <<EOF
# Written by scripts/build_ros.sh. Source it (sh, bash or zsh) before running anything of ROS.
$bootstrapped
export AMENT_PREFIX_PATH='$root/install/netvlad_ros:$messages:$ament'
export LD_LIBRARY_PATH='$messages/lib:$libraries'
export PYTHONPATH='$messages_python${ros_python:+:$ros_python}'
export PATH="$venv/bin:\$PATH"
export FASTRTPS_DEFAULT_PROFILES_FILE="\${FASTRTPS_DEFAULT_PROFILES_FILE:-$root/config/fastdds.xml}"
export ROS_AUTOMATIC_DISCOVERY_RANGE="\${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
EOF
echo "$fingerprint" >"$stamp"
