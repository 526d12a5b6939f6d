"""The energy of two rigid bodies: pair by pair of their heavy atoms, and as fields of one on a grid for the other.

The search scores every placement by fields:

    E = w_r sum r(d) + sum c(d) e(t_i, t_j) + w_q sum 1(d < 20) q_i q_j f(d)

with a soft repulsion r, a contact function c that falls from 1 at 5 Å to 0 at 7 Å, the contact potential e of the
atoms' types, and the distance-dependent dielectric of Gabb, Jackson & Sternberg (J. Mol. Biol. 272:106, 1997). The
symmetric matrix e is split into its leading eigenvectors, so that each term is a field times a weight (Kozakov et
al., Proteins 65:392, 2006). What is refined has a Lennard-Jones energy in the place of r: how well two surfaces fit
into one another shows only off the grid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from colonnade.structure import _dock_atoms as atoms
from colonnade.structure.structures import Structure

Array = NDArray[np.float64]

CONTACT = (5.0, 7.0)
"""Distances between which a contact fades, Å."""

REPULSION = 3.6
"""Distance below which atoms repel, Å."""

REPULSION_CAP = 20.0
"""Largest repulsion that one atom feels in the search, Å²: bodies do not fit exactly before refinement."""

RANGE = 20.0
"""Reach of a charge, Å."""

INSIDE = 4.0
"""Repulsion from which an atom is inside the other body, where the search counts no contact for it, Å²."""

SIZES = {
    name: (2.0 if " C" in name or name == "sulphur" else 1.75 if name.endswith("N") else 1.6,
           0.15 if " C" in name else 0.16 if name.endswith("N") else 0.2)
    for name in atoms.TYPES
}  # fmt: skip
"""Half the distance of the minimum, Å, and depth, kcal/mol, of the van der Waals energy (those of AutoDock 4: Morris et
al., J. Comput. Chem. 30:2785, 2009)."""

DONORS = ("backbone N", "hydroxyl O", "amide N", "ammonium N", "guanidinium N", "ring N")
ACCEPTORS = ("backbone O", "hydroxyl O", "amide O", "carboxylate O")
HYDROGEN_BOND = 2.9
"""Distance of the minimum between these, Å."""

_DATA = Path(__file__).parent / "data" / "contact_potential.json"


@dataclass(frozen=True)
class Model:
    """Weights of the energy's terms, kcal/mol-like units.

    Attributes:
        repulsion: of the search, per Å².
        vdw: of the refinement and the score, kcal/mol.
        share: of `contact` in the refinement and the score.
        charge: of the electrostatic term.
        contact: (T, T) potential of the atom types.
        rank: eigenvectors of `contact` that are kept.
    """

    repulsion: float
    charge: float
    contact: Array
    rank: int = 6
    vdw: float = 0.25
    share: float = 1.0

    def split(self) -> tuple[Array, Array]:
        """(rank,) eigenvalues and (rank, T) eigenvectors, the largest first."""
        values, vectors = np.linalg.eigh(self.contact)
        order = np.argsort(-np.abs(values))[: self.rank]
        return values[order], vectors[:, order].T


FIT = {"unbound": (0.25, 1.0), "bound": (1.0, 0.5)}
"""Weights of the van der Waals energy and of the contact potential, by the state that the bodies were solved in.

