"""`python -m netvlad_ros.demo`: drive through a rendered town twice, localize the second drive."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import NoReturn

from netvlad_ros.core.errors import NetvladError


def main() -> int:
    """Run the demonstration; the exit code is 0 if the second drive was localized."""
    parser = argparse.ArgumentParser(prog='python -m netvlad_ros.demo', description=__doc__)
    parser.add_argument('--drive', type=Path, help='map this drive (folder or bag) of your own')
    parser.add_argument('--query', type=Path, help='and localize this one on it')
    parser.add_argument('--out', type=Path, default=Path('demo_output'))
    parser.add_argument('--model', type=Path, help="model bundle; default: the package's own")
    parser.add_argument('--rate', type=float, default=10.0, help='images per second of the replay')
    options = parser.parse_args()
    if (options.drive is None) != (options.query is None):
        parser.error('--drive and --query go together: one is mapped, the other localized')
    if not 0 < options.rate <= 1000:
        parser.error('--rate must lie above 0 and not above 1000 images per second')
    signal.signal(signal.SIGTERM, _interrupt)  # so that child processes are stopped, too
    try:
        # Imported here: the processes that render import this module, too, and need no ROS.
        from rich.console import Console

        from netvlad_ros.demo.run import Demo, keep_dds_local
        from netvlad_ros.offline.bundles.default_model import default_model

        keep_dds_local()
        demo = Demo(options.out, options.model or default_model(), options.rate, Console())
        demo.run(options.drive, options.query)
    except ModuleNotFoundError as error:
        print(f'demo: {error.name} is missing; run `make demo`, or source ROS 2', file=sys.stderr)
        return 1
    except (NetvladError, OSError) as error:
        print(f'demo failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('demo: interrupted', file=sys.stderr)
        return 130
    return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == '__main__':
    sys.exit(main())
