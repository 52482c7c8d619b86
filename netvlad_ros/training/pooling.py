"""Which pooling a configuration asks for."""

from __future__ import annotations

from netvlad_ros.training.network_config import NetworkConfig
from netvlad_ros.training.poolings.base import Pooling
from netvlad_ros.training.poolings.contextual_reweighting import CRN
from netvlad_ros.training.poolings.crow import CroW
from netvlad_ros.training.poolings.gem import GeM
from netvlad_ros.training.poolings.mac import MAC
from netvlad_ros.training.poolings.netvlad import NetVLAD
from netvlad_ros.training.poolings.rmac import RMAC
from netvlad_ros.training.poolings.spoc import SPoC

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
    """A pooling of local descriptors (N, channels, H, W) to unit rows (N, .dim)."""
    return POOLINGS[config.pooling].of(config, channels)
