"""`netvlad ...`: one door to maps, evaluation, training and bags.

Commands live in commands/ and import what they drive only when they run, so that `--help` is fast.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from netvlad_ros import __version__
from netvlad_ros.commands import (
    attack as attack_command,
    bag as bag_command,
    benchmarks as benchmarks_command,
    calibrate as calibrate_command,
    compare as compare_command,
    compress as compress_command,
    eval as eval_command,
    export as export_command,
    import_model as import_command,
    inspect as inspect_command,
    map as map_command,
    render as render_command,
    report as report_command,
    train as train_command,
)
from netvlad_ros.commands.console import INTERRUPTED
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.words import one_line


class Door(TyperGroup):
    """Turns every error into one line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; NetvladError and failures of the system end with exit code 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo('netvlad: interrupted, nothing was left behind', err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # typer knows what to do when `netvlad ... | head` has seen enough
        except NetvladError as error:
            raise _exit(str(error)) from None
        except OSError as error:
            where = f'{error.filename}: ' if error.filename else ''
            raise _exit(f'{where}{error.strerror or error}') from None
        except MemoryError:
            raise _exit('there is not enough memory for this') from None


app = typer.Typer(
    cls=Door,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode='markdown',
    help='NetVLAD place recognition for ROS 2: maps, evaluation, training, bags.',
)
app.add_typer(map_command.app, name='map')
app.add_typer(bag_command.app, name='bag')
app.command('eval')(eval_command.evaluate)
app.command('report')(report_command.report)
app.command('benchmarks')(benchmarks_command.benchmarks)
app.command('compare')(compare_command.compare)
app.command('compress')(compress_command.compress)
app.command('calibrate')(calibrate_command.calibrate)
app.command('inspect')(inspect_command.inspect)
app.command('export')(export_command.export)
app.command('import')(import_command.import_model)
app.command('train')(train_command.train)
app.command('render')(render_command.render)
app.command('attack')(attack_command.attack)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f'netvlad {__version__}')
        raise typer.Exit


@app.callback()
def netvlad(
    version: Annotated[
        bool,
        typer.Option('--version', callback=_version, is_eager=True, help='Print it and exit.'),
    ] = False,
) -> None:
    """NetVLAD place recognition for ROS 2: maps, evaluation, training, bags."""


def main(arguments: list[str] | None = None) -> None:
    """Run `netvlad`; ends the process."""
    # A polite kill must unwind like Ctrl-C does, or half-written folders would stay.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app(args=arguments, prog_name='netvlad')
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if os.environ.get('NETVLAD_TRACEBACK'):
            raise
        sentence = (
            f'unforeseen {type(error).__name__}: {error} '
            '(a bug; set NETVLAD_TRACEBACK=1 to see where)'
        )
        typer.echo(one_line(f'netvlad: error: {sentence}'), err=True)
        sys.exit(1)


def train_main() -> None:
    """Run `netvlad train` as `ros2 run netvlad_ros train`."""
    main(['train', *sys.argv[1:]])


def build_map_main() -> None:
    """Run `netvlad map build` as `ros2 run netvlad_ros build_map`."""
    main(['map', 'build', *sys.argv[1:]])


def evaluate_main() -> None:
    """Run `netvlad eval` as `ros2 run netvlad_ros evaluate`."""
    main(['eval', *sys.argv[1:]])


def _exit(sentence: str) -> typer.Exit:
    typer.echo(one_line(f'netvlad: error: {sentence}'), err=True)
    return typer.Exit(1)


if __name__ == '__main__':  # torchrun starts it as a module
    main()
