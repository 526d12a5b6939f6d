"""Rigid-body refinement: placements slide downhill in the exact energy of `_dock_fields`, pair by pair of atoms.

Only the atoms of the moving body that are near the fixed one cost anything: each cell of a grid knows the fixed atoms
within reach of it. What charges further away do, which is little and smooth, is a field on a grid.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from colonnade.structure import _dock_atoms as atoms
from colonnade.structure import _dock_fields as energy
from colonnade.structure._dock_search import Penalties

if TYPE_CHECKING:
    from colonnade.structure.structures import Structure

Array = NDArray[np.float64]

CELL = 2.0
"""Edge of the cells that know their neighbours, Å."""

HUGE = 1e300
"""Above every energy; infinity has no place in fast arithmetic."""

FIRST_STEP, LAST_STEP = 0.25, 0.01
"""Steps of the minimiser, Å, at its start and its end."""


@dataclass(frozen=True)
class Refined:
    """(M, 4) vdw, contact, electrostatic and restraint terms; (M, 3, 3) rotations and (M, 3) centres, Å."""

    terms: Array
    rotations: Array
    centres: Array

    @property
    def energies(self) -> Array:
        """(M,) sums of the terms."""
        total: Array = self.terms.sum(axis=1)
        return total


class Refinement:
    """Minimiser of placements.

    Arguments:
        model: the energy.
        fixed: the body that stays.
        moving: the other body, in its own frame.
        centre: (3,) of the moving body in that frame, Å.
        springs: restraints, their second points from the moving body's centre, Å.
        steps: of the minimiser.
        threads: placements that are refined at a time.
    """

    def __init__(
        self,
        model: energy.Model,
        fixed: Structure,
        moving: Structure,
        centre: Array,
        springs: Penalties,
        *,
        steps: int = 60,
        threads: int = 1,
    ) -> None:
        self.steps, self.threads = steps, threads
        points, charges = moving.xyz - centre, atoms.charges(moving)
        low, shape = _box(fixed.xyz, energy.CONTACT[1], CELL)
        near = _neighbours(fixed.xyz, low, np.array(shape), CELL, energy.CONTACT[1])
        field_low, size = _box(fixed.xyz, 12.0, 1.0)
        self._world = (
            (points, atoms.types(moving), charges),
            (np.ascontiguousarray(fixed.xyz), atoms.types(fixed), atoms.charges(fixed) * model.charge,
             low, np.array(shape), *near),
            energy.pair_tables(model),
            (field_low, energy.potential(model, fixed, field_low, 1.0, size, least=energy.CONTACT[1])),
            (springs.first, springs.second, springs.lower, springs.upper, springs.owner,
             np.array([springs.count, springs.weight, springs.cap])),
        )  # fmt: skip
        # A turn by this many radians moves the rim as far as a step of one Å moves the centre.
        self._radius = float(np.sqrt((points**2).sum(axis=1).mean()))

    def run(self, rotations: Array, centres: Array, batch: int = 50) -> Refined:
        """Refine (M, 3, 3) rotations and (M, 3) centres in Å."""
        turned, moved = np.array(rotations, dtype=np.float64), np.array(centres, dtype=np.float64)
        terms = np.zeros((len(moved), 4))

        def refine(start: int) -> None:
            part = slice(start, start + batch)
            self._slide(turned[part], moved[part], terms[part])

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(refine, range(0, len(moved), batch)))
        return Refined(terms, turned, moved)

    def gradient(self, rotation: Array, centre: Array) -> Array:
        """(6,) slope of the energy of a placement by shifts (each Å) and by turns about its centre (each radian)."""
        force: Array = np.zeros(6)
        _energy(rotation, centre, *self._world, np.zeros(4), force)
        return force

    def _slide(self, rotations: Array, centres: Array, terms: Array) -> None:
        _refine(rotations, centres, terms, self.steps, self._radius, *self._world)


def _box(points: Array, rim: float, spacing: float) -> tuple[Array, tuple[int, int, int]]:
    """Lowest corner and (Z, Y, X) number of points of a grid around points, with a rim."""
    low = points.min(axis=0) - rim
    x, y, z = np.ceil((points.max(axis=0) + rim - low) / spacing).astype(int) + 1
    return low, (int(z), int(y), int(x))


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True, fastmath=True)(function)


@_compiled
def _neighbours(points: Any, low: Any, shape: Any, edge: float, reach: float) -> tuple[Any, Any]:
    """Which points come within reach of some place in a cell: starts of each cell's part of a list, and the list."""
    nz, ny, nx = shape[0], shape[1], shape[2]
    starts = np.zeros(nz * ny * nx + 1, np.int64)
    for sweep in range(2):
        if sweep == 1:
            starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(starts[:-1])))
            found = np.empty(starts[-1], np.int32)
            fill = starts.copy()
        for i in range(len(points)):
            p = (points[i] - low) / edge
            r = reach / edge
            for z in range(max(0, int(p[2] - r) - 1), min(nz, int(p[2] + r) + 1)):
                for y in range(max(0, int(p[1] - r) - 1), min(ny, int(p[1] + r) + 1)):
                    for x in range(max(0, int(p[0] - r) - 1), min(nx, int(p[0] + r) + 1)):
                        dx = max(x - p[0], p[0] - x - 1.0, 0.0)
                        dy = max(y - p[1], p[1] - y - 1.0, 0.0)
                        dz = max(z - p[2], p[2] - z - 1.0, 0.0)
                        if dx * dx + dy * dy + dz * dz < r * r:
                            cell = (z * ny + y) * nx + x
                            if sweep == 0:
                                starts[cell] += 1
                            else:
                                found[fill[cell]] = i
                                fill[cell] += 1
    return starts, found


