"""What a search adds up over its poses: patterns of restraints, the best pose, residue contacts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]

CELLS = 5
"""Cells per contact distance in the table of nearby points."""


class Tally:
    """Weighted counts of bit patterns: a table when it is small, sorted arrays when it is not."""

    def __init__(self, restraints: int, device: str) -> None:
        self.size = 1 << restraints if restraints <= 16 else 0
        self.table = torch.zeros(self.size, dtype=torch.float64, device=device)
        self.parts: list[tuple[NDArray[np.int64], Array]] = []

    def add(self, patterns: torch.Tensor, weight: float) -> None:
        if self.size:
            self.table += weight * torch.bincount(patterns, minlength=self.size).to(torch.float64)
            return
        unique, counts = torch.unique(patterns, return_counts=True)
        self.parts.append((unique.cpu().numpy(), weight * counts.cpu().numpy()))
        if len(self.parts) > 32:
            self.parts = [self._merged()]

    def _merged(self) -> tuple[NDArray[np.int64], Array]:
        patterns, place = np.unique(np.concatenate([part for part, _ in self.parts]), return_inverse=True)
        weights = np.bincount(place, np.concatenate([part for _, part in self.parts]), minlength=len(patterns))
        return patterns, weights.astype(np.float64)

    def result(self) -> tuple[NDArray[np.int64], Array]:
        """Patterns in ascending order and their weights."""
        if not self.size:
            return self._merged()
        table = self.table.cpu().numpy()
        patterns = np.flatnonzero(table)
        return patterns.astype(np.int64), table[patterns]


@dataclass
class ContactCounts:
    """Weighted counts of the residue pairs that touch, by number of satisfied restraints.

    Attributes:
        first: (F, 3) points of the fixed body, voxels.
        second: (S, 3) points of the scanning body from its centre, voxels.
        distance: of a contact, voxels.
        least: restraints that a pose must satisfy to be counted.
        depth: number of levels, from `least` restraints to all.
    """

    first: Array
    second: Array
    distance: float
    least: int
    depth: int

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.depth, len(self.first), len(self.second)))
        self._cells = _near_points(self.first, self.distance)

    def add(self, rotation: Array, moves: Array, satisfied: NDArray[np.int64], weight: float) -> None:
        """Count poses: `moves` (P, 3) are their translations, `satisfied` (P,) their numbers of restraints."""
        followed = satisfied >= self.least
        if followed.any():
            _add_contacts(
                self.first,
                self.second @ rotation.T,
                self._cells,
                moves[followed],
                satisfied[followed] - self.least,
                self.distance**2,
                weight,
                self.counts,
            )


def _near_points(points: Array, distance: float) -> tuple[Array, float, NDArray[np.int64], NDArray[np.int64]]:
    """For each cell of a grid the points within `distance` of any place in it.

    Returns:
        origin (3,) and edge of the cells, (X, Y, Z) first entries plus one for the end, entries.
    """
    edge = distance / CELLS
    origin = points.min(axis=0) - distance - edge
    shape = np.ceil((points.max(axis=0) + distance + edge - origin) / edge).astype(int) + 1
    reach = np.arange(-CELLS - 1, CELLS + 2)
    offsets = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    home = np.floor((points - origin) / edge).astype(int)
    cells = home[:, None] + offsets[None]
    # The nearest place of a cell to a point
    corner = origin + cells * edge
    gap = np.maximum(0.0, np.maximum(corner - points[:, None], points[:, None] - corner - edge))
    near = (gap**2).sum(axis=-1) <= distance**2 * (1 + 1e-12)
    owner, which = np.nonzero(near)
    flat = np.ravel_multi_index(tuple(cells[owner, which].T), tuple(shape))
    order = np.argsort(flat, kind="stable")
    starts = np.zeros(int(np.prod(shape)) + 1, np.int64)
    np.cumsum(np.bincount(flat, minlength=int(np.prod(shape))), out=starts[1:])
    return origin, edge, np.r_[shape, starts].astype(np.int64), owner[order].astype(np.int64)


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_compiled
def count_poses(
    overlap: Any, bounds: Any, tables: Any, squares: Any, owner: Any, offsets: Any, space: Any
) -> tuple[Any, Any, Any]:
    """Complexes of one rotation: flat indices into the space, patterns, and the best pose.

    Arguments:
        overlap: (A, B, C, 2) clash and touch at each turned translation.
        bounds: clash is below the first, touch above the second.
        tables: three of (A, P), (B, P), (C, P): squared distance of each pair along each turned axis.
        squares: (P,) and (P,) squared bounds of the pairs.
        owner: (P,) restraint of each pair.
        offsets: (A,), (B,), (C,) what each turned index adds to the flat index into the space.
        space: flat, largest number of satisfied restraints so far; updated.

    Returns:
        (F,) flat indices, (F,) patterns, and of the pose with most restraints and then most touch: number of
        restraints, touch, flat index.
    """
    n0, n1, n2, _ = overlap.shape
    lower, upper = squares
    capacity, count = 4096, 0
    flat, patterns = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    best = np.array([-1, 0, 0])
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                if not (overlap[i, j, k, 1] > bounds[1] and overlap[i, j, k, 0] < bounds[0]):
                    continue
                pattern = np.int64(0)
                for p in range(len(owner)):
                    square = tables[0][i, p] + tables[1][j, p] + tables[2][k, p]
                    if lower[p] <= square <= upper[p]:
                        pattern |= np.int64(1) << owner[p]
                if count == capacity:
                    capacity *= 2
                    flat = np.append(flat, np.empty(count, np.int64))
                    patterns = np.append(patterns, np.empty(count, np.int64))
                here = offsets[0][i] + offsets[1][j] + offsets[2][k]
                flat[count], patterns[count] = here, pattern
                bits, rest = 0, pattern
                while rest:
                    rest &= rest - 1
                    bits += 1
                space[here] = max(space[here], bits)
                if bits >= best[0]:
                    touch = np.int64(np.rint(overlap[i, j, k, 1]))
                    if bits > best[0] or touch > best[1]:
                        best[0], best[1], best[2] = bits, touch, here
                count += 1
    return flat[:count].copy(), patterns[:count].copy(), best


@_compiled
def _add_contacts(
    first: Any, second: Any, cells: Any, moves: Any, levels: Any, square: float, weight: float, contacts: Any
) -> None:
    """Add `weight` to contacts[level, i, j] for every pose in which points i and j are near.

    Arguments:
        first: (F, 3) points of the fixed body.
        second: (S, 3) points of the scanning one, turned.
        cells: what `_near_points` makes of the first.
        moves: (P, 3) translations of the scanning body.
        levels: (P,) first index into `contacts`.
        square: squared distance of a contact.
        weight: of the rotation.
        contacts: (L, F, S); updated.
    """
    origin, edge, layout, entries = cells
    nx, ny, nz = layout[0], layout[1], layout[2]
    for p in range(len(moves)):
        for j in range(len(second)):
            x, y, z = second[j, 0] + moves[p, 0], second[j, 1] + moves[p, 1], second[j, 2] + moves[p, 2]
            cx, cy, cz = (
                np.int64(np.floor((x - origin[0]) / edge)),
                np.int64(np.floor((y - origin[1]) / edge)),
                np.int64(np.floor((z - origin[2]) / edge)),
            )
            if not (0 <= cx < nx and 0 <= cy < ny and 0 <= cz < nz):
                continue
            cell = 3 + (cx * ny + cy) * nz + cz
            for entry in range(layout[cell], layout[cell + 1]):
                i = entries[entry]
                dx, dy, dz = first[i, 0] - x, first[i, 1] - y, first[i, 2] - z
                if dx * dx + dy * dy + dz * dz <= square:
                    contacts[levels[p], i, j] += weight
