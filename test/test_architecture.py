"""The rooms of the package: who may import whom, and what the package files promise."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import netvlad_ros

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'netvlad_ros'

# A room may import itself and these.
ARROWS = {
    'core': set(),
    'offline': {'core'},
    'ros': {'core'},
    'training': {'core', 'offline'},
    'world': {'core', 'offline'},
    'demo': {'core', 'offline', 'world'},
    'commands': {'core', 'offline', 'training', 'world'},
    'cli': {'core', 'commands'},
}
# Inside a room: a folder or file, its first path component below the room, may import itself,
# what FREE names, and these.
WITHIN = {
    'core': {
        'camera': set(),
        'belief': set(),
        'retrieval': set(),
        'stopwatch': set(),
        'model': {'camera'},
        'pose': {'camera'},
        'features': {'camera', 'model'},
        'place_map': {'camera', 'model', 'features'},
        'verification': {'camera', 'features', 'place_map', 'pose'},
        'decision': {'belief', 'model', 'place_map', 'pose', 'retrieval', 'verification'},
        'localizer': {
            'camera',
            'model',
            'features',
            'place_map',
            'retrieval',
            'stopwatch',
            'verification',
            'decision',
        },
    },
    'offline': {
        'files': set(),
        'metrics': set(),
        'bundles': {'files'},
        'drives': {'files'},
        'report': {'files', 'metrics'},
        'datasets': {'files', 'drives'},
        'mapping': {'drives', 'metrics'},
        'methods': {'bundles'},
        'inspection': {'bundles', 'report'},
        'benchmarks': {'files', 'drives', 'datasets', 'metrics'},
        'evaluation': {'files', 'drives', 'mapping', 'metrics', 'report', 'benchmarks', 'methods'},
        'compression': {'benchmarks', 'methods', 'metrics', 'report'},
        'comparison': {'benchmarks', 'bundles', 'evaluation', 'methods', 'metrics', 'report'},
    },
    'training': {
        'config': set(),
        'data': {'config'},
        'network': {'config'},
        'losses': {'config', 'data'},
        'mining': {'config', 'data'},
        'fitting': {'data', 'network'},
        'importers': {'config', 'network'},
        'attack': {'network'},
        'loop': {'config', 'data', 'network', 'losses', 'mining', 'fitting'},
    },
    'ros': {
        'inputs': set(),
        'outputs': set(),
        'parameters': set(),
        'map_loading': set(),
        'guarded_executor': set(),
        'background': set(),
        'namesake': set(),
        'shared_localizer': {'inputs', 'outputs'},
        'session': {'inputs', 'outputs', 'shared_localizer'},
        'camera_stream': {'inputs', 'outputs', 'session'},
        'camera_streams': {'inputs', 'outputs', 'session', 'shared_localizer', 'camera_stream'},
        'services': {
            'background',
            'camera_streams',
            'map_loading',
            'outputs',
            'parameters',
            'shared_localizer',
        },
        'diagnostics': {
            'camera_stream',
            'camera_streams',
            'guarded_executor',
            'session',
            'shared_localizer',
        },
        'node': {
            'guarded_executor',
            'inputs',
            'namesake',
            'outputs',
            'parameters',
            'map_loading',
            'shared_localizer',
            'camera_streams',
            'services',
            'diagnostics',
        },
    },
    'world': {
        'rendering': set(),
        'trajectory': {'rendering'},
        'visit': {'rendering'},
        'scenes': {'rendering', 'trajectory', 'visit'},
        'rendered_drive': {'rendering', 'scenes', 'trajectory'},
        'visited_place': {'rendering', 'scenes', 'visit'},
    },
}
FREE = {
    'core': {'errors', 'files', 'geometry', 'localizer_config', 'words', 'yaml_text'},
    'offline': {'progress'},
    'training': {'torchvision_import'},
    'ros': {'conversions', 'node_config'},
    'world': set(),
}
MOST_SIDE_BY_SIDE = 15
OWNED = {
    r'torch|torchvision|safetensors': {'training'},
    r'rclpy|tf2_ros|cv_bridge|\w+_msgs|std_srvs|rcl_interfaces|builtin_interfaces': {'ros', 'demo'},
    r'typer': {'commands', 'cli'},
    r'matplotlib': {'demo', 'offline', 'training'},
}
FILES = sorted(PACKAGE.rglob('*.py'))


def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere, lazily too."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative imports hide the arrow'
            modules.add(node.module)
            modules |= {f'{node.module}.{alias.name}' for alias in node.names}
    return modules


def package_imports() -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports anywhere, lazily too."""
    modules = {
        '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'): path
        for path in FILES
    }
    return {
        module: {name for name in imports(path) if name in modules} - {module, 'netvlad_ros'}
        for module, path in modules.items()
    }


