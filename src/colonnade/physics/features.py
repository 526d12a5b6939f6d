"""From the columns of a data set to graphs: the node features and neighbours of the reference models.

The definitions are those of the package of arXiv:2107.00656 (its load_data), with its known faults left out: padding is
never a neighbour, and what is fitted (means, spreads) is fitted on training events only.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.physics import fourvectors as fv
from colonnade.physics import graphs
from colonnade.physics.errors import PhysicsError, one_of
from colonnade.physics.graphs import Graph
from colonnade.physics.schema import spec
from colonnade.physics.tokens import RARE

Batch = dict[str, NDArray[Any]]
Array = NDArray[np.float64]

FEATURES = {"top": 7, "spinodal": 1, "eos": 1, "airshower": 81, "belle": 8 + RARE + 1}
NEEDED = {
    "top": ("p4",),
    "spinodal": ("image",),
    "eos": ("image",),
    "airshower": ("signal", "time"),
    "belle": ("particles", "mother"),
}
_PIXELS = ("grid-8", "grid-4", "full")
LINKS = {
    "top": ("knn", "radius", "full"),
    "spinodal": _PIXELS,
    "eos": _PIXELS,
    "airshower": _PIXELS,
    "belle": ("tree", "full"),
}


@dataclass
class Builder:
    """Turns batches of one data set into graphs.

    Args:
        name: the data set.
        nodes: most nodes of a jet (the hardest are kept).
        k: neighbours of a jet's constituent.
        scale: what was fitted on training events (see `fit`).
        links: "knn", "radius" or "full" for jets, "grid-8", "grid-4" or "full" for pixels and stations, "tree" or
            "full" for decays; by default the first of these, which are the paper's.
        reach: of links of the kind "radius", in (eta, phi).
        warned: the loss of soft constituents was reported already.

    Raises:
        PhysicsError: links that the data set cannot have.
    """

    name: str
    nodes: int = 100
    k: int = 7
    scale: dict[str, Any] = field(default_factory=dict)
    links: str | None = None
    reach: float = 0.2
    warned: bool = False

    def __post_init__(self) -> None:
        allowed = LINKS[spec(self.name).name]
        one_of("links", self.links or allowed[0], allowed)

    def fit(self, batch: Batch) -> Builder:
        """Learn means and spreads from training events."""
        if self.name == "airshower":
            _, time = _centred_time(batch)
            self.scale["time"] = float(time[time != 0].std()) if (time != 0).any() else 1.0
        if self.name in ("eos", "spinodal"):
            share = _shares(batch["image"])
            self.scale["mean"] = share.mean(axis=0)
            self.scale["spread"] = np.maximum(share.std(axis=0), 1e-3 * share.std() + 1e-12)
        target = spec(self.name).target
        if spec(self.name).task == "regression" and target in batch:
            self.scale["target"] = (float(batch[target].mean()), float(batch[target].std() + 1e-9))
        return self

    def __call__(self, batch: Batch) -> Graph:
        """Graphs of a batch of events."""
        graph: Graph = getattr(self, f"_{self.name}")(batch)
        return graph

    def target(self, batch: Batch) -> torch.Tensor:
        """Labels 0 and 1, or the standardised quantity of a regression."""
        values = torch.from_numpy(np.asarray(batch[spec(self.name).target], np.float32))
        mean, spread = self.scale.get("target", (0.0, 1.0))
        scaled: torch.Tensor = (values - mean) / spread
        return scaled

    def _top(self, batch: Batch) -> Graph:
        p4, lost = fv.harden(batch["p4"], self.nodes)
        if lost > 0.02 and not self.warned:
            self.warned = True
            text = f"{lost:.1%} of these jets have more than {self.nodes} constituents; the softest are left out."
            warnings.warn(text, stacklevel=3)
        x, points, mask = jet_features(p4)
        if self.links == "radius":
            near = graphs.radius(points, mask, self.reach)
        elif self.links == "full":
            near = graphs.full(mask)
        else:
            near = graphs.knn(points, mask, self.k, self_loops=True)
        return _graph(x, mask, near, p4)

    def _grid(self, mask: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
        return graphs.full(mask) if self.links == "full" else graphs.grid(side, diagonal=self.links != "grid-4")

    def _image(self, batch: Batch) -> Graph:
        images = _shares(batch["image"])
        if self.scale:
            images = (images - self.scale["mean"]) / self.scale["spread"]
        side = images.shape[1]
        x = images.reshape(len(images), side * side, 1)
        mask = np.ones(x.shape[:2], bool)
        return _graph(x, mask, self._grid(mask, side))

    _eos = _spinodal = _image

    def _airshower(self, batch: Batch) -> Graph:
        signal, time = _centred_time(batch)
        x = np.concatenate([np.log10(np.maximum(signal, 0) + 1), time / self.scale.get("time", 1.0)], axis=-1)
        x = x.reshape(len(x), -1, 81)
        mask = np.ones(x.shape[:2], bool)
        return _graph(x, mask, self._grid(mask, 9))

    def _belle(self, batch: Batch) -> Graph:
        particles, mother = batch["particles"], batch["mother"]
        token = particles[..., 8].astype(np.int64)
        mask = token > 0
        x = np.zeros((*mask.shape, FEATURES["belle"]), np.float32)
        x[..., :8] = _signed_log(particles[..., :8])
        np.put_along_axis(x[..., 8:], np.clip(token, 0, RARE)[..., None], 1.0, axis=-1)
        x *= mask[..., None]
        return _graph(x, mask, graphs.full(mask) if self.links == "full" else graphs.tree(mother, mask))


def jet_features(p4: NDArray[Any]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The seven features of a jet's constituents, their places in the (eta, phi) plane, and which are real.

    Args:
        p4: (n, nodes, 4) E, px, py, pz in GeV, zero-padded.

    Returns:
        (n, nodes, 7): log pT, log E, d_eta times the sign of the jet's eta, d_phi, log pT / pT(jet), log E / E(jet),
        dR; (n, nodes, 2): the same d_eta, d_phi; (n, nodes).
    """
    p4 = np.asarray(p4, float)
    mask = p4[..., 0] > 0
    jet = p4.sum(axis=1)
    pt, energy = np.maximum(fv.pt(p4), 1e-8), np.maximum(p4[..., 0], 1e-8)
    jet_pt, jet_energy = np.maximum(fv.pt(jet), 1e-8), np.maximum(jet[:, 0], 1e-8)
    sign = np.where(fv.eta(jet) < 0, -1.0, 1.0)
    d_eta = (fv.eta(p4) - fv.eta(jet)[:, None]) * sign[:, None]
    d_phi = fv.turn(fv.phi(p4) - fv.phi(jet)[:, None])
    columns = [np.log(pt), np.log(energy), d_eta, d_phi]
    columns += [np.log(pt / jet_pt[:, None]), np.log(energy / jet_energy[:, None]), np.hypot(d_eta, d_phi)]
    x = np.stack(columns, axis=-1) * mask[..., None]
    return x, x[..., 2:4], mask


