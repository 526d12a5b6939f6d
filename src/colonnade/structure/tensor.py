"""Anisotropy tensors from residual dipolar couplings (RDC) and pseudocontact shifts (PCS).

Both observables are linear in the five components of a symmetric traceless tensor, so that a fit for a known
structure is a linear least-squares problem (Losonczi et al., J. Magn. Reson. 138:334, 1999, for RDC; Bertini,
Luchinat & Parigi, Prog. NMR Spectrosc. 40:249, 2002, for PCS):

    RDC:  D   = D_max u^T S u            u the unit vector of the bond, S the Saupe order matrix
    PCS:  δ   = r^T Δχ r / (4 π r^5)     r from the metal to the nucleus, Δχ the susceptibility anisotropy
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GYROMAGNETIC = {"H": 267.522e6, "C": 67.283e6, "N": -27.116e6}
"""Gyromagnetic ratios of 1H, 13C and 15N, rad/s/T."""

MU0_OVER_4PI, HBAR = 1e-7, 1.054571817e-34
PCS_UNIT = 1e4
"""Δχ of 1e-32 m³ at 1 Å: 1e-32 / 1e-30, in ppm."""


class TensorError(ValueError):
    """A tensor cannot be fitted; the message is one plain sentence."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A fitted symmetric traceless tensor.

    Attributes:
        components: (5,) xx, yy, xy, xz, yz: of the Saupe matrix (no unit) or of Δχ (1e-32 m³).
        covariance: (5, 5) of the components, from the residuals, or from the errors when these were given.
        calculated: (N,) back-calculated observables.
        observed: (N,).
        origin: (3,) position of the metal, Å; None for RDC.
    """

    components: Array
    covariance: Array
    calculated: Array
    observed: Array
    origin: Array | None = None

    @property
    def matrix(self) -> Array:
        """(3, 3) the tensor."""
        return _matrix(self.components)

    @cached_property
    def _eigen(self) -> tuple[Array, Array]:
        values, vectors = np.linalg.eigh(self.matrix)
        order = np.argsort(np.abs(values))  # |xx| <= |yy| <= |zz|
        axes = vectors[:, order]
        axes[:, 0] *= np.sign(np.linalg.det(axes))
        return values[order], axes

    @property
    def principal(self) -> Array:
        """(3,) principal values with |xx| <= |yy| <= |zz|."""
        return self._eigen[0]

    @property
    def axes(self) -> Array:
        """(3, 3) the principal axes x, y, z as columns, right-handed; each is determined up to its sign."""
        return self._eigen[1]

    @property
    def axial(self) -> float:
        """zz - (xx + yy) / 2 in the principal frame."""
        x, y, z = self.principal
        return float(z - (x + y) / 2)

    @property
    def rhombic(self) -> float:
        """xx - yy in the principal frame."""
        x, y, _ = self.principal
        return float(x - y)

    @property
    def euler_angles(self) -> Array:
        """(3,) α, β, γ in degrees of the rotation (z, y', z'') from the molecular to the principal frame."""
        x, y, z = self.axes.T
        beta = np.arccos(np.clip(z[2], -1.0, 1.0))
        angles = np.degrees([np.arctan2(z[1], z[0]), beta, np.arctan2(y[2], -x[2])])
        result: Array = angles % 180.0  # axes have no sign
        return result

    @property
    def q_factor(self) -> float:
        """Root-mean-square deviation over that of the data (Cornilescu et al., JACS 120:6836, 1998)."""
        return float(np.sqrt(((self.calculated - self.observed) ** 2).sum() / (self.observed**2).sum()))

    @property
    def correlation(self) -> float:
        """Pearson's correlation of calculated and observed values."""
        return float(np.corrcoef(self.calculated, self.observed)[0, 1])

    @property
    def errors(self) -> Array:
        """(5,) standard errors of the components."""
        result: Array = np.sqrt(np.diag(self.covariance))
        return result


def dipolar_maximum(first: str, second: str, length: float) -> float:
    """D_max = -μ0 γ1 γ2 h / (8 π³ r³) in Hz for two nuclei (``H``, ``C``, ``N``) at `length` Å.

    >>> round(dipolar_maximum("N", "H", 1.02))
    22946
    """
    for name in (first, second):
        if name not in GYROMAGNETIC:
            raise TensorError(f"nucleus: {name!r} is not one of {', '.join(GYROMAGNETIC)}.")
    if not 0.5 <= length <= 10.0:
        raise TensorError(f"length: {length:g} Å is outside the range of 0.5 to 10 Å.")
    product = GYROMAGNETIC[first] * GYROMAGNETIC[second]
    return float(-MU0_OVER_4PI * product * HBAR / (np.pi * (length * 1e-10) ** 3))


def fit_rdc(vectors: Array, couplings: Array, maximum: Array | float, errors: Array | None = None) -> Tensor:
    """The Saupe order matrix from residual dipolar couplings of a known structure.

    Arguments:
        vectors: (N, 3) between the nuclei, of any length.
        couplings: (N,) Hz.
        maximum: D_max in Hz, one or (N,); see `dipolar_maximum`.
        errors: (N,) Hz; None weighs all equally and takes the error from the residuals.

    Raises:
        TensorError: fewer than five couplings, values that are not finite, or directions that leave the
            tensor undetermined.
    """
    vectors, couplings = np.asarray(vectors, dtype=float), np.asarray(couplings, dtype=float)
    _check("couplings", vectors, couplings)
    length = np.linalg.norm(vectors, axis=1)
    if (length == 0).any():
        raise TensorError(f"vectors: number {int(np.flatnonzero(length == 0)[0]) + 1} has no length.")
    rows = _quadratic(vectors / length[:, None]) * np.broadcast_to(maximum, len(couplings))[:, None]
    return _solve(rows, couplings, errors, None)


def fit_pcs(xyz: Array, shifts: Array, metal: Array, errors: Array | None = None, *, move: bool = False) -> Tensor:
    """The anisotropy Δχ of the magnetic susceptibility from pseudocontact shifts of a known structure.

    Arguments:
        xyz: (N, 3) nuclei, Å.
        shifts: (N,) ppm.
        metal: (3,) position, Å.
        errors: (N,) ppm; None weighs all equally.
        move: fit the position of the metal too, starting from `metal`; needs eight shifts.

    Raises:
        TensorError: as `fit_rdc`, or a nucleus is at the metal.
    """
    xyz, shifts, metal = (np.asarray(a, dtype=float) for a in (xyz, shifts, metal))
    _check("shifts", xyz, shifts, 8 if move else 5)
    if move:
        metal = _placed(xyz, shifts, metal, errors)
    return _solve(_pcs_rows(xyz, metal), shifts, errors, metal)


def _pcs_rows(xyz: Array, metal: Array) -> Array:
    r = xyz - metal
    distance = np.linalg.norm(r, axis=1)
    if (distance < 0.5).any():
        raise TensorError("metal: a nucleus is closer than 0.5 Å to it.")
    rows: Array = PCS_UNIT * _quadratic(r) / (4 * np.pi * distance**5)[:, None]
    return rows


def _placed(xyz: Array, shifts: Array, start: Array, errors: Array | None) -> Array:
    """The metal's position by variable projection: the tensor is solved for at every trial position."""
    from scipy.optimize import least_squares

    weight = np.ones(len(shifts)) if errors is None else 1.0 / np.asarray(errors, dtype=float)

    def misfit(metal: Array) -> Array:
        rows = _pcs_rows(xyz, metal) * weight[:, None]
        solution = np.linalg.lstsq(rows, shifts * weight, rcond=None)[0]
        result: Array = rows @ solution - shifts * weight
        return result

    placed: Array = least_squares(misfit, start, x_scale=1.0, xtol=1e-12, ftol=1e-12).x
    return placed


def _check(name: str, points: Array, values: Array, least: int = 5) -> None:
    if points.shape != (len(values), 3):
        raise TensorError(f"{name}: {len(values)} values for coordinates of shape {points.shape}; expected (N, 3).")
    if len(values) < least:
        raise TensorError(f"{name}: {len(values)} values are too few; at least {least} are needed.")
    if not (np.isfinite(points).all() and np.isfinite(values).all()):
        raise TensorError(f"{name}: some values or coordinates are not finite numbers.")


def _quadratic(v: Array) -> Array:
    """(N, 5) coefficients of xx, yy, xy, xz, yz in v^T T v for a traceless T."""
    x, y, z = v.T
    return np.column_stack([x * x - z * z, y * y - z * z, 2 * x * y, 2 * x * z, 2 * y * z])


def _matrix(c: Array) -> Array:
    xx, yy, xy, xz, yz = c
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, -xx - yy]])


def _solve(rows: Array, values: Array, errors: Array | None, origin: Array | None) -> Tensor:
    if errors is not None and not (np.asarray(errors) > 0).all():
        raise TensorError("errors: all must be above zero.")
    weight = np.ones(len(values)) if errors is None else 1.0 / np.asarray(errors, dtype=float)
    weighted = rows * weight[:, None]
    singular = np.linalg.svd(weighted / np.linalg.norm(weighted, axis=0).max(), compute_uv=False)
    if singular[-1] < 1e-8 * singular[0]:
        raise TensorError("The directions of the data leave the tensor undetermined; five independent ones are needed.")
    solution: Array = np.linalg.lstsq(weighted, values * weight, rcond=None)[0].astype(float)
    calculated = rows @ solution
    covariance: Array = np.linalg.inv(weighted.T @ weighted).astype(float)
    free = len(values) - 5 - (3 if origin is not None and errors is None else 0)
    if errors is None:
        covariance = covariance * (((values - calculated) ** 2).sum() / max(free, 1))
    return Tensor(solution, covariance, calculated, values, origin)
