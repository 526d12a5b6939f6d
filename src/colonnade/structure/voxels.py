"""Structures as grids of voxels, and grids as density maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from colonnade.structure.structures import Structure

Array = NDArray[np.float64]

VDW_RADII = {
    "H": 1.20, "D": 1.20, "C": 1.70, "N": 1.55, "O": 1.52, "F": 1.47, "NA": 2.27, "MG": 1.73, "SI": 2.10,
    "P": 1.80, "S": 1.80, "CL": 1.75, "K": 2.75, "NI": 1.63, "CU": 1.40, "ZN": 1.39, "GA": 1.87, "AS": 1.85,
    "SE": 1.90, "BR": 1.85, "AG": 1.72, "CD": 1.58, "I": 1.98, "PT": 1.72, "AU": 1.66, "HG": 1.55,
}  # fmt: skip
"""Van der Waals radii, Å (Bondi, J. Phys. Chem. 68:441, 1964)."""

DEFAULT_RADIUS = 1.70
"""For elements without a radius in the table, Å."""


@dataclass(frozen=True)
class DensityMap:
    """Values on a regular grid.

    Attributes:
        values: (Z, Y, X).
        spacing: edge of a voxel, Å.
        origin: (3,) x, y, z of voxel (0, 0, 0), Å.
    """

    values: NDArray[Any]
    spacing: float
    origin: Array

    def as_atoms(self, least: float, most: int = 3000) -> Structure:
        """The voxels with a value of at least `least` as dummy atoms, for a viewer that draws molecules.

        Every second voxel in each direction (or fewer) is taken when there would be more than `most`.
        """
        from colonnade.structure.structures import Structure

        for step in (1, 2, 3, 4, 6, 8, 16):
            z, y, x = (axis * step for axis in np.nonzero(self.values[::step, ::step, ::step] >= least))
            if len(z) <= most:
                break
        places = self.origin + self.spacing * np.stack([x, y, z], axis=1).astype(float)
        return Structure.of_points("space", places, ["X"] * len(places), "DUM")

    def to_mrc(self, path: str | Path) -> None:
        """Write an MRC2014 (CCP4) file, mode 2, with the origin in its ORIGIN words."""
        import gemmi

        ccp4 = gemmi.Ccp4Map()
        values = np.ascontiguousarray(self.values.transpose(2, 1, 0), dtype=np.float32)
        ccp4.grid = gemmi.FloatGrid(values)
        nz, ny, nx = self.values.shape
        a, b, c = (n * self.spacing for n in (nx, ny, nz))
        ccp4.grid.set_unit_cell(gemmi.UnitCell(a, b, c, 90, 90, 90))
        ccp4.grid.spacegroup = gemmi.SpaceGroup("P 1")
        ccp4.update_ccp4_header(2, True)
        for word, value in zip((50, 51, 52), self.origin, strict=True):
            ccp4.set_header_float(word, float(value))
        ccp4.write_ccp4_map(str(path))


def radii(structure: Structure) -> Array:
    """(N,) van der Waals radii, Å."""
    return np.array([VDW_RADII.get(element, DEFAULT_RADIUS) for element in structure.element.tolist()])


def grid_frame(fixed: Structure, scanning: Structure, margin: float, spacing: float) -> tuple[tuple[int, ...], Array]:
    """Shape (Z, Y, X) and origin of a grid on which `scanning` fits around `fixed` in every orientation.

    The box of the fixed atoms grows on every side by the radius of the scanning body about its mean position,
    by the largest van der Waals radius of the fixed one and by `margin` (Å).
    """
    reach = np.linalg.norm(scanning.xyz - scanning.xyz.mean(axis=0), axis=1).max()
    rim = margin + radii(fixed).max() + reach
    low, high = fixed.xyz.min(axis=0) - rim, fixed.xyz.max(axis=0) + rim
    lengths = [int(np.ceil(length)) for length in (high - low) / spacing]
    return tuple(lengths[::-1]), low


def fill_spheres(points: Array, sphere_radii: Array, shape: tuple[int, ...]) -> Array:
    """Mark the voxels inside any of the spheres.

    Arguments:
        points: (N, 3) centres x, y, z in voxels; negative ones wrap around.
        sphere_radii: (N,) in voxels.
        shape: (Z, Y, X).

    Returns:
        (Z, Y, X) array of 0.0 and 1.0.
    """
    out = np.zeros(shape)
    reach = int(np.ceil(sphere_radii.max())) + 1
    steps = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    offsets = offsets[(offsets**2).sum(axis=1) <= (reach + 1) ** 2]
    limit = np.array(shape[::-1])
    for start in range(0, len(points), 256):
        centre, radius = points[start : start + 256], sphere_radii[start : start + 256]
        voxels = np.floor(centre).astype(int)[:, None] + offsets
        inside = ((voxels - centre[:, None]) ** 2).sum(axis=-1) <= (radius**2)[:, None]
        x, y, z = (voxels[inside] % limit).T
        out[z, y, x] = 1.0
    return out
