#!/bin/sh
# Write this folder's files; README.md says with which code and how to call it.
set -eu
base=$(realpath "$1") out=$(realpath "$2") scratch=$(realpath "$3")
bin=$base/.venv/bin model=$base/models/mobilenetv2_netvlad_512.onnx
export PYTHONPATH="$base:$base/test" OMP_NUM_THREADS=1
cd "$scratch"

# A rendered street, seen in three lights: one is mapped, one calibrates the map, one is localized.
[ -d street ] || "$bin/python" -m netvlad_ros.demo.visits --out street --kind town --seeds 5:6 \
  --visits 3 --size 240x180 --spacing 0.5
visits=$scratch/street/town5
"$bin/netvlad" map build "$visits/visit0" --camera "$visits/visit0/camera.yaml" --model "$model" \
  --slice 40:67:3 --landmarks --max-keypoints 150 --device cpu --out "$out/map"
"$bin/netvlad" calibrate "$visits/visit1" --camera "$visits/visit1/camera.yaml" --model "$model" \
  --slice 34:76 --device cpu --map "$out/map"
mkdir -p "$out/queries/images"
cp "$visits/visit2/camera.yaml" "$out/queries"
head -1 "$visits/visit2/poses.csv" >"$out/queries/poses.csv"
for number in 46 54 58 62 66; do
  cp "$visits/visit2/images/000$number.jpg" "$out/queries/images"
  grep "000$number.jpg" "$visits/visit2/poses.csv" >>"$out/queries/poses.csv"
done
"$bin/netvlad" eval "$out/queries" --camera "$out/queries/camera.yaml" --model "$model" \
  --map "$out/map" --radius 2 --device cpu --out "$out/report"
