"""The local action of an N-component scalar field, in the four normalisations of the literature.

    S(phi) = sum_x [ w2 |phi_x|^2 + w4 |phi_x|^4 - w0 phi_x . sum_{mu>0} phi_{x+mu} - h phi_x^1 ]

with one component for the real field and two for the complex one (phi = phi^1 + i phi^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import numpy as np

from colonnade.lattice._types import FloatArray
from colonnade.lattice.errors import LatticeError

if TYPE_CHECKING:
    import torch

    Field = TypeVar("Field", FloatArray, torch.Tensor)
else:
    Field = TypeVar("Field")


class Couplings(NamedTuple):
    """Couplings in a named normalisation, with phi_there = scale * phi_here and
    log Z_there = log Z_here + components * V * log(scale)."""

    normalisation: str
    mass: float
    quartic: float
    kappa: float
    scale: float


@dataclass(frozen=True)
class ScalarAction:
    """The canonical local action; build it with one of the named constructors.

    Parameters
    ----------
    w0, w2, w4, h : couplings of the hopping, quadratic, quartic and linear terms, in lattice units
    d : number of dimensions of the lattice it is meant for
    components : 1 for a real field, 2 for a complex one

    Fields are arrays (n, L_1, ..., L_d) for one component and (n, components, L_1, ..., L_d) otherwise.

    Examples
    --------
    >>> ScalarAction.from_albergo(m2=-4, lam=6.975)
    ScalarAction(w0=2.0, w2=0.0, w4=6.975, h=0.0, d=2, components=1)
    """

    w0: float
    w2: float
    w4: float
    h: float = 0.0
    d: int = 2
    components: int = 1

    def __post_init__(self) -> None:
        for name in ("w0", "w2", "w4", "h"):
            value = float(getattr(self, name))
            if not math.isfinite(value):
                raise LatticeError(f"coupling {name} is {value}; it must be a finite number")
            object.__setattr__(self, name, value)
        if not 1 <= self.d <= 4:
            raise LatticeError(f"d is {self.d}; the number of dimensions must be 1 to 4")
        if not 1 <= self.components <= 8:
            raise LatticeError(f"components is {self.components}; it must be 1 to 8")
        if self.w4 < 0:
            raise LatticeError(f"the quartic coupling is {self.w4}: the action is unbounded below; it must be >= 0")
        if self.w4 == 0 and self.w2 <= self.d * abs(self.w0):
            raise LatticeError(
                f"with quartic coupling 0 and quadratic coupling w2 = {self.w2} the action is unbounded below; "
                f"w2 must exceed d*|w0| = {self.d * abs(self.w0)} (a positive mass squared), or the quartic be > 0"
            )

    @classmethod
    def from_albergo(cls, m2: float, lam: float, *, d: int = 2, h: float = 0.0, components: int = 1) -> ScalarAction:
        """S = sum [(d phi)^2 + m2 phi^2 + lam phi^4 - h phi], without the half (arXiv:1904.12072, eq. 15)."""
        return cls(w0=2.0, w2=2 * d + m2, w4=lam, h=h, d=d, components=components)

    @classmethod
    def from_hopping(cls, kappa: float, lam: float, *, d: int = 2, h: float = 0.0, components: int = 1) -> ScalarAction:
        """S = sum [-2 kappa phi sum_mu phi_{x+mu} + (1 - 2 lam) phi^2 + lam phi^4 - h phi]."""
        return cls(w0=2 * kappa, w2=1 - 2 * lam, w4=lam, h=h, d=d, components=components)

    @classmethod
    def from_canonical(
        cls, mu2: float, lam: float, *, d: int = 2, h: float = 0.0, quartic: int = 4, components: int = 1
    ) -> ScalarAction:
        """S = sum [(d phi)^2 / 2 + mu2 phi^2 / 2 + lam phi^4 / quartic - h phi]; `quartic` is 4 or 24."""
        if quartic not in (4, 24):
            raise LatticeError(f"quartic is {quartic}; the canonical action divides lambda by 4 or by 24")
        return cls(w0=1.0, w2=d + mu2 / 2, w4=lam / quartic, h=h, d=d, components=components)

    @classmethod
    def from_kappa_mass(
        cls, kappa: float, m2: float, lam: float, *, d: int = 2, h: float = 0.0, components: int = 1
    ) -> ScalarAction:
        """S = sum [kappa (d phi)^2 / 2 + m2 phi^2 / 2 + lam phi^4 - h phi] (the normflow package)."""
        return cls(w0=kappa, w2=d * kappa + m2 / 2, w4=lam, h=h, d=d, components=components)

    @classmethod
    def from_couplings(
        cls,
        *,
        m2: float | None = None,
        kappa: float | None = None,
        lam: float,
        d: int = 2,
        h: float = 0.0,
        components: int = 1,
    ) -> ScalarAction:
        """Choose the normalisation by the coupling that is given: m2 (albergo) or kappa (hopping), never both."""
        if (m2 is None) == (kappa is None):
            given = "neither was given" if m2 is None else f"m2 = {m2} and kappa = {kappa} were given"
            raise LatticeError(
                f"give either m2 (action (d phi)^2 + m2 phi^2 + lam phi^4) or kappa (hopping form), not both: {given}"
            )
        if m2 is not None:
            return cls.from_albergo(m2, lam, d=d, h=h, components=components)
        return cls.from_hopping(cast(float, kappa), lam, d=d, h=h, components=components)

    def rescale(self, scale: float) -> ScalarAction:
        """Action S' of phi' = scale * phi with S'(phi') = S(phi); log Z' = log Z + components V log(scale)."""
        if not (math.isfinite(scale) and scale > 0):
            raise LatticeError(f"scale is {scale}; it must be a positive number")
        s2 = scale * scale
        return replace(self, w0=self.w0 / s2, w2=self.w2 / s2, w4=self.w4 / s2**2, h=self.h / scale)

    def to_albergo(self) -> Couplings:
        """Couplings (m2, lam) of the same physics in the normalisation of `from_albergo`."""
        self._need_hopping("albergo")
        scale = math.sqrt(self.w0 / 2)
        new = self.rescale(scale)
        return Couplings("albergo", new.w2 - 2 * self.d, new.w4, 1.0, scale)

    def to_canonical(self, quartic: int = 4) -> Couplings:
        """Couplings (mu2, lam) of the same physics in the normalisation of `from_canonical`."""
        self._need_hopping("canonical")
        scale = math.sqrt(self.w0)
        new = self.rescale(scale)
        return Couplings("canonical", 2 * (new.w2 - self.d), quartic * new.w4, 1.0, scale)

    def to_hopping(self) -> Couplings:
        """Couplings (kappa, lam) of the hopping form: w2 s^-2 = 1 - 2 w4 s^-4 fixes the scale s."""
        # with t = s^2: t^2 - w2 t - 2 w4 = 0, whose positive root is the one wanted
        t = (self.w2 + math.sqrt(self.w2**2 + 8 * self.w4)) / 2
        scale = math.sqrt(t)
        new = self.rescale(scale)
        return Couplings("hopping", new.w2, new.w4, new.w0 / 2, scale)

    def _need_hopping(self, name: str) -> None:
        if self.w0 <= 0:
            raise LatticeError(f"w0 is {self.w0}; the {name} normalisation needs a positive hopping term")

    @property
    def couplings(self) -> FloatArray:
        """(w0, w2, w4, h) as an array, the order of the compiled kernels."""
        return np.array([self.w0, self.w2, self.w4, self.h])

    def _square(self, phi: Field) -> Field:
        """|phi|^2 without the component axis."""
        return phi * phi if self.components == 1 else (phi * phi).sum(1)

    def _first(self, phi: Field) -> Field:
        return phi if self.components == 1 else phi[:, 0]

    def __call__(self, phi: Field) -> Field:
        """Action of every field, shape (n,), summed in float64 whatever the precision of `phi`.

        Works on numpy arrays and on torch tensors (differentiable).
        """
        axes = self._axes(phi)
        ahead = _roll(phi, -1, axes[0])
        for axis in axes[1:]:
            ahead = ahead + _roll(phi, -1, axis)
        hop = phi * ahead
        if self.components > 1:
            hop = hop.sum(1)
        square = self._square(phi)
        density = square * (self.w2 + self.w4 * square) - self.w0 * hop
        if self.h:
            density = density - self.h * self._first(phi)
        return _sum_sites(density, self.d)

    def force(self, phi: Field) -> Field:
        """-dS/dphi, with the shape of `phi`."""
        around = sum(_roll(phi, shift, axis) for axis in self._axes(phi) for shift in (1, -1))
        square = self._square(phi)
        if self.components > 1:
            square = square[:, None]
        force = self.w0 * around - phi * (2 * self.w2 + 4 * self.w4 * square)
        if self.h:
            self._first(force)[...] += self.h
        return force

    def _axes(self, phi: Field) -> tuple[int, ...]:
        expected = 1 + (self.components > 1) + self.d
        if phi.ndim != expected:
            raise LatticeError(
                f"a field has {phi.ndim} axes; this action (d = {self.d}, components = {self.components}) "
                f"needs {expected}: (n, {'components, ' if self.components > 1 else ''}L_1, ..., L_d)"
            )
        return tuple(range(expected - self.d, expected))


def _roll(phi: Field, shift: int, axis: int) -> Field:
    if isinstance(phi, np.ndarray):
        return np.roll(phi, shift, axis)
    return phi.roll(shift, axis)


def _sum_sites(density: Field, d: int) -> Field:
    axes = tuple(range(density.ndim - d, density.ndim))
    if isinstance(density, np.ndarray):
        return cast("Field", density.sum(axes, dtype=np.float64))
    return density.double().sum(axes)
