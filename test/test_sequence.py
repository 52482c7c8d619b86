"""What a sequence of images makes of what each of them says, with and without geometry."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tiny_drive import pose

from netvlad_ros.core.geometric_evidence import CandidateEvidence, GeometricPose
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.map_calibration import MapCalibration
from netvlad_ros.core.model_metadata import Calibration
from netvlad_ros.core.place_hypotheses import Hypotheses, group
from netvlad_ros.core.sequence import Sequence
from netvlad_ros.core.sight import Sight
from netvlad_ros.core.trust import Trust
from netvlad_ros.core.verification import Verification

S = 10**9
CALIBRATION = Calibration(midpoint=0.5, slope=30.0, rival_slope=45.0)
TRUST = Trust(CALIBRATION, MapCalibration(), 1.0, 45.0)
# Two corridors alike, far apart, five images half a metre from each other in each.
CORRIDORS = np.array([pose(x=0.2 * i, y=100.0 * k) for k in range(2) for i in range(5)])


def sight_of(similarity, verification=None, stamp_ns=0) -> Sight:
    similarity = np.asarray(similarity, np.float32)
    indices = np.argsort(-similarity, kind='stable')
    return Sight(
        stamp_ns=stamp_ns,
        descriptor=np.zeros(2, np.float32),
        indices=indices,
        similarity=similarity[indices],
        leader=group(CORRIDORS[indices], TRUST.radius_m, TRUST.radius_deg),
        detail=0.5,
        shows_something=True,
        verification=verification,
        note='',
        timings_ms={},
    )


def alone(sight: Sight) -> Hypotheses:
    return TRUST.weigh(sight, CORRIDORS[sight.indices])


def sequence() -> Sequence:
    place_map = SimpleNamespace(T_map_cam=CORRIDORS, spacing_m=0.2, spacing_deg=0.0)
    return Sequence(place_map, TRUST, LocalizerConfig())


def test_a_mount_that_trembles_is_one_witness():
    """A rear camera, whose mount TF tells anew for each image, sees one spot again and again."""
    seen = [0.7] * 4 + [0.69] + [0.69] * 5

    def after(mounts) -> np.ndarray:
        believed = sequence()
        for i, mount in enumerate(mounts):
            sight = sight_of(seen, stamp_ns=i * S // 10)
            hypotheses = believed.update(sight, alone(sight), T_ref_cam=mount)
        return hypotheses.probability

    rng = np.random.default_rng(0)
    steady = [pose(x=0.1, yaw_deg=10.0)] * 20
    trembling = [pose(x=0.1 + 1e-4 * e, yaw_deg=10.0 + 0.1 * e) for e in rng.normal(size=20)]
    np.testing.assert_allclose(after(trembling), after(steady), atol=1e-6)
    assert (sequence()._camera(np.eye(4))[1].is_at(pose(yaw_deg=3.0))) is False
