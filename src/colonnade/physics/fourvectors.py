"""Four-vectors in GeV, ordered E, px, py, pz: kinematics, and the mistakes that files of them come with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.errors import PhysicsError

Array = NDArray[np.float64]

MEV_LIKE = 1e4  # a jet of a higher transverse momentum is taken for one in MeV
ROUNDING = 2e-3  # of E: |p| may exceed E by that much in single precision
TINY = 1e-12


def pt(p4: NDArray[Any]) -> Array:
    """Transverse momentum, GeV, of (..., 4) four-vectors."""
    return np.asarray(np.hypot(p4[..., 1], p4[..., 2]), float)


def eta(p4: NDArray[Any]) -> Array:
    """Pseudorapidity of (..., 4) four-vectors; 0 for a null vector."""
    return np.asarray(np.arcsinh(p4[..., 3] / np.maximum(pt(p4), TINY)), float)


def phi(p4: NDArray[Any]) -> Array:
    """Azimuth of (..., 4) four-vectors, from -pi to pi."""
    return np.asarray(np.arctan2(p4[..., 2], p4[..., 1]), float)


def mass(p4: NDArray[Any]) -> Array:
    """Invariant mass, GeV, of (..., 4) four-vectors; a negative square from rounding gives 0."""
    p4 = np.asarray(p4, float)
    square = p4[..., 0] ** 2 - (p4[..., 1:] ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(square, 0)), float)


def turn(angle: NDArray[Any]) -> Array:
    """An angle brought into -pi to pi."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi, float)


def boost(p4: NDArray[Any], velocity: NDArray[Any]) -> Array:
    """Four-vectors (..., 4) seen from where their old frame moves with `velocity` (..., 3), in units of c."""
    p4, velocity = np.asarray(p4, float), np.asarray(velocity, float)
    square = (velocity**2).sum(axis=-1)
    gamma = 1 / np.sqrt(1 - square)
    along = (p4[..., 1:] * velocity).sum(axis=-1)
    # (gamma - 1) / v^2 = gamma^2 / (gamma + 1), without the division by zero at rest
    step = (gamma**2 / (gamma + 1) * along + gamma * p4[..., 0])[..., None]
    energy = gamma * (p4[..., 0] + along)
    return np.concatenate([energy[..., None], p4[..., 1:] + step * velocity], axis=-1)


def check_four_vectors(p4: NDArray[Any]) -> int:
    """Look at jets' constituents (n, nodes, 4) for the usual mistakes.

    Returns:
        How many constituents have |p| above E within rounding (their mass counts as 0).

    Raises:
        PhysicsError: not finite, another order than E, px, py, pz, MeV for GeV, or impossible masses.
    """
    if p4.ndim != 3 or p4.shape[-1] != 4:
        raise PhysicsError(f"p4 must have the shape (jets, constituents, 4), but has {p4.shape}.")
    if not np.isfinite(p4).all():
        raise PhysicsError(f"p4 must be finite, but holds {int((~np.isfinite(p4)).sum())} values that are not.")
    flat = np.asarray(p4, float).reshape(-1, 4)
    real = flat[np.any(flat != 0, axis=1)]
    if not len(real):
        return 0
    wrong = _impossible(real)
    if wrong.mean() > 1e-3:
        swapped = _impossible(np.roll(real, 1, axis=1))
        if swapped.mean() < 1e-3:
            raise PhysicsError(
                "p4 must be ordered E, px, py, pz, but these are ordered px, py, pz, E: move the last column first."
            )
        worst = int(np.argmax(np.linalg.norm(real[:, 1:], axis=1) - real[:, 0]))
        raise PhysicsError(
            f"p4 must have an energy of at least its momentum, but {int(wrong.sum())} of {len(real)} constituents have "
            f"not, such as E = {real[worst, 0]:g}, |p| = {np.linalg.norm(real[worst, 1:]):g} GeV."
        )
    median = float(np.median(pt(np.asarray(p4, float).sum(axis=1))))
    if median > MEV_LIKE:
        raise PhysicsError(
            f"p4 must be in GeV, but the median jet pT is {median:.3g}: it seems to be in MeV; divide by 1000."
        )
    return int((np.linalg.norm(real[:, 1:], axis=1) > real[:, 0]).sum())


def _impossible(p4: Array) -> NDArray[np.bool_]:
    return np.asarray(np.linalg.norm(p4[:, 1:], axis=1) > p4[:, 0] * (1 + ROUNDING) + 1e-3)


def harden(p4: NDArray[Any], nodes: int) -> tuple[NDArray[Any], float]:
    """The `nodes` hardest constituents of each jet, sorted by pT, and the share of jets that lost some.

    Args:
        p4: (n, any, 4) constituents in any order, padded with zeros anywhere.
        nodes: how many to keep.
    """
    order = np.argsort(-pt(p4), axis=1, kind="stable")[:, :nodes]
    kept = np.take_along_axis(p4, order[..., None], axis=1)
    if kept.shape[1] < nodes:
        kept = np.pad(kept, ((0, 0), (0, nodes - kept.shape[1]), (0, 0)))
    lost = float(((p4[..., 0] > 0).sum(axis=1) > nodes).mean()) if len(p4) else 0.0
    return kept, lost