@_compiled
def _pairs(at: Any, kind: int, charge: float, fixed: Any, tables: Any, felt: Any, pull: Any) -> None:
    """Add the vdw, contact and electrostatic energy of an atom to felt, and its gradient to `pull`."""
    points, kinds, charges, low, shape, starts, near = fixed
    minimum, depth, contact, reach = tables
    edge = CELL
    x, y, z = int((at[0] - low[0]) / edge), int((at[1] - low[1]) / edge), int((at[2] - low[2]) / edge)
    if at[0] < low[0] or at[1] < low[1] or at[2] < low[2] or x >= shape[2] or y >= shape[1] or z >= shape[0]:
        return
    cell = (z * shape[1] + y) * shape[2] + x
    fade_low, cut = reach[0], reach[1]
    for n in range(starts[cell], starts[cell + 1]):
        j = near[n]
        d0, d1, d2 = at[0] - points[j, 0], at[1] - points[j, 1], at[2] - points[j, 2]
        square = d0 * d0 + d1 * d1 + d2 * d2
        if square >= cut * cut:
            continue
        d = max(np.sqrt(square), 0.1)
        t = kinds[j]
        value, slope = _soft_well(d, minimum[kind, t], depth[kind, t], cut)
        felt[0] += value
        e = contact[kind, t]
        if d < fade_low:
            felt[1] += e
        else:
            felt[1] += e * (cut - d) / (cut - fade_low)
            slope -= e / (cut - fade_low)
        both = charge * charges[j]
        if both != 0.0:
            value, steepness = _screened(d, cut)
            felt[2] += both * value
            slope += both * steepness
        slope /= d
        pull[0] += slope * d0
        pull[1] += slope * d1
        pull[2] += slope * d2


@_compiled
def _soft_well(d: float, minimum: float, depth: float, cut: float) -> tuple[float, float]:
    """Energy and slope at a distance: see `_dock_fields.well`."""
    floor = 0.8 * minimum
    r = minimum / max(d, floor)
    r6 = r**6
    c6 = (minimum / cut) ** 6
    value = depth * (r6 * r6 - 2.0 * r6 - (c6 * c6 - 2.0 * c6))
    slope = -12.0 * depth * (r6 * r6 - r6) / max(d, floor)
    if d < floor:
        value += slope * (d - floor)
    return value, slope


@_compiled
def _screened(d: float, cut: float) -> tuple[float, float]:
    """`_dock_fields.screened` above its value at `cut`, which is between 6 and 8 Å, and its slope."""
    end = 1.0 / ((38.0 * cut - 224.0) * cut)
    if d <= 6.0:
        return 0.25 / max(d, 2.0) - end, (-0.25 / d**2 if d > 2.0 else 0.0)
    product = (38.0 * d - 224.0) * d
    return 1.0 / product - end, -(76.0 * d - 224.0) / product**2


