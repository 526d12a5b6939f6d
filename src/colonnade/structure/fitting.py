"""A structure fitted into a density map, by PowerFit and a refinement off its grid.

PowerFit (van Zundert & Bonvin, AIMS Biophysics 2:73, 2015; J. Struct. Biol. 195:252, 2016) scores every rotation and
translation by the local cross-correlation with the map, core-weighted and after a Laplace filter. Its grid is as coarse
as its rotations; from its best solutions the pose is refined here by the same correlation of the Laplace-filtered
densities, continuously.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.structure.structures import Structure, StructureError
from colonnade.structure.voxels import DensityMap

Array = NDArray[np.float64]
Track = Callable[[Sequence[int], str], Iterable[int]]

MAX_SIDE = 256
"""Largest number of voxels of a map along each axis."""
BOUNDS: dict[str, tuple[float, float, str]] = {"resolution": (2.0, 60.0, "Å"), "angle": (4.71, 63.0, "°")}
"""Allowed values of the settings of `fit_map`."""
DISTINCT = 4.0
"""Solutions closer than this (Å of root-mean-square deviation) are one, the best of them."""


@dataclass(frozen=True)
class Fit:
    """One placement of the structure, x -> R x + t.

    Attributes:
        correlation: local cross-correlation with the map, as PowerFit scores it at its grid.
        fisher_z: Fisher's z of it.
        relative_z: that over its standard error, from the volume of the structure and the resolution.
        rotation: (3, 3) R.
        translation: (3,) t, Å.
        refined: correlation of the densities after refinement; before it, `rotation` and `translation` are of the grid.
    """

    correlation: float
    fisher_z: float
    relative_z: float
    rotation: Array
    translation: Array
    refined: float | None = None

    def of(self, structure: Structure) -> Structure:
        """The structure where this fit has it."""
        return structure.moved(self.rotation, self.translation)


@dataclass(frozen=True, eq=False)
class MapFit:
    """Fits of a structure in a map, the best first, and the map of the best correlation at each place.

    `lcc` is on the map as the search had it: resampled, trimmed.
    """

    fits: tuple[Fit, ...]
    lcc: DensityMap
    resolution: float
    angle: float
    rotations: int


def read_map(path: str | Path) -> DensityMap:
    """Read a CCP4 or MRC map of modes 0, 1, 2 or 6, gzip-compressed or not, with its axes in any order.

    Raises:
        StructureError: it cannot be read, its voxels are not cubes, it is larger than 256 voxels a side, or it holds
            values that are not numbers.
    """
    import gemmi

    path = Path(path)
    try:
        ccp4 = gemmi.read_ccp4_map(str(path))
    except (RuntimeError, ValueError, OSError, IndexError) as error:
        raise StructureError(
            f"{path.name} is no CCP4 or MRC map: {' '.join(str(error).split()).rstrip('.')}."
        ) from None
    try:
        ccp4.setup(float("nan"), gemmi.MapSetup.ReorderOnly)
    except (RuntimeError, ValueError) as error:
        raise StructureError(f"{path.name}: {' '.join(str(error).split())}.") from None
    values = np.array(ccp4.grid, copy=True, dtype=np.float64).transpose(2, 1, 0)
    if max(values.shape) > MAX_SIDE:
        size = " x ".join(map(str, values.shape[::-1]))
        raise StructureError(f"{path.name} has {size} voxels; up to {MAX_SIDE} along each axis are taken.")
    if not np.isfinite(values).all():
        raise StructureError(f"{path.name} holds values that are not numbers.")
    if values.max() <= 0 or values.std() == 0:
        raise StructureError(f"{path.name} holds no density.")
    cell, sampling = ccp4.grid.unit_cell, [ccp4.header_i32(word) for word in (8, 9, 10)]
    if any(abs(angle - 90) > 0.1 for angle in (cell.alpha, cell.beta, cell.gamma)):
        raise StructureError(f"{path.name} has a cell that is not rectangular.")
    voxel = np.array([cell.a, cell.b, cell.c]) / np.maximum(sampling, 1)
    if np.ptp(voxel) > 0.01 * voxel.mean() or voxel.min() <= 0:
        sides = ", ".join(f"{side:.3f}" for side in voxel)
        raise StructureError(f"{path.name} has voxels of {sides} Å; only cubes are taken.")
    origin = np.array([ccp4.header_float(word) for word in (50, 51, 52)], dtype=np.float64)
    if not np.isfinite(origin).all() or (origin == 0).all():
        origin = np.array([ccp4.header_i32(word) for word in (5, 6, 7)]) * voxel
    return DensityMap(values, float(voxel.mean()), origin)


def simulated_map(structure: Structure, resolution: float, spacing: float) -> DensityMap:
    """Density of a structure: at each atom a Gaussian of its atomic number, as wide as the resolution (Å) asks."""
    from powerfit_em.volume import structure_to_shape

    heavy = structure.heavy
    volume = structure_to_shape(heavy.xyz.T.copy(), resolution, weights=_atomic_numbers(heavy))
    factor = volume.voxelspacing / spacing
    if abs(factor - 1) > 1e-6:
        from powerfit_em.volume import Volume, structure_to_shape_like

        shape = tuple(int(np.ceil(n * factor)) for n in volume.array.shape)
        empty = Volume(np.zeros(shape), spacing, volume.origin)
        volume = structure_to_shape_like(empty, heavy.xyz.T.copy(), resolution, _atomic_numbers(heavy))
    return DensityMap(volume.array, spacing, np.asarray(volume.origin, dtype=np.float64))


def check_fit(density: DensityMap, structure: Structure, resolution: float, angle: float) -> None:
    """Raise `StructureError` unless this can be fitted; takes no time."""
    for name, value in (("resolution", resolution), ("angle", angle)):
        low, high, unit = BOUNDS[name]
        if not low <= value <= high:
            raise StructureError(f"{name}: {value:g} {unit} is outside the range of {low:g} to {high:g} {unit}.")
    if resolution < 2 * density.spacing:
        raise StructureError(
            f"resolution: {resolution:g} Å is finer than two voxels of the map ({2 * density.spacing:.3g} Å)."
        )
    heavy = structure.heavy
    if len(heavy) < 10:
        raise StructureError(f"model: {structure.name} has only {len(heavy)} heavy atoms.")
    if (heavy.atom == "CA").all():
        raise StructureError(f"model: {structure.name} has only CA atoms; its density needs all heavy atoms.")
    room = np.sort(np.array(density.values.shape) * density.spacing)
    size = np.sort(np.ptp(heavy.xyz, axis=0))
    if (size > room + resolution).any():
        raise StructureError(
            f"model: {structure.name} ({' x '.join(f'{s:.0f}' for s in size)} Å) is larger than the map "
            f"({' x '.join(f'{s:.0f}' for s in room)} Å)."
        )


def fit_map(
    density: DensityMap,
    structure: Structure,
    resolution: float,
    *,
    angle: float = 10.0,
    laplace: bool = True,
    core_weighted: bool = True,
    refine: int = 5,
    most: int = 10,
    track: Track | None = None,
) -> MapFit:
    """Fit a structure into a map, all rotations and translations.

    Waters and hydrogens are left out.

    Arguments:
        density: the map.
        structure: what is fitted; where it lies does not matter.
        resolution: of the map, Å.
        angle: covering radius of the rotations, degrees; the nearest of `rotations.angles()` is used.
        laplace: filter map and structure by the Laplacian, which stresses contours.
        core_weighted: weigh the correlation by the depth in the structure.
        refine: number of solutions that are refined off the grid.
        most: largest number of fits in the answer.
        track: wraps the loop over rotations, to show progress.

    Raises:
        StructureError: a setting is outside its range, or the structure does not fit into the map.
    """
    from powerfit_em import determine_core_indices
    from powerfit_em.analyzer import Analyzer
    from powerfit_em.helpers import fisher_sigma
    from powerfit_em.powerfitter import PowerFitter
    from powerfit_em.volume import structure_to_shape_like

    check_fit(density, structure, resolution, angle)
    body = structure.heavy.select(structure.heavy.kind != "water")
    target = _target(density, resolution)
    rotations = _rotations(angle)
    numbers, at_origin = _atomic_numbers(body), body.xyz - body.xyz.mean(axis=0) + target.origin
    template = structure_to_shape_like(target, at_origin.T.copy(), resolution, numbers)
    mask = structure_to_shape_like(target, at_origin.T.copy(), resolution, shape="mask")
    if core_weighted:
        mask.array = determine_core_indices(mask.array)
    space = structure_to_shape_like(target, at_origin.T.copy(), resolution, radii=_radii(body), shape="mask")
    volume = max(float(space.array.sum()) * target.voxelspacing**3, 4 * resolution)
    search = PowerFitter(target, rotations.matrices, template, mask, queue=None, laplace=laplace)
    progress: Any = None if track is None else lambda indices: track(list(indices), "Searching rotations")
    search.scan(progress)
    found = Analyzer(
        search.lcc, rotations.matrices, search.rot,
        voxelspacing=target.voxelspacing, origin=target.origin, z_sigma=fisher_sigma(volume, resolution),
    )  # fmt: skip
    centre = body.xyz.mean(axis=0)
    fits = [_fit(solution, centre) for solution in found.solutions]
    fits = _distinct(fits, body.xyz, most)
    score = _Score(target, body.xyz - centre, numbers, resolution, laplace)
    fits = [score.refined(fit, centre) if k < refine else fit for k, fit in enumerate(fits)]
    lcc = DensityMap(search.lcc, float(target.voxelspacing), np.asarray(target.origin, dtype=np.float64))
    return MapFit(tuple(fits), lcc, resolution, rotations.angle, len(rotations.matrices))


@dataclass(frozen=True)
class _Rotations:
    angle: float
    matrices: Array


def _rotations(angle: float) -> _Rotations:
    from colonnade.structure.rotations import rotation_set

    chosen = rotation_set(angle)
    return _Rotations(chosen.angle, chosen.all()[0])


def _target(density: DensityMap, resolution: float) -> Any:
    """The map as PowerFit searches it: twice the Nyquist rate, trimmed to a tenth of its maximum."""
    from powerfit_em.volume import Volume, extend, nearest_multiple2357, resample, trim

    volume = Volume(density.values.astype(np.float64), density.spacing, tuple(density.origin))
    factor = 4 * density.spacing / resolution
    if factor < 0.9:
        volume = resample(volume, factor)
    volume = trim(volume, volume.array.max() / 10)
    volume = extend(volume, [nearest_multiple2357(n) for n in volume.array.shape])
    volume.origin = np.asarray(volume.origin, dtype=np.float64)
    return volume


def _fit(solution: Sequence[float], centre: Array) -> Fit:
    rotation = np.array(solution[6:15], dtype=np.float64).reshape(3, 3)
    correlation, fisher_z, relative_z = (float(value) for value in solution[:3])
    return Fit(
        correlation, fisher_z, relative_z, rotation, np.array(solution[3:6], dtype=np.float64) - rotation @ centre
    )


def _distinct(fits: Sequence[Fit], xyz: Array, most: int) -> list[Fit]:
    """The best of fits that are nearly the same."""
    points = xyz[:: max(1, len(xyz) // 200)]
    kept: list[Fit] = []
    placed: list[Array] = []
    for fit in fits:
        here = points @ fit.rotation.T + fit.translation
        if all(np.sqrt(((here - other) ** 2).sum(axis=1).mean()) > DISTINCT for other in placed):
            kept.append(fit)
            placed.append(here)
        if len(kept) == most:
            break
    return kept


@dataclass
class _Score:
    """Correlation of the map with the density of the structure in any pose."""

    target: Any
    xyz: Array
    numbers: Array
    resolution: float
    laplace: bool

    def __post_init__(self) -> None:
        from scipy.ndimage import laplace

        self.map = laplace(self.target.array, mode="wrap") if self.laplace else self.target.array

    def __call__(self, rotation: Array, place: Array) -> float:
        """Correlation inside the structure's envelope; -1 where it leaves the map."""
        from powerfit_em.volume import structure_to_shape_like
        from scipy.ndimage import laplace

        points = (self.xyz @ rotation.T + place).T
        steps = (points.mean(axis=1) - self.target.origin) / self.target.voxelspacing
        if (steps < 0).any() or (steps[::-1] >= self.target.array.shape).any():
            return -1.0
        try:
            density = structure_to_shape_like(self.target, points.copy(), self.resolution, self.numbers).array
        except (IndexError, ValueError):
            return -1.0
        inside = density > 0.05 * density.max()
        density = laplace(density, mode="wrap") if self.laplace else density
        a, b = self.map[inside], density[inside]
        return float(np.corrcoef(a, b)[0, 1]) if len(a) > 10 and a.std() > 0 and b.std() > 0 else -1.0

    def refined(self, fit: Fit, centre: Array) -> Fit:
        """The fit moved and turned to the nearest maximum of the correlation."""
        from scipy.optimize import minimize
        from scipy.spatial.transform import Rotation

        start = fit.rotation @ centre + fit.translation
        size = max(float(np.sqrt((self.xyz**2).sum(axis=1).mean())), 1.0)  # so that a turn moves atoms as a shift does

        def pose(step: Array) -> tuple[Array, Array]:
            turn: Array = Rotation.from_rotvec(step[3:] / size).as_matrix()
            return turn @ fit.rotation, start + step[:3]

        best = minimize(
            lambda step: -self(*pose(step)),
            np.zeros(6),
            method="Powell",
            options={"maxfev": 400, "xtol": 0.02, "ftol": 1e-5},
            bounds=[(-8.0, 8.0)] * 6,
        )
        rotation, place = pose(best.x)
        before = self(fit.rotation, start)
        if -best.fun < before:
            rotation, place, value = fit.rotation, start, before
        else:
            value = float(-best.fun)
        return Fit(fit.correlation, fit.fisher_z, fit.relative_z, rotation, place - rotation @ centre, value)


def _atomic_numbers(structure: Structure) -> Array:
    import gemmi

    table = {e: float(max(1, gemmi.Element(e).atomic_number)) for e in set(structure.element.tolist())}
    return np.array([table[e] for e in structure.element.tolist()])


def _radii(structure: Structure) -> Array:
    from colonnade.structure.voxels import radii

    return radii(structure)
