"""Which loss trains the descriptor, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad_ros.training.settings import Settings, setting

TUPLE_KINDS = ('triplet', 'sare_joint', 'sare_independent')
KINDS = (*TUPLE_KINDS, 'contrastive', 'multi_similarity', 'classification')


@dataclass(frozen=True)
class LossConfig(Settings):
    """Section `loss` of a training configuration; each kind reads only its own numbers."""

    kind: str = setting('triplet', 'what is minimised', choices=KINDS)
    margin: float = setting(0.1, 'triplet: of squared distances', 0.0, 4.0)
    contrastive_margin: float = setting(0.7, 'contrastive: distance negatives keep', 0.0, 2.0)
    temperature: float = setting(1.0, 'sare: divides squared distances; 1 in the paper', 1e-3, 1e3)
    alpha: float = setting(1.0, 'multi_similarity: sharpness for positives', 1e-3, 1e3)
    beta: float = setting(50.0, 'multi_similarity: sharpness for negatives', 1e-3, 1e3)
    base: float = setting(0.0, 'multi_similarity: cosine from which pairs are counted', -1.0, 1.0)
    epsilon: float = setting(0.1, 'multi_similarity: slack of the choice of pairs', 0.0, 2.0)
    scale: float = setting(30.0, 'classification: multiplies cosines', 1.0, 1e3)
    cosface_margin: float = setting(
        0.4, 'classification: taken from the own cell, cosine', 0.0, 1.0
    )

    @property
    def needs_tuples(self) -> bool:
        """Whether it ranks query, positive and negatives: mining by groups draws none."""
        return self.kind in TUPLE_KINDS
