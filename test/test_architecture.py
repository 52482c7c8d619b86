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
    'demo': {'core', 'offline', 'ros'},
    'cli': {'core', 'offline', 'training'},
}
OWNED = {
    r'torch|torchvision|safetensors': {'training'},
    r'rclpy|tf2_ros|cv_bridge|\w+_msgs|std_srvs|rcl_interfaces|builtin_interfaces': {'ros', 'demo'},
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


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_between_rooms_go_one_way(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix('.py')
    if room == '__init__':
        assert not imports(path)
        return
    for module in imports(path):
        parts = module.split('.')
        if parts[0] == 'netvlad_ros' and len(parts) > 1 and (PACKAGE / parts[1]).exists():
            assert parts[1] in ARROWS[room] | {room}, f'{path} must not import {module}'
        for pattern, rooms in OWNED.items():
            if re.fullmatch(pattern, parts[0]):
                assert room in rooms, f'{path} must not import {module}'


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
