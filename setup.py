"""Package definition, read by colcon (ament_python) and by pip alike."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
NAME = 'netvlad_ros'
VERSION = re.search(
    r"__version__ = '([^']+)'", (ROOT / NAME / '__init__.py').read_text(encoding='utf-8')
).group(1)


def files(folder, pattern='*'):
    """Paths below folder, relative to the root, as data_files wants them."""
    return [str(p.relative_to(ROOT)) for p in sorted((ROOT / folder).glob(pattern)) if p.is_file()]


setup(
    name=NAME,
    version=VERSION,
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', files('launch', '*.launch.py')),
        (f'share/{NAME}/config', files('config')),
        (f'share/{NAME}/config/security', files('config/security')),
        (f'share/{NAME}/models', files('models')),
    ],
    python_requires='>=3.10',
    install_requires=[
        'setuptools',
        'numpy>=1.26,<3',
        'scipy>=1.11,<2',
        'opencv-python-headless>=4.8,<6',
        'pillow>=10,<14',
        'faiss-cpu>=1.8,<2',
        'onnx>=1.21,<2',
        'pyyaml>=6,<7',
        'rosbags>=0.10,<0.12',
        'rosbags-image>=0.9,<0.12',
        'typer>=0.12,<1',
        'rich>=13,<16',
        'matplotlib>=3.8,<4',
    ],
    extras_require={
        'cpu': ['onnxruntime>=1.20,<2'],
        'gpu': ['onnxruntime-gpu>=1.20,<2'],
        'train': [
            'torch>=2.6,<3',
            'torchvision>=0.21,<1',
            'safetensors>=0.4.5,<1',
            'tensorboard>=2.15,<3',
        ],
        'dev': [
            'pytest>=8,<9',
            'pytest-xdist>=3.5,<4',  # two tests at once
            'jinja2>=3.1,<4',
            'mkdocs>=1.6,<2',
            'mkdocs-material>=9.5,<10',
            'scikit-learn>=1.3,<2',  # average precision, as others compute it
            'ruff>=0.12,<1',
            'mypy>=1.14,<3',
            'types-PyYAML',
            'types-setuptools',
        ],
    },
    zip_safe=True,
    maintainer='netvlad_ros maintainers',
    maintainer_email='maintainers@users.noreply.github.com',
    description='Where is the robot, from one camera: place matches and pose priors for ROS 2.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'netvlad = netvlad_ros.cli:main',
            'localize = netvlad_ros.ros.node:main',
            'train = netvlad_ros.cli:train_main',
            'build_map = netvlad_ros.cli:build_map_main',
            'evaluate = netvlad_ros.cli:evaluate_main',
        ],
    },
)
