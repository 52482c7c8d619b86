"""make_pooling: the pooling that a configuration asks for, by name."""

from __future__ import annotations

from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.network.poolings.base import Pooling
from netvlad_ros.training.network.poolings.contextual_reweighting import CRN
from netvlad_ros.training.network.poolings.global_poolings import MAC, RMAC, CroW, GeM, SPoC
from netvlad_ros.training.network.poolings.netvlad import NetVLAD

POOLINGS: dict[str, type[Pooling]] = {
    'netvlad': NetVLAD,
    'gem': GeM,
    'mac': MAC,
    'spoc': SPoC,
    'crow': CroW,
    'rmac': RMAC,
    'crn': CRN,
}


def make_pooling(config: NetworkConfig, channels: int) -> Pooling:
    """The pooling of local descriptors (N, channels, H, W) to unit rows (N, dim)."""
    return POOLINGS[config.pooling].of(config, channels)