Bodies that were solved in their complex fit exactly, and nothing tells their complex so well; side chains of bodies
that were solved alone are in the way of each other in the right place as well.
"""


@cache
def default_model(state: str = "unbound") -> Model:
    """The model with the potential that scripts/fit_contact_potential.py fits, for bodies solved in this state."""
    data = json.loads(_DATA.read_text())
    return Model(data["repulsion"], data["charge"], np.array(data["contact"]), data["rank"], *FIT[state])


def weights(model: Model, body: Structure) -> Array:
    """(2 + rank, N) what each atom of the moving body is to the channels: 1, its charge, its eigenvector entries."""
    kinds = atoms.types(body)
    _, vectors = model.split()
    return np.vstack([np.ones(len(kinds)), atoms.charges(body), vectors[:, kinds]])


def fields(
    model: Model, body: Structure, origin: Array, spacing: float, shape: tuple[int, int, int], *, soft: bool
) -> NDArray[np.float32]:
    """(2 + rank, Z, Y, X) fields of the fixed body: repulsion, potential, contacts by eigenvector.

    Arguments:
        origin: (3,) x y z of voxel (0, 0, 0), Å.
        spacing: Å.
        shape: (Z, Y, X).
        soft: for the search, where bodies may overlap a little: the repulsion is capped, and there is no
            attraction inside the body.
    """
    values, vectors = model.split()
    points = (body.xyz - origin) / spacing
    counts = values[:, None] * vectors[:, atoms.types(body)]
    grids = np.zeros((2 + len(values), *shape), dtype=np.float32)
    _near(points, counts, spacing, np.array([REPULSION, *CONTACT]), grids)
    charges = atoms.charges(body)
    charged = charges != 0
    _potential(points[charged], charges[charged], spacing, 2.0, grids[1])
    grids[1] *= model.charge
    if soft:
        grids[1:, grids[0] > INSIDE] = 0.0
        np.minimum(grids[0], REPULSION_CAP, out=grids[0])
    grids[0] *= model.repulsion
    return grids


def pair_tables(model: Model) -> tuple[Array, Array, Array, Array]:
    """What two types are to each other: (T, T) distance of the minimum, Å, depth and contact; reach of a contact."""
    sizes = np.array([SIZES[name] for name in atoms.TYPES])
    minimum = sizes[:, None, 0] + sizes[None, :, 0]
    bonded = np.isin(atoms.TYPES, DONORS)[:, None] & np.isin(atoms.TYPES, ACCEPTORS)
    minimum[bonded | bonded.T] = HYDROGEN_BOND
    depth = model.vdw * np.sqrt(sizes[:, None, 1] * sizes[None, :, 1])
    return minimum, depth, model.share * model.contact, np.array(CONTACT)


def well(distance: Array, minimum: Array, depth: Array) -> Array:
    """A Lennard-Jones energy, r^12 - 2 r^6 of r = minimum / d; a line below 0.8 of the minimum, 0 from 7 Å on."""
    floor = 0.8 * minimum
    r6 = (minimum / np.maximum(distance, floor)) ** 6
    edge = (minimum / CONTACT[1]) ** 6
    value = r6**2 - 2.0 * r6 - (edge**2 - 2.0 * edge)
    wall = 12.0 * (r6**2 - r6) / floor * np.maximum(floor - distance, 0.0)
    result: Array = np.where(distance < CONTACT[1], depth * (value + wall), 0.0)
    return result


def potential(
    model: Model, body: Structure, origin: Array, spacing: float, shape: tuple[int, int, int], least: float = 2.0
) -> Array:
    """(Z, Y, X) energy of a unit charge around a body, as if no charge were nearer than `least` Å."""
    grid = np.zeros(shape)
    charges = atoms.charges(body)
    charged = charges != 0
    _potential((body.xyz[charged] - origin) / spacing, charges[charged], spacing, least, grid)
    return grid * model.charge


def terms(model: Model, fixed: Structure, moving: Structure) -> dict[str, float]:
    """The energy's terms of two bodies where they stand, without a grid."""
    from scipy.spatial.distance import cdist

    gaps = cdist(fixed.xyz, moving.xyz)
    low, high = CONTACT
    i, j = np.nonzero(gaps < high)
    distance = gaps[i, j]
    fade = np.clip((high - distance) / (high - low), 0.0, 1.0)
    kinds = atoms.types(fixed)[i], atoms.types(moving)[j]
    minimum, depth, contact, _ = pair_tables(model)
    charges = atoms.charges(fixed), atoms.charges(moving)
    charged = charges[0] != 0, charges[1] != 0
    far = gaps[np.ix_(*charged)]
    potential = np.where(far < RANGE, screened(far), 0.0)
    return {
        "vdw": float(well(distance, minimum[kinds], depth[kinds]).sum()),
        "contact": float((fade * contact[kinds]).sum()),
        "electrostatic": model.charge * float(charges[0][charged[0]] @ potential @ charges[1][charged[1]]),
    }


def screened(distance: Array) -> Array:
    """1 / (epsilon(d) d) with the dielectric 4 up to 6 Å, 38 d - 224 up to 8 Å, 80 beyond (Gabb et al., eq. 4)."""
    d = np.maximum(distance, 2.0)
    epsilon = np.where(d <= 6.0, 4.0, np.where(d < 8.0, 38.0 * d - 224.0, 80.0))
    result: Array = 1.0 / (epsilon * d)
    return result


def pair_counts(fixed: Structure, moving: Structure) -> Array:
    """(T, T) symmetric sums of the contact function by atom types, to fit a potential on."""
    from scipy.spatial.distance import cdist

    low, high = CONTACT
    gaps = cdist(fixed.xyz, moving.xyz)
    i, j = np.nonzero(gaps < high)
    table = np.zeros((len(atoms.TYPES),) * 2)
    fade = np.clip((high - gaps[i, j]) / (high - low), 0.0, 1.0)
    np.add.at(table, (atoms.types(fixed)[i], atoms.types(moving)[j]), fade)
    result: Array = (table + table.T) / 2.0
    return result


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_compiled
def _near(points: Any, counts: Any, spacing: float, distances: Any, grids: Any) -> None:
    """Add repulsion to grids[0] and fading contacts to grids[2:]; points x y z in voxels inside the grid."""
    touch, low, high = distances[0], distances[1], distances[2]
    _, nz, ny, nx = grids.shape
    reach = high / spacing
    for i in range(len(points)):
        px, py, pz = points[i]
        for z in range(max(0, int(np.ceil(pz - reach))), min(nz, int(np.floor(pz + reach)) + 1)):
            for y in range(max(0, int(np.ceil(py - reach))), min(ny, int(np.floor(py + reach)) + 1)):
                for x in range(max(0, int(np.ceil(px - reach))), min(nx, int(np.floor(px + reach)) + 1)):
                    d = spacing * np.sqrt((x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2)
                    if d >= high:
                        continue
                    if d < touch:
                        grids[0, z, y, x] += (touch - d) ** 2
                    fade = min(1.0, (high - d) / (high - low))
                    for k in range(len(counts)):
                        grids[2 + k, z, y, x] += fade * counts[k, i]


@_compiled
def _potential(points: Any, charges: Any, spacing: float, least: float, grid: Any) -> None:
    """Add the screened potential of the charges, up to 20 Å from each; nearer than `least` it is constant."""
    nz, ny, nx = grid.shape
    reach = RANGE / spacing
    for i in range(len(points)):
        px, py, pz = points[i]
        for z in range(max(0, int(np.ceil(pz - reach))), min(nz, int(np.floor(pz + reach)) + 1)):
            for y in range(max(0, int(np.ceil(py - reach))), min(ny, int(np.floor(py + reach)) + 1)):
                for x in range(max(0, int(np.ceil(px - reach))), min(nx, int(np.floor(px + reach)) + 1)):
                    d = spacing * np.sqrt((x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2)
                    if d >= RANGE:
                        continue
                    d = max(d, least)
                    epsilon = 4.0 if d <= 6.0 else (38.0 * d - 224.0 if d < 8.0 else 80.0)
                    grid[z, y, x] += charges[i] / (epsilon * d)
