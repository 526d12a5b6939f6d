"""Does a model of jets keep the symmetries it should, and is it infrared and collinear safe? Tests of any model.

A model is anything that maps four-momenta (jets, nodes, 4) [E, px, py, pz in GeV] to one number a jet. An observable
is infrared and collinear safe when its value does not change as a particle's energy goes to 0, or as a particle is
split into two of one direction (Sterman & Weinberg, Phys. Rev. Lett. 39 (1977) 1436).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from colonnade.physics import fourvectors as fv
from colonnade.physics.features import Builder, jet_features
from colonnade.physics.graphs import Graph

Array = NDArray[np.float64]
Score = Callable[[Array], Array]

SOFT = (1.0, 0.1, 0.01, 0.001)  # GeV, transverse momenta of the particles that are added


def in_double(net: nn.Module, builder: Builder) -> Score:
    """A model as `Score`, evaluated in double precision so that rounding does not hide a symmetry."""
    wide = net.double().eval()

    def score(p4: Array) -> Array:
        graph = Builder("top", p4.shape[1], builder.k, builder.scale, builder.links, builder.reach)({"p4": p4})
        assert graph.p4 is not None
        x, _, _ = jet_features(graph.p4.numpy())
        with torch.no_grad():
            found = wide(Graph(torch.from_numpy(x), graph.mask, graph.neighbours, graph.p4.double()))
        return np.asarray(found.numpy())

    return score


@dataclass(frozen=True)
class Change:
    """How much a model's answer changes.

    Attributes:
        what: the change of the jets.
        mean, largest: of |answer after - answer before| over the jets.
    """

    what: str
    mean: float
    largest: float


def invariances(score: Score, p4: Array, seed: int = 0) -> list[Change]:
    """Change under what should leave a jet tagger's answer as it is.

    Args:
        score: the model.
        p4: (jets, nodes, 4) test jets.
        seed: of the random transformations.

    Returns:
        Permutation of the particles, more padding, rotation about the beam, boost along the beam, reflection of the
        beam, boost in any direction.
    """
    rng = np.random.default_rng(seed)
    p4 = np.asarray(p4, float)
    real = (p4[..., :1] > 0).astype(float)
    boosts = rng.uniform(-0.4, 0.4, 3)
    changed = {
        "permutation": p4[:, rng.permutation(p4.shape[1])],
        "padding": np.pad(p4, ((0, 0), (0, 7), (0, 0))),
        "rotation about the beam": rotate(p4, rng.uniform(0.3, 6.0)),
        "boost along the beam": fv.boost(p4, np.array([0, 0, boosts[2]])) * real,
        "reflection of the beam": p4 * np.array([1, 1, 1, -1]),
        "boost in any direction": fv.boost(p4, boosts) * real,
    }
    base = score(p4)
    return [_change(what, score(jets), base) for what, jets in changed.items()]


def rotate(p4: Array, angle: float) -> Array:
    """Four-momenta (..., 4) turned about the beam axis."""
    c, s = np.cos(angle), np.sin(angle)
    turned = p4.copy()
    turned[..., 1], turned[..., 2] = c * p4[..., 1] - s * p4[..., 2], s * p4[..., 1] + c * p4[..., 2]
    return turned


def infrared_safety(score: Score, p4: Array, seed: int = 0) -> list[Change]:
    """Change as ever softer particles are added, and as the hardest particle is split into two of one direction.

    A safe model's changes vanish with the softness, and for the split at once. Jets without a particle are left out.

    Args:
        score: the model.
        p4: (jets, nodes, 4) test jets.
        seed: of the places of the soft particles.
    """
    p4 = np.asarray(p4, float)
    p4 = p4[(p4[..., 0] > 0).any(axis=1)]
    rng = np.random.default_rng(seed)
    axis = p4.sum(axis=1)
    eta, phi = fv.eta(axis) + rng.uniform(-0.5, 0.5, len(p4)), fv.phi(axis) + rng.uniform(-0.5, 0.5, len(p4))
    light = np.stack([np.cosh(eta), np.cos(phi), np.sin(phi), np.sinh(eta)], axis=1)
    base = score(_hardest_first(np.pad(p4, ((0, 0), (0, 1), (0, 0)))))
    found = []
    for pt in SOFT:
        more = np.concatenate([p4, pt * light[:, None]], axis=1)
        found.append(_change(f"soft particle of {pt:g} GeV", score(_hardest_first(more)), base))
    hardest = np.argmax(fv.pt(p4), axis=1)
    split = np.pad(p4, ((0, 0), (0, 1), (0, 0)))
    rows = np.arange(len(p4))
    split[rows, -1] = 0.4 * p4[rows, hardest]
    split[rows, hardest] *= 0.6
    found.append(_change("collinear split", score(_hardest_first(split)), base))
    return found


def _hardest_first(p4: Array) -> Array:
    return np.asarray(fv.harden(p4, p4.shape[1])[0], float)


def _change(what: str, after: Array, before: Array) -> Change:
    apart: NDArray[Any] = np.abs(after - before)
    return Change(what, float(apart.mean()), float(apart.max()))
