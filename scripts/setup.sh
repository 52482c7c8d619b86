#!/usr/bin/env bash
# Prepare .venv and build both ROS packages: what `make demo` and `make test` call first.
#
#   scripts/setup.sh         what the robot and the map builder need
#   scripts/setup.sh --dev   also torch, the linters and the tests' tools
#
# A sourced ROS 2 (Humble or newer) is used where there is one; elsewhere ROS 2 Jazzy comes from Python wheels.
# A second run finds its stamp and takes a fraction of a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$PWD/.venv
extras=cpu
[ "${1:-}" = --dev ] && extras=cpu,train,dev
fail() { echo "setup: $1" >&2; exit 1; }

if [ -n "${ROS_DISTRO:-}" ] && python3 -c 'import rclpy' 2>/dev/null; then
  ros=$ROS_DISTRO interpreter=python3
else
  ros=wheels interpreter=
  for candidate in python3 python3.12 python3.11 python3.13 python3.10; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      interpreter=$candidate
      break
    fi
  done
  [ -n "$interpreter" ] || fail 'no Python 3.10 to 3.13 found; install one, or source a ROS 2 (Humble or newer)'
fi

stamp=$venv/.setup-$extras
wanted=$(cat setup.py setup.cfg requirements/*.txt scripts/setup.sh netvlad_ros/__init__.py <(echo "$ros") | sha256sum)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  "$interpreter" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$interpreter cannot make virtual environments (Debian, Ubuntu: apt install python3-venv)"
  include=$("$interpreter" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  if ! command -v c++ >/dev/null || ! command -v make >/dev/null || [ ! -f "$include/Python.h" ]; then
    fail "the messages are compiled: install a C++ compiler, make and Python's headers (Debian, Ubuntu: apt install \
build-essential python3-dev)"
  fi
  started=$SECONDS
  echo "setup: installing into .venv (ROS 2: $ros, extras: $extras); the first time this takes some minutes"
  options=() constraints=(-c requirements/constraints.txt) packages=(-r requirements/build.txt)
  if [ "$ros" = wheels ]; then
    packages+=(-r requirements/ros-jazzy-wheels.txt)
  else
    options=(--system-site-packages)
    # The sourced ROS was compiled against the system's NumPy: a newer one in .venv would break its messages.
    numpy=$("$interpreter" -c 'import numpy; print(numpy.__version__)' 2>/dev/null || true)
  fi
  [ -x "$venv/bin/python" ] || "$interpreter" -m venv "${options[@]}" "$venv"
  if [ -n "${numpy:-}" ]; then
    echo "numpy==$numpy" >"$venv/numpy.txt"
    constraints+=(-c "$venv/numpy.txt")
  fi
  pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
  pip install --quiet "${constraints[@]}" "${packages[@]}" || fail 'pip could not install what builds the packages'
  pip install --quiet "${constraints[@]}" --no-build-isolation --editable ".[$extras]" ||
    fail 'pip could not install netvlad_ros and its dependencies'
  echo "$wanted" >"$stamp"
  echo "setup: .venv ready after $((SECONDS - started)) s"
fi
scripts/build_ros.sh