@_compiled
def _charge(at: Any, charge: float, place: Any, felt: Any, pull: Any) -> None:
    """Add the energy of a charge in the field of far charges to felt[2], and its gradient to `pull`."""
    low, field = place
    x, y, z = at[0] - low[0], at[1] - low[1], at[2] - low[2]
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    if i < 0 or j < 0 or k < 0 or i + 1 >= field.shape[2] or j + 1 >= field.shape[1] or k + 1 >= field.shape[0]:
        return
    fx, fy, fz = x - i, y - j, z - k
    for corner in range(8):
        a, b, c = corner & 1, (corner >> 1) & 1, corner >> 2
        wx, wy, wz = (fx if a else 1 - fx), (fy if b else 1 - fy), (fz if c else 1 - fz)
        v = charge * field[k + c, j + b, i + a]
        felt[2] += v * wx * wy * wz
        pull[0] += v * (1.0 if a else -1.0) * wy * wz
        pull[1] += v * (1.0 if b else -1.0) * wx * wz
        pull[2] += v * (1.0 if c else -1.0) * wx * wy


@_compiled
def _springs(rotation: Any, centre: Any, springs: Any, felt: Any, force: Any) -> None:
    """Add the restraints' penalty to felt[3] and its gradient to `force` (shift, turn)."""
    first, second, lower, upper, owner, settings = springs
    count, weight, cap = int(settings[0]), settings[1], settings[2]
    least, nearest = np.full(count, HUGE), np.full(count, -1)
    for p in range(len(owner)):
        d = np.sqrt(((rotation @ second[p] + centre - first[p]) ** 2).sum())
        over = max(d - upper[p], lower[p] - d, 0.0)
        if over < least[owner[p]]:
            least[owner[p]], nearest[owner[p]] = over, p
    for r in range(count):
        p = nearest[r]
        felt[3] += weight * min(least[r], cap)
        if 0.0 < least[r] < cap:
            arm = rotation @ second[p]
            apart = arm + centre - first[p]
            d = max(np.sqrt((apart**2).sum()), 0.1)
            _push(apart * (weight / d * (1.0 if d > upper[p] else -1.0)), arm, force)


@_compiled
def _push(pull: Any, arm: Any, force: Any) -> None:
    force[0] += pull[0]
    force[1] += pull[1]
    force[2] += pull[2]
    force[3] += arm[1] * pull[2] - arm[2] * pull[1]
    force[4] += arm[2] * pull[0] - arm[0] * pull[2]
    force[5] += arm[0] * pull[1] - arm[1] * pull[0]


@_compiled
def _energy(
    rotation: Any, centre: Any, moving: Any, fixed: Any, tables: Any, field: Any, springs: Any, felt: Any, force: Any
) -> None:
    """The terms of a placement into felt, and the gradient by shift and turn into force."""
    points, kinds, charges = moving
    felt[:], force[:] = 0.0, 0.0
    pull = np.empty(3)
    for i in range(len(points)):
        arm = rotation @ points[i]
        at = arm + centre
        pull[:] = 0.0
        _pairs(at, kinds[i], charges[i], fixed, tables, felt, pull)
        if charges[i] != 0.0:
            _charge(at, charges[i], field, felt, pull)
        _push(pull, arm, force)
    _springs(rotation, centre, springs, felt, force)


@_compiled
def _turn(vector: Any) -> Any:
    """Rotation matrix of a rotation vector."""
    angle = max(np.sqrt((vector**2).sum()), 1e-12)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


@_compiled
def _refine(
    rotations: Any, centres: Any, terms: Any, steps: int, radius: float, moving: Any, fixed: Any, tables: Any,
    field: Any, springs: Any,
) -> None:  # fmt: skip
    """Adam (Kingma & Ba, 2015) over shifts and turns, with falling steps; the best place on the way is kept."""
    felt, force = np.empty(4), np.empty(6)
    for m in range(len(centres)):
        rotation, centre = rotations[m].copy(), centres[m].copy()
        mean, square = np.zeros(6), np.zeros(6)
        lowest = HUGE
        for step in range(steps + 1):
            _energy(rotation, centre, moving, fixed, tables, field, springs, felt, force)
            total = felt.sum()
            if total < lowest:
                lowest = total
                terms[m], rotations[m], centres[m] = felt, rotation, centre
            if step == steps:
                break
            force[3:] /= radius
            mean = 0.9 * mean + 0.1 * force
            square = 0.999 * square + 0.001 * force**2
            rate = LAST_STEP + 0.5 * (FIRST_STEP - LAST_STEP) * (1.0 + np.cos(np.pi * step / steps))
            move = -rate * (mean / (1.0 - 0.9 ** (step + 1)))
            move /= np.sqrt(square / (1.0 - 0.999 ** (step + 1))) + 1e-8
            rotation = _turn(move[3:] / radius) @ rotation
            centre = centre + move[:3]
