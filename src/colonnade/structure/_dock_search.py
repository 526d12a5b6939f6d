"""All placements of one rigid body around another, scored by FFT: the search behind `docking.dock`.

The score of a placement is a sum of channels, each the product of a field of the fixed body with weights on the
atoms of the other (Katchalski-Katzir et al., PNAS 89:2195, 1992). A rotation is g R with g of the 24 rotations of
the cube, and turning the moving body by g is the same as turning the grid of the fixed one by g^-1. So the fields'
transforms are made once for 24 orientations, the moving body is put on the grid once for 24 rotations, and what is
left for each rotation is one sum of products and one inverse transform of real numbers, whatever the number of
channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.structure.rotations import RotationSet, cube_rotations

Array = NDArray[np.float64]
Track = Callable[[Sequence[int], str], Iterable[int]]

REACH = 40
"""Placements of one rotation that are looked at for distinct minima."""


@dataclass(frozen=True)
class Penalties:
    """Restraints: P pairs of points, x y z, and the flat-bottomed penalty of each; in voxels here, in Å to refine.

    `first` and `second` are (P, 3), `second` from the moving body's centre; `lower` and `upper` (P,); `owner` (P,)
    the restraint of each pair, of which the nearest counts; `weight` the penalty for each unit of length beyond the
    bounds, at most `cap` units of it.
    """

    first: Array
    second: Array
    lower: Array
    upper: Array
    owner: NDArray[np.int64]
    count: int
    weight: float
    cap: float


@dataclass(frozen=True)
class Placements:
    """The best placements: (M,) scores, (M, 3, 3) rotations, and (M, 3) of the centre, voxels."""

    scores: Array
    rotations: Array
    centres: Array


class Search:
    """A search over rotations and translations.

    Arguments:
        fields: (K, n, n, n) of the fixed body, [z, y, x].
        points: (N, 3) atoms of the moving body from its centre, x y z, voxels.
        weights: (K, N) of the channels.
        penalties: restraints.
        keep: placements to keep.
        per_rotation: at most so many of one rotation, at least three voxels apart.
        device: of torch.
    """

    def __init__(
        self,
        fields: NDArray[np.float32],
        points: Array,
        weights: Array,
        penalties: Penalties,
        *,
        keep: int = 2000,
        per_rotation: int = 3,
        device: str = "cpu",
    ) -> None:
        self.size = int(fields.shape[-1])
        self.device = device
        self.points, self.weights, self.penalties = points, weights, penalties
        self.keep, self.per_rotation = keep, per_rotation
        self._spectra = self._turned_spectra(torch.as_tensor(fields, device=device))
        self._pool = _Pool(keep)

    def run(self, rotations: RotationSet, track: Track | None = None) -> Placements:
        """Search all rotations of the set. `track` wraps the loop over cosets, to show progress."""
        cosets: Iterable[int] = range(len(rotations.matrices))
        if track is not None:
            cosets = track(range(len(rotations.matrices)), "Docking")
        for n in cosets:
            moving = self._moving_spectra(rotations.matrices[n])
            for g, turn in enumerate(cube_rotations()):
                self._pool.add(*self._best(g, turn @ rotations.matrices[n], moving))
        return self._pool.result()

    def _turned_spectra(self, fields: torch.Tensor) -> list[torch.Tensor]:
        """For each rotation g of the cube, (K, n, n, n // 2 + 1) transforms of the fields turned by g^-1."""
        found = []
        for turn in cube_rotations():
            flipped = turn[::-1, ::-1]  # in array order z, y, x
            axes = np.abs(flipped).argmax(axis=1)  # axis a of t reads +-u[axes[a]]
            signs = flipped.sum(axis=1)
            turned = fields
            if flips := [a + 1 for a in range(3) if signs[a] < 0]:
                turned = torch.roll(torch.flip(turned, flips), [1] * len(flips), flips)
            turned = turned.permute(0, *(int(a) + 1 for a in np.argsort(axes)))
            found.append(torch.fft.rfftn(turned.contiguous(), dim=(1, 2, 3)))
        return found

    def _moving_spectra(self, rotation: Array) -> torch.Tensor:
        """(K, n, n, n // 2 + 1) conjugate transforms of the atoms' weights, spread over the nearest voxels."""
        grids = np.zeros((len(self.weights), self.size**3), dtype=np.float32)
        _spread(self.points @ rotation.T, self.weights, self.size, grids)
        shaped = torch.as_tensor(grids, device=self.device).view(-1, self.size, self.size, self.size)
        spectra: torch.Tensor = torch.fft.rfftn(shaped, dim=(1, 2, 3)).conj().resolve_conj()
        return spectra

    def _best(self, g: int, rotation: Array, moving: torch.Tensor) -> tuple[Array, Array, Array]:
        """Scores, rotations and centres of the best placements of one rotation."""
        fields = self._spectra[g]
        total = fields[0] * moving[0]
        for k in range(1, len(moving)):
            total.addcmul_(fields[k], moving[k])
        energy = torch.fft.irfftn(total, s=(self.size,) * 3)
        turn = cube_rotations()[g]
        p = self.penalties
        flat, scores = _candidates(
            energy.cpu().numpy().reshape(-1),
            self._pool.threshold,
            turn.astype(np.int64),
            p.first - p.second @ rotation.T,
            p.lower,
            p.upper,
            p.owner,
            np.array([p.count, p.weight, p.cap]),
        )
        if len(scores) > REACH:
            best = np.argpartition(scores, REACH)[:REACH]
            flat, scores = flat[best], scores[best]
        order = np.lexsort((flat, scores))
        centres = _unflat(flat[order], self.size) @ turn.T % self.size
        chosen = _apart(centres, self.size, self.per_rotation)
        kept = order[chosen]
        return scores[kept], np.repeat(rotation[None], len(kept), axis=0), centres[chosen].astype(float)


class _Pool:
    """The best placements so far."""

    def __init__(self, keep: int) -> None:
        self.keep, self.threshold = keep, 0.0
        self.parts: list[tuple[Array, Array, Array]] = []
        self.held = 0

    def add(self, scores: Array, rotations: Array, centres: Array) -> None:
        self.parts.append((scores, rotations, centres))
        self.held += len(scores)
        if self.held > 2 * self.keep:
            self._shrink()

    def _shrink(self) -> None:
        columns = [np.concatenate(column) for column in zip(*self.parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")[: self.keep]
        self.parts = [(columns[0][order], columns[1][order], columns[2][order])]
        self.held = len(order)
        if self.held == self.keep:
            self.threshold = float(columns[0][order[-1]])

    def result(self) -> Placements:
        if not self.parts:
            return Placements(np.zeros(0), np.zeros((0, 3, 3)), np.zeros((0, 3)))
        self._shrink()
        return Placements(*self.parts[0])


def _unflat(flat: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """(M, 3) x y z of flat indices in an array [z, y, x]."""
    z, y, x = np.unravel_index(flat, (size,) * 3)
    return np.column_stack([x, y, z]).astype(np.int64)


def _apart(centres: NDArray[Any], size: int, most: int) -> list[int]:
    """Indices of the first `most` points that are three voxels from one another on a grid that wraps around."""
    chosen: list[int] = []
    for i in range(len(centres)):
        step = np.abs(centres[chosen] - centres[i])
        if not chosen or (np.minimum(step, size - step) ** 2).sum(axis=1).min() >= 9:
            chosen.append(i)
            if len(chosen) == most:
                break
    return chosen


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_compiled
def _spread(points: Any, weights: Any, size: int, grids: Any) -> None:
    """Add each point's weights to the eight voxels around it, by nearness; grids (K, n^3) [z, y, x] wrap around."""
    for i in range(len(points)):
        low = np.floor(points[i]).astype(np.int64)
        part = points[i] - low
        for corner in range(8):
            dx, dy, dz = corner & 1, (corner >> 1) & 1, corner >> 2
            share = (part[0] if dx else 1 - part[0]) * (part[1] if dy else 1 - part[1])
            share *= part[2] if dz else 1 - part[2]
            x, y, z = (low[0] + dx) % size, (low[1] + dy) % size, (low[2] + dz) % size
            flat = (z * size + y) * size + x
            for k in range(len(weights)):
                grids[k, flat] += share * weights[k, i]


@_compiled
def _candidates(
    energy: Any, threshold: float, turn: Any, centres: Any, lower: Any, upper: Any, owner: Any, penalty: Any
) -> tuple[Any, Any]:
    """Flat indices and scores, energy and penalties, of the best placements below the threshold, at least REACH.

    Arguments:
        energy: (n^3,) at each turned translation u; the translation is `turn` u, modulo n.
        centres: (P, 3) translation, x y z, at which each pair has distance 0.
        penalty: number of restraints, weight, cap.
    """
    size = round(len(energy) ** (1.0 / 3.0))
    count, weight, cap = int(penalty[0]), penalty[1], penalty[2]
    flat, scores = np.empty(20 * REACH, np.int64), np.empty(20 * REACH)
    found = 0
    beyond = np.empty(count)
    for z in range(size):
        for y in range(size):
            for x in range(size):
                i = (z * size + y) * size + x
                score = energy[i]
                if score >= threshold:
                    continue
                if count:
                    t0 = (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z) % size
                    t1 = (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z) % size
                    t2 = (turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z) % size
                    beyond[:] = cap
                    for p in range(len(owner)):
                        d0, d1, d2 = t0 - centres[p, 0], t1 - centres[p, 1], t2 - centres[p, 2]
                        distance = np.sqrt(d0 * d0 + d1 * d1 + d2 * d2)
                        over = max(distance - upper[p], lower[p] - distance, 0.0)
                        beyond[owner[p]] = min(beyond[owner[p]], over)
                    score += weight * beyond.sum()
                    if score >= threshold:
                        continue
                flat[found], scores[found] = i, score
                found += 1
                if found == len(flat):  # only the best of a rotation are looked at
                    threshold = np.partition(scores, REACH)[REACH]
                    found = 0
                    for k in range(len(flat)):
                        if scores[k] < threshold:
                            flat[found], scores[found] = flat[k], scores[k]
                            found += 1
    return flat[:found].copy(), scores[:found].copy()
