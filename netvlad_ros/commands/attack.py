"""`netvlad attack`: targeted-mismatch attacks on the images of a drive, and their metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad_ros.commands.console import INTERRUPTED, progress_bar, report, report_skips
from netvlad_ros.commands.options.features import FeatureModel, map_extractor
from netvlad_ros.commands.options.shared import (
    CameraFileOption,
    Device,
    MapFrame,
    Selection,
    Source,
    not_negative,
)
from netvlad_ros.core.words import one_line
from netvlad_ros.offline.report.report_folder import write_json


def attack(
    source: Source,
    network: Annotated[
        Path,
        typer.Option(
            metavar='RUN', help='Attacked: a network file, or the folder of a finished run.'
        ),
    ],
    bundle: Annotated[
        Path,
        typer.Option(metavar='B.onnx', help='What the robot runs: the bundle of these weights.'),
    ],
    map_folder: Annotated[Path, typer.Option('--map', metavar='DIR', help='The map.')],
    out: Annotated[
        Path,
        typer.Option(
            metavar='DIR',
            help='New folder: the attacked images, metrics.json, attack.png, report.html; or that '
            'of the same attack, which goes on.',
        ),
    ],
    feature_model: FeatureModel = None,
    selection: Selection = None,
    targets: Annotated[
        int, typer.Option(min=1, help='Places of the map that each image is sent to.')
    ] = 1,
    stretch: Annotated[
        int,
        typer.Option(min=1, max=50, help='So many images in succession are sent to one target.'),
    ] = 1,
    radius: Annotated[
        float | None,
        typer.Option(
            callback=not_negative,
            help='An answer within so many metres of a place shows it; left out: as the robot '
            'takes images for one place.',
        ),
    ] = None,
    angle: Annotated[
        float | None,
        typer.Option(callback=not_negative, help='... and turned by at most so many degrees.'),
    ] = None,
    steps: Annotated[int, typer.Option(help='Updates of the pixels of an image.')] = 100,
    rate: Annotated[float, typer.Option(help='Step of Adam, in pixel values 0..255.')] = 0.5,
    fidelity: Annotated[
        float,
        typer.Option(
            help='Weight of the mean squared change (of pixels in 0..1) against 1 - cosine.'
        ),
    ] = 1000.0,
    max_change: Annotated[
        int | None,
        typer.Option(help='Largest change of a pixel, of 255; left out: any.'),
    ] = None,
    sizes: Annotated[
        str,
        typer.Option(
            metavar='S,S', help="Attack at these factors of the model's input size, all at once."
        ),
    ] = '1',
    seed: Annotated[int, typer.Option(min=0, help='Of the choice of targets.')] = 0,
    device: Device = 'auto',
    map_frame: MapFrame = None,
    camera_file: CameraFileOption = None,
) -> None:
    """Perturb images so that they are described as another place; needs torch (the extra "train").

    Targeted mismatch (Tolias, Radenovic and Chum, ICCV 2019), by one who has the weights and the
    map. Each image of the drive is sent to places of the map more than twice --radius or --angle
    from its own. It is stored with 8 bits a channel, and what was stored is judged by the robot's
    own Localizer: `retrieval` and `verification`: the image alone, without verification and with
    it; `uncalibrated`: with it, but without camera_info; `standing`: belief on, ten looks at the
    image while odometry says that nothing moves, the worst of them; `driving`: belief on, the
    images of a --stretch in order. `at_target` counts best candidates at the target's place,
    `accepted_wrong` priors away from the true one; `carrier` says the same of the images before.
    Ctrl-C leaves what is done, and the same command goes on.
    """
    from dataclasses import asdict

    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.core.place_map.storage import load_map, read_thumbnail
    from netvlad_ros.offline.drives.drive import slice_words
    from netvlad_ros.offline.drives.open_drive import open_drive
    from netvlad_ros.offline.progress import Skip

    try:
        from netvlad_ros.training.attack.attack import AttackConfig
        from netvlad_ros.training.attack.attack_folder import AttackFolder
        from netvlad_ros.training.attack.attack_metrics import Attempt, attack_metrics
        from netvlad_ros.training.attack.attack_plot import MOST_ROWS, Shown, draw_attacks
        from netvlad_ros.training.attack.attack_report import Pictures, attack_page
        from netvlad_ros.training.attack.attack_run import AttackRun
        from netvlad_ros.training.network.network_file import load_network
    except ImportError as error:
        raise NetvladError(
            f"an attack needs {error.name or 'torch'}: pip install 'netvlad_ros[train]'"
        ) from error
    from netvlad_ros.core.files import write_whole

    config = AttackConfig(steps, rate, fidelity, max_change, _sizes(sizes))
    path = network / 'network' if network.is_dir() else network
    attacked, _ = load_network(path)
    loaded = ModelBundle.load(bundle, device=device)
    place_map = load_map(map_folder)
    extractor = map_extractor(place_map, feature_model, device)
    drive = open_drive(source, map_frame=map_frame, camera_file=camera_file)
    run = AttackRun(
        attacked,
        loaded,
        place_map,
        config,
        seed,
        radius,
        angle,
        stretch,
        extractor=extractor,
    )
    settings = {
        'drive': drive.name,
        'images': len(drive),
        **asdict(config),
        'targets': targets,
        'stretch': stretch,
        'seed': seed,
        'place_radius_m': run.radius_m,
        'place_radius_deg': run.radius_deg,
        'model_id': place_map.model_id,
        'map_id': place_map.map_id,
    }
    folder = AttackFolder(out, settings)
    attempts: list[Attempt] = []
    pictures: list[Pictures] = []
    shown: list[Shown] = []
    skipped: list[Skip] = []
    whole = False
    try:
        with progress_bar('attacking') as progress:
            for attempt, carrier, image in run.attempts(
                drive, selection or slice(None), folder, targets, skipped, progress
            ):
                attempts.append(attempt)
                target = read_thumbnail(place_map, attempt.target)
                pictures.append(Pictures.of(carrier, image, target))
                if len(shown) < MOST_ROWS:
                    shown.append(Shown(attempt, carrier, image, target))
        whole = True
    except KeyboardInterrupt:
        if not out.exists():
            raise
        if not attempts:
            raise _interrupted(0, out) from None
    metrics = attack_metrics(attempts)
    settings = {
        'source': str(source),
        'slice': slice_words(selection),
        **settings,
        'network': str(network),
    }
    result = {**metrics, 'settings': settings, 'attempts': [asdict(each) for each in attempts]}
    write_json(result, out / 'metrics.json')
    draw_attacks(shown, out / 'attack.png')
    write_whole(out / 'report.html', attack_page(metrics, attempts, pictures, settings))
    report_skips(drive, skipped)
    report(result, None)
    if not whole:
        raise _interrupted(len(attempts), out)


def _interrupted(done: int, out: Path) -> typer.Exit:
    sentence = f'interrupted: {done} images are judged, what is attacked of others is in {out}'
    typer.echo(one_line(f'netvlad: {sentence}; the same command goes on'), err=True)
    return typer.Exit(INTERRUPTED)


def _sizes(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(','))
    except ValueError:
        raise typer.BadParameter(
            f'--sizes "{text}": write factors with commas, as in 1,0.75'
        ) from None
