"""log Z and moments of tori with sides 2^n by the higher-order tensor renormalisation group.

Xie et al., Phys. Rev. B 86, 045139 (2012). Two neighbouring tensors are merged and the doubled bond is cut back to
`bond` states by the leading eigenvectors of the environment. The last torus, two blocks wide, is contracted exactly,
which saves the worst truncations. The error quoted of log Z is the larger of the changes from bond - 4 to bond and from
bond to bond + 1, that of a moment three times its change from bond - 2 to bond: the convergence is not monotonic, and
one step alone can be small by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.exact import Exact, bond_factors
from colonnade.lattice.geometry import checked_shape


def _site_tensor(action: ScalarAction, bond: int) -> tuple[FloatArray, float]:
    """T[left, right, down, up] of one site and the log of the factor taken out of it."""
    x, log_site, u = bond_factors(action, bond)
    del x
    top = float(log_site.max())
    tensor = np.einsum("x,xl,xr,xd,xu->lrdu", np.exp(log_site - top), u, u, u, u, optimize=True)
    return tensor, top


def _merge(t: FloatArray, bond: int) -> FloatArray:
    """Stack two copies of T[l, r, d, u] along the vertical direction and truncate the horizontal bonds."""
    left = t.shape[0]
    lower = np.einsum("lrdk,mrdn->lmkn", t, t, optimize=True)
    upper = np.einsum("lrku,mrnu->lmkn", t, t, optimize=True)
    environment = np.einsum("lmkn,abkn->lamb", lower, upper, optimize=True).reshape(left * left, left * left)
    values, vectors = np.linalg.eigh(environment)
    keep = vectors[:, ::-1][:, : min(bond, len(values))].reshape(left, left, -1)
    half = np.tensordot(keep, t, ([0], [0]))  # (l2, a, r1, d, k)
    both = np.tensordot(half, t, ([0, 4], [0, 2]))  # (a, r1, d, r2, u)
    return np.ascontiguousarray(np.tensordot(both, keep, ([1, 3], [0, 1])).transpose(0, 3, 1, 2))


def _close(t: FloatArray, rows: int) -> float:
    """log Z of the torus of T[l, r, d, u] that is two tensors wide and `rows` high, exactly."""
    left, right, down, up = t.shape
    swapped = t.transpose(1, 0, 2, 3).reshape(left * right, down * up)
    row = (t.reshape(left * right, down * up).T @ swapped).reshape(down, up, down, up)
    matrix = row.transpose(0, 2, 1, 3).reshape(down * down, up * up)
    values = np.linalg.eigvals(matrix)
    size = float(np.abs(values).max())
    return rows * math.log(size) + math.log(float(((values / size) ** rows).sum().real))


def _log_z(action: ScalarAction, sides: tuple[int, ...], bond: int) -> float:
    """Blocks are kept square until the shorter side is two blocks; thin blocks would converge slowly in `bond`."""
    t, log_factor = _site_tensor(action, bond)
    width, height = min(sides), max(sides)
    while width > 2:
        for turn in (False, True):
            t = _merge(t.transpose(2, 3, 0, 1) if turn else t, bond)
            t = t.transpose(2, 3, 0, 1) if turn else t
            size = float(np.abs(t).max())
            t, log_factor = t / size, 2 * log_factor + math.log(size)
        width, height = width // 2, height // 2
    return _close(t, height) + 2 * height * log_factor


def hotrg(action: ScalarAction, shape: Sequence[int], bond: int = 20, *, moments: bool = False) -> Exact:
    """Tensor-network answer for a torus whose sides are powers of two.

    Parameters
    ----------
    action : real two-dimensional action with w4 > 0 and w0 >= 0
    shape : sides 2, 4, 8, ... (cost grows with their logarithm only)
    bond : states kept, 2 to 32; time and memory grow as bond^7 and bond^5
    moments : also give phi2, phi4 and chi2 as derivatives of log Z (22 more runs, at a bond of at most 16)

    Returns
    -------
    Exact with log_z with its error, and the moments if asked for.
    """
    sides = checked_shape(shape)
    if len(sides) != 2 or action.d != 2 or any(n < 2 or n & (n - 1) for n in sides):
        raise LatticeError(f"shape is {list(sides)}; HOTRG needs two sides that are powers of two, at least 2")
    if not 2 <= bond <= 32:
        raise LatticeError(f"bond is {bond}; it must be 2 to 32")
    coarse = _log_z(action, sides, bond)
    log_z = _log_z(action, sides, bond + 1)
    rough = _log_z(action, sides, max(bond - 4, 2))
    error = max(abs(log_z - coarse), abs(coarse - rough))
    if not moments:
        return Exact("hotrg", sides, log_z, error)
    fine, less = (_moments(action, sides, b) for b in (min(bond, 16), max(min(bond, 16) - 2, 2)))
    errors = {name: 3 * abs(fine[name] - less[name]) for name in fine}
    return Exact("hotrg", sides, log_z, error, fine["phi2"], fine["phi4"], None, fine["chi2"], errors)


def _moments(action: ScalarAction, sides: tuple[int, ...], bond: int) -> dict[str, float]:
    """phi2, phi4 and chi2 = V <M^2> by central differences of log Z in w2, w4 and h."""
    volume, centre = math.prod(sides), _log_z(action, sides, bond)

    def around(name: str, step: float) -> FloatArray:
        """First and second derivative of log Z, correct to the third order of the step."""
        symmetric = name == "h" and action.h == 0
        found = []
        for size in (step, step / 2):
            up = _log_z(replace(action, **{name: getattr(action, name) + size}), sides, bond)
            down = up if symmetric else _log_z(replace(action, **{name: getattr(action, name) - size}), sides, bond)
            found.append(np.array([(up - down) / (2 * size), (up - 2 * centre + down) / size**2]))
        return np.asarray((4 * found[1] - found[0]) / 3)

    phi2 = -float(around("w2", 0.02)[0]) / volume
    phi4 = -float(around("w4", 0.02)[0]) / volume
    first, second = around("h", 0.3 / (volume * math.sqrt(phi2)))  # h V M stays below 0.3
    return {"phi2": phi2, "phi4": phi4, "chi2": float(second + first**2) / volume}