rm "$out"/report/*.png "$out/report/report.html" # large, and nothing reads them

# A bundle of seven kilobytes, and a map of its own: no features, no thumbnails, no calibration.
"$bin/python" -c "
from pathlib import Path
from tiny_model import write_tiny_model
write_tiny_model(Path('$out/tiny.onnx'))"
"$bin/netvlad" map build "$visits/visit0" --model "$out/tiny.onnx" --slice 40:67:3 \
  --no-thumbnails --device cpu --out "$out/map_bare"

# A run whose weights can be compressed: most are zero, the others +a or -a in a layer. The images
# are stored without compression, for xz compresses them together.
rm -rf training && mkdir training && cd training
"$bin/python" - <<'PYTHON'
import csv
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from tiny_training import settings

from netvlad_ros.training.vision import torchvision

clips = Path('clips')
clips.mkdir()
rng = np.random.default_rng(0)
with (clips / 'frames.csv').open('w', newline='') as file:
    table = csv.writer(file)
    table.writerow(['image', 'floor', 'area', 'clip', 'frame_1hz'])
    for floor in range(6):
        coarse = rng.integers(0, 256, (8, 16, 3), dtype=np.uint8)
        texture = cv2.resize(coarse, (128, 64), interpolation=cv2.INTER_NEAREST)
        for frame in range(5):
            name = f'{floor}_{frame}.png'
            window = texture[:, 4 * frame : 4 * frame + 96]
            cv2.imwrite(str(clips / name), window, [cv2.IMWRITE_PNG_COMPRESSION, 0])
            table.writerow([name, f'f{floor}', f'area{floor}', f'clip{floor}', frame])
torch.manual_seed(0)
model = torchvision.models.mobilenet_v2(weights=None).train()
with torch.no_grad():
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            kept = torch.rand_like(module.weight) < (0.03 if module.groups == 1 else 1.0)
            size = module.weight.std() / kept.float().mean().sqrt()
            module.weight.copy_(module.weight.sign() * kept * size)
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of what it has seen
    model(torch.nn.functional.interpolate(torch.randn(8, 3, 8, 12), (64, 96), mode='bicubic'))
for module in model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        for statistic in (module.running_mean, module.running_var):
            statistic.copy_(statistic.bfloat16())
save_file({k: v.contiguous() for k, v in model.state_dict().items()}, 'weights.safetensors')
config = settings(
    clips,
    network={'weights': 'weights.safetensors', 'trainable_layers': 0},
    loop={'validate_every': 1},
)
Path('train.yaml').write_text(yaml.safe_dump(config))
PYTHON
"$bin/netvlad" train --config train.yaml --out runs
rm -rf "$out/training.tar.xz"
tar --sort=name --owner=0 --group=0 --numeric-owner -c clips runs train.yaml |
  xz -9e >"$out/training.tar.xz"
cp -r runs resumed
"$bin/netvlad" train --config train.yaml --out resumed --resume --steps 6

# What the code that wrote these files answers.
rm -rf again comparison && cp -r "$out/report" again
"$bin/netvlad" report "$out/report" again --out comparison
cd "$out"
"$bin/python" - "$model" "$scratch/training" <<'PYTHON'
import hashlib
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tiny_drive import picture
from tiny_network import pictures

from netvlad_ros.core.descriptor import ModelBundle
from netvlad_ros.core.image import read_image
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.place_map import PlaceMap

shipped, training = Path(sys.argv[1]), Path(sys.argv[2])


def facts(*arguments):
    netvlad = [sys.executable, '-m', 'netvlad_ros.cli', *arguments, '--json']
    return json.loads(subprocess.run(netvlad, check=True, capture_output=True).stdout)


def localized(folder, bundle, images):
    place_map = PlaceMap.load(Path(folder))
    localizer = Localizer(bundle, place_map)
    answers = []
    for image in images:
        match = localizer.recognize(read_image(Path(image)), 0, camera=place_map.camera)
        answers.append({
            'image': str(image),
            'status': match.status.value,
            'reason': match.reason,
            'place': match.candidates[0].index,
            'similarity': match.candidates[0].similarity,
            'inliers': match.candidates[0].inliers,
            'probability': match.probability,
            'method': match.estimate.method,
            'T_map_cam': match.estimate.T.tolist(),
            'covariance': match.estimate.covariance.tolist(),
        })
    return answers


def described(path, images):
    return ModelBundle.load(path, device='cpu', threads=1).describe_batch(images)


blocks = [picture(seed, 120, 160) for seed in range(3)]
bundle = ModelBundle.load(shipped, device='cpu', threads=1)
descriptors = np.array([bundle.describe(image) for image in blocks])
tiny = ModelBundle.load(Path('tiny.onnx'), device='cpu', threads=1)
queries = sorted(Path('queries/images').iterdir())
arrays = {
    'shipped': descriptors,
    'tiny': np.array([tiny.describe(image) for image in blocks]),
    'run': described(training / 'runs/latest/tiny.onnx', pictures()),
}
Path('descriptors').mkdir(exist_ok=True)
for name, array in arrays.items():
    np.save(Path('descriptors') / f'{name}.npy', array, allow_pickle=False)
resumed = load_file(training / 'resumed/latest/checkpoint_6.safetensors')
trained = {name: array for name, array in resumed.items() if 'backbone' not in name}
save_file(trained, 'resumed.safetensors')
Path('resumed.safetensors').chmod(0o644)
processor = re.findall(r'(?m)^(?:model name|flags)\s*: .*', Path('/proc/cpuinfo').read_text())[:2]
answers = {
    'computed_with': {
        'onnxruntime': version('onnxruntime'),
        'processor': hashlib.sha256('\n'.join(processor).encode()).hexdigest(),
    },
    'model_ids': {
        'shipped': bundle.metadata.model_id,
        'tiny': tiny.metadata.model_id,
        'run': ModelBundle.load(training / 'runs/latest/tiny.onnx').metadata.model_id,
    },
    'sha256_of_descriptors': {
        name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()
    },
    'map': facts('map', 'info', 'map'),
    'map_bare': facts('map', 'info', 'map_bare'),
    'localized': {
        'map': localized('map', bundle, queries),
        'map_bare': localized('map_bare', tiny, [*sorted(Path('map/images').iterdir())[2:5], *queries[:1]]),
    },
    'comparison': json.loads((training / 'comparison/metrics.json').read_text()),
}
Path('answers.json').write_text(json.dumps(answers) + '\n')
PYTHON