def _shares(images: NDArray[Any]) -> Array:
    """Square roots of the shares of an image's pions: their Poisson noise is the same in every pixel."""
    total = np.maximum(images.sum(axis=(1, 2), keepdims=True), 1)
    return np.asarray(np.sqrt(np.maximum(images, 0) / total), float)


def _centred_time(batch: Batch) -> tuple[Array, Array]:
    signal, time = np.asarray(batch["signal"], float), np.asarray(batch["time"], float)
    if signal.shape[1:] != (9, 9, 80):
        raise PhysicsError(f"signal must have the shape (events, 9, 9, 80), but has {signal.shape}.")
    silent = (time == -1) | np.isnan(time)
    counts = np.maximum((~silent).sum(axis=(1, 2, 3), keepdims=True), 1)
    mean = np.where(silent, 0, time).sum(axis=(1, 2, 3), keepdims=True) / counts
    return np.nan_to_num(signal, nan=0.0), np.where(silent, 0.0, time - mean)


def _signed_log(values: NDArray[Any]) -> Array:
    """Times, places and momenta span many orders: sign(v) log(1 + 100 |v|)."""
    return np.asarray(np.sign(values) * np.log1p(100 * np.abs(values)), float)


def _graph(x: NDArray[Any], mask: NDArray[np.bool_], near: NDArray[np.int64], p4: NDArray[Any] | None = None) -> Graph:
    momenta = None if p4 is None else torch.from_numpy(np.ascontiguousarray(p4))
    return Graph(torch.from_numpy(x.astype(np.float32)), torch.from_numpy(mask), torch.from_numpy(near), momenta)