IMPORTS = package_imports()


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_between_rooms_and_inside_them_go_one_way(path):
    if path.name == '__init__.py':
        assert not imports(path)
        return
    room, *inside = path.relative_to(PACKAGE).with_suffix('').parts
    for module in imports(path):
        parts = module.split('.')
        for pattern, rooms in OWNED.items():
            if re.fullmatch(pattern, parts[0]):
                assert room in rooms, f'{path} must not import {module}'
        if parts[0] != 'netvlad_ros' or len(parts) == 1 or not exists(parts[:2]):
            continue
        assert parts[1] in ARROWS[room] | {room}, f'{path} must not import {module}'
        if parts[1] == room and room in WITHIN and len(parts) > 2 and exists(parts[:3]):
            allowed = FREE[room] | ({inside[0]} if inside[0] in FREE[room] else set())
            if inside[0] not in FREE[room]:
                allowed |= WITHIN[room][inside[0]] | {inside[0]}
            assert parts[2] in allowed, f'{path} must not import {module}'


def exists(parts: list[str]) -> bool:
    """Whether a dotted name is a folder or file of the package, not a name inside one."""
    path = ROOT.joinpath(*parts)
    return path.is_dir() or path.with_suffix('.py').is_file()


def test_no_arrow_is_promised_that_nobody_uses():
    used: dict[str, set[tuple[str, str]]] = {room: set() for room in (*WITHIN, '')}
    for module, imported in IMPORTS.items():
        for other in imported:
            here, there = module.split('.')[1:3], other.split('.')[1:3]
            if here[0] != there[0]:
                used[''].add((here[0], there[0]))
            elif here[0] in WITHIN and len(here) == len(there) == 2:
                used[here[0]].add((here[1], there[1]))
    for room, table in (('', ARROWS), *WITHIN.items()):
        promised = {(one, other) for one, others in table.items() for other in others}
        assert promised <= used[room], f'{room}: {sorted(promised - used[room])}'


def test_no_module_imports_itself_through_others():
    state: dict[str, str] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        state[module] = 'open'
        for other in IMPORTS[module]:
            assert state.get(other) != 'open', f'circle: {" -> ".join((*trail, module, other))}'
            if other not in state:
                visit(other, (*trail, module))
        state[module] = 'done'

    for module in IMPORTS:
        if module not in state:
            visit(module, ())


def test_no_folder_holds_too_many_files_and_each_says_what_is_in_it():
    for folder in sorted({path.parent for path in FILES}):
        side_by_side = [path for path in folder.glob('*.py') if path.name != '__init__.py']
        assert len(side_by_side) <= MOST_SIDE_BY_SIDE, folder
        docstring = ast.get_docstring(ast.parse((folder / '__init__.py').read_text('utf-8')))
        assert docstring, f'{folder} does not say what is in it'


def test_every_module_that_a_text_names_exists():
    texts = [
        *(
            path
            for folder in ('netvlad_ros', 'test', 'scripts', 'launch')
            for path in (ROOT / folder).rglob('*.py')
        ),
        *(path for folder in ('docs', 'config', 'models') for path in (ROOT / folder).rglob('*')),
        *(ROOT / name for name in ('Makefile', 'README.md', 'setup.py')),
    ]
    for path in texts:
        if path.suffix not in ('.py', '.md', '.j2', '.yaml', '') or not path.is_file():
            continue
        text = path.read_text(encoding='utf-8')
        for name in set(re.findall(r'\bnetvlad_ros(?:\.[A-Za-z_]+)+', text)):
            parts = name.split('.')
            if parts[1] not in ARROWS:
                continue  # another file or package
            # What follows the module is a name in it.
            module = max((n for n in range(2, len(parts) + 1) if exists(parts[:n])), default=0)
            file = ROOT.joinpath(*parts[:module]).with_suffix('.py')
            assert module >= len(parts) - 2, f'{path} names {name}'
            if module < len(parts):
                assert file.is_file(), f'{path} names {name}'
                assert re.search(rf'\b{parts[module]}\b', file.read_text('utf-8')), (
                    f'{path}: {name}'
                )
        for name in set(re.findall(r'\bnetvlad_ros/[a-z_/]+\.py\b', text)):
            assert (ROOT / name).is_file(), f'{path} names {name}'
        if path.suffix in (
            '.md',
            '.j2',
        ):  # in documents, paths below the package stand by themselves
            for name in set(re.findall(rf'`((?:{"|".join(ARROWS)})/[a-z_/]*(?:\.py)?)`', text)):
                assert (PACKAGE / name).exists(), f'{path} names {name}'


def test_manifests_agree_on_the_version_and_name_what_is_imported():
    versions = {
        folder: ET.parse(ROOT / folder / 'package.xml').getroot().findtext('version')
        for folder in ('.', 'netvlad_ros_msgs')
    }
    assert set(versions.values()) == {netvlad_ros.__version__}
    manifest = ET.parse(ROOT / 'package.xml').getroot()
    named = {entry.text for entry in manifest.findall('exec_depend')}
    ros_imports = {
        module.split('.')[0]
        for path in (*FILES, *(ROOT / 'launch').glob('*.py'))
        for module in imports(path)
        if re.match(r'\w+_msgs\b|std_srvs|rclpy|rcl_interfaces|builtin_interfaces|launch', module)
    }
    # tf2_msgs reaches a bag reader as a message name, never as an import.
    assert ros_imports - named == set()


def test_every_executable_exists():
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    for name, module, function in re.findall(r"'(\w+) = ([\w.]+):(\w+)'", setup):
        path = ROOT / (module.replace('.', '/') + '.py')
        tree = ast.parse(path.read_text(encoding='utf-8'))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in names, f'{name}: {module} has no {function}()'
