"""Solvent-accessible surface by the method of Lee & Richards (J. Mol. Biol. 55:379, 1971).

Each atom, swollen by the probe, is cut into `slices` of equal thickness; the arcs of every cut circle that
lie outside all neighbouring spheres make up its accessible area. With the same slices this is the number that
FreeSASA computes (its default), here with an early end: `residues_above` only has to know which residues pass
a threshold, and a sum of areas only grows.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PROBE = 1.4
"""Radius of a water molecule, Å."""

_SECTOR = 64 / (2.0 * np.pi)
# Half arcs in sectors at 1024 cosines, read at the next higher one so as never to be too long.
_HALF_ARC = np.arccos(np.minimum(np.arange(1026) / 512.0 - 1.0, 1.0)) * _SECTOR


def atom_areas(xyz: Floats, radii: Floats, *, probe: float = PROBE, slices: int = 20) -> Floats:
    """Accessible area of each atom.

    Arguments:
        xyz: (N, 3) coordinates, Å.
        radii: (N,) van der Waals radii, Å.
        probe: radius of the solvent probe, Å.
        slices: cuts per atom; 20 is FreeSASA's default, with errors of about 1 % of an atom's area.

    Returns:
        (N,) areas, Å².
    """
    index = np.arange(len(xyz), dtype=np.int64)
    never = np.full(len(xyz), np.inf)
    result: Floats = _group_areas(*_grid(xyz, radii, probe), index, never, slices)
    return result


def residues_above(
    xyz: Floats, radii: Floats, residue: Ints, threshold: Floats, *, probe: float = PROBE, slices: int = 20
) -> NDArray[np.bool_]:
    """Which residues have an accessible area of at least their threshold.

    Arguments:
        xyz: (N, 3) coordinates, Å.
        radii: (N,) van der Waals radii, Å.
        residue: (N,) index of the residue of each atom, in 0..R-1.
        threshold: (R,) areas, Å².
        probe: radius of the solvent probe, Å.
        slices: cuts per atom.

    Returns:
        (R,) booleans, the same as comparing sums of `atom_areas`, sooner.
    """
    areas = _group_areas(*_grid(xyz, radii, probe), residue.astype(np.int64), threshold.astype(float), slices)
    result: NDArray[np.bool_] = areas >= threshold
    return result


def _grid(xyz: Floats, radii: Floats, probe: float) -> tuple[Floats, Floats, Ints, Ints, Ints]:
    """Swollen spheres sorted into cells as wide as the largest distance at which two of them can touch."""
    centres = np.ascontiguousarray(xyz, dtype=np.float64)
    swollen = np.ascontiguousarray(radii, dtype=np.float64) + probe
    if len(centres) == 0:
        raise ValueError("A surface needs at least one atom.")
    cell = ((centres - centres.min(axis=0)) // (2.0 * swollen.max())).astype(np.int64)
    shape = cell.max(axis=0) + 1
    flat = np.ravel_multi_index(tuple(cell.T), tuple(shape))
    order = np.argsort(flat, kind="stable")
    start = np.searchsorted(flat[order], np.arange(int(np.prod(shape)) + 1))
    return centres, swollen, np.column_stack([cell, np.broadcast_to(shape, cell.shape)]), order, start


def _jit(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_jit
def _neighbours(i: int, xyz: Floats, radii: Floats, cell: Ints, order: Ints, start: Ints, found: Ints) -> int:
    """Write the indices of the spheres that cut sphere i to `found`; their number."""
    count = 0
    nx, ny, nz = cell[i, 3], cell[i, 4], cell[i, 5]
    for cx in range(max(cell[i, 0] - 1, 0), min(cell[i, 0] + 2, nx)):
        for cy in range(max(cell[i, 1] - 1, 0), min(cell[i, 1] + 2, ny)):
            for cz in range(max(cell[i, 2] - 1, 0), min(cell[i, 2] + 2, nz)):
                flat = (cx * ny + cy) * nz + cz
                for k in range(start[flat], start[flat + 1]):
                    j = order[k]
                    dx, dy, dz = xyz[j, 0] - xyz[i, 0], xyz[j, 1] - xyz[i, 1], xyz[j, 2] - xyz[i, 2]
                    reach = radii[i] + radii[j]
                    if j != i and dx * dx + dy * dy + dz * dz < reach * reach and count < len(found):
                        found[count] = j
                        count += 1
    return count


@_jit
def _open_angle(begin: Floats, end: Floats, count: int) -> float:
    """Length of [0, 2π) that none of the `count` intervals covers; sorts them by their begin in place."""
    for a in range(1, count):
        b0, e0 = begin[a], end[a]
        k = a - 1
        while k >= 0 and begin[k] > b0:
            begin[k + 1], end[k + 1] = begin[k], end[k]
            k -= 1
        begin[k + 1], end[k + 1] = b0, e0
    angle, covered = 0.0, 0.0
    for a in range(count):
        if begin[a] > covered:
            angle += begin[a] - covered
        covered = max(covered, end[a])
    return angle + max(2.0 * np.pi - covered, 0.0)


@_jit
def _certainly_covered(near: Floats, count: int) -> bool:
    """Whether arcs cover the whole circle, by 64 sectors each inside one arc; False may also mean 'perhaps'.

    Most circles of buried atoms are covered, and this needs neither an arc cosine nor sorting. Columns 4 and
    5 of `near` are the cosine of half the arc and its middle.
    """
    one, covered = np.uint64(1), np.uint64(0)
    for k in range(count):
        half = _HALF_ARC[int((near[k, 4] + 1.0) * 512.0) + 1]
        middle = near[k, 5] * _SECTOR
        low, high = int(np.ceil(middle - half)), int(np.floor(middle + half))
        if high - low >= 64:
            return True
        if high > low:
            bits = (one << np.uint64(high - low)) - one
            turn = np.uint64(low & 63)
            covered |= bits << turn
            if turn:
                covered |= bits >> (np.uint64(64) - turn)
    full: bool = covered == ~np.uint64(0)
    return full


@_jit
def _circle(z: float, ri: float, near: Floats, count: int, begin: Floats, end: Floats) -> float:
    """Uncovered angle of the circle that the plane z cuts from a sphere of radius ri at the origin.

    `near` holds for each neighbour its z, squared radius, distance in the plane, and direction in the plane;
    its last two columns are work space.
    """
    arcs, touching = 0, 0
    for k in range(count):
        dz = near[k, 0] - z
        rj2 = near[k, 1] - dz * dz
        if rj2 > 0.0:
            rj, d = np.sqrt(rj2), near[k, 2]
            if d + ri <= rj:
                return 0.0
            if d < ri + rj and d + rj > ri:
                near[touching, 4] = (ri * ri + d * d - rj2) / (2.0 * ri * d)
                near[touching, 5] = near[k, 3]
                touching += 1
    if _certainly_covered(near, touching):
        return 0.0
    for k in range(touching):
        half = np.arccos(near[k, 4])
        low, high = near[k, 5] - half, near[k, 5] + half
        if low < 0.0:
            begin[arcs], end[arcs] = low + 2.0 * np.pi, 2.0 * np.pi
            arcs += 1
            low = 0.0
        elif high > 2.0 * np.pi:
            begin[arcs], end[arcs] = 0.0, high - 2.0 * np.pi
            arcs += 1
            high = 2.0 * np.pi
        begin[arcs], end[arcs] = low, high
        arcs += 1
    return 2.0 * np.pi if arcs == 0 else _open_angle(begin, end, arcs)


@_jit
def _group_areas(
    xyz: Floats, radii: Floats, cell: Ints, order: Ints, start: Ints, group: Ints, enough: Floats, slices: int
) -> Floats:
    """Summed area of each group of atoms, no further than `enough` of it."""
    area = np.zeros(len(enough))
    found = np.empty(4096, dtype=np.int64)
    near = np.empty((4096, 6))
    begin, end = np.empty(8192), np.empty(8192)
    # Outer side-chain atoms stand last in a residue and are the most exposed: start with them.
    for i in range(len(xyz) - 1, -1, -1):
        g = group[i]
        if area[g] >= enough[g]:
            continue
        count = _neighbours(i, xyz, radii, cell, order, start, found)
        for k in range(count):
            j = found[k]
            dx, dy = xyz[j, 0] - xyz[i, 0], xyz[j, 1] - xyz[i, 1]
            near[k, 0] = xyz[j, 2] - xyz[i, 2]
            near[k, 1] = radii[j] * radii[j]
            near[k, 2] = np.sqrt(dx * dx + dy * dy)
            near[k, 3] = np.arctan2(dy, dx) + np.pi
        thickness = 2.0 * radii[i] / slices
        total = 0.0
        for s in range(slices):
            z = -radii[i] + (s + 0.5) * thickness
            ri = np.sqrt(radii[i] * radii[i] - z * z)
            total += _circle(z, ri, near, count, begin, end) * thickness * radii[i]
            if area[g] + total >= enough[g]:
                break
        area[g] += total
    return area
