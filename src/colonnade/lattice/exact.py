"""Exact answers: free field, chains by transfer matrix, small tori by tensor network, the Ising torus.

Every sampler and every flow of this column is checked against these. Larger tori (sides powers of two) are in
`colonnade.lattice.hotrg`. All results are in lattice units and include the full normalisation of
Z = integral prod_x d phi_x exp(-S).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.geometry import Shape, checked_shape

NODES = 400


@dataclass(frozen=True)
class Exact:
    """Exact values with the truncation error of each (the change from bond dimension chi to chi + 1).

    log_z; phi2 = <phi^2>; phi4 = <phi^4>; two_point[x] = <phi_0 phi_x> on the grid of `shape` (rows along axis 0);
    chi2 = sum_x <phi_0 phi_x> = V <M^2>. Entries that a method does not give are None.
    """

    method: str
    shape: Shape
    log_z: float
    log_z_error: float
    phi2: float | None = None
    phi4: float | None = None
    two_point: FloatArray | None = None
    chi2: float | None = None
    errors: dict[str, float] = field(default_factory=dict)


def free_field(action: ScalarAction, shape: Sequence[int]) -> Exact:
    """Gaussian action (w4 = 0): log Z = V/2 log 2 pi - 1/2 sum_k log D(k), D = 2 w2 - 2 w0 sum_mu cos k_mu.

    Any number of components (log Z and phi2 count all of them; two_point is that of one component).

    Raises
    ------
    LatticeError
        If w4 is not 0 or h is not 0.
    """
    if action.w4 != 0 or action.h != 0:
        raise LatticeError(f"the free field needs quartic coupling 0 and h = 0; they are {action.w4} and {action.h}")
    sides = checked_shape(shape)
    n, volume = action.components, math.prod(sides)
    symbol = propagator(action, sides)
    green = np.fft.ifftn(symbol).real
    log_z = 0.5 * volume * math.log(2 * math.pi) + 0.5 * float(np.log(symbol).sum())
    phi2 = float(green.flat[0])
    moment = phi2**2 * n * (n + 2)
    return Exact("free field", sides, n * log_z, 0.0, n * phi2, moment, green, n * float(symbol.flat[0]))


def propagator(action: ScalarAction, shape: Shape) -> FloatArray:
    """<|phi(k)|^2>/V = 1/D(k) of the quadratic part of the action, on the grid of momenta (numpy.fft.fftn order)."""
    grids = np.meshgrid(*(np.cos(2 * np.pi * np.fft.fftfreq(n)) for n in shape), indexing="ij")
    inverse = 2 * action.w2 - 2 * action.w0 * np.asarray(sum(grids))
    return np.asarray(1 / inverse)


def site_nodes(action: ScalarAction, nodes: int = NODES) -> tuple[FloatArray, FloatArray]:
    """Quadrature nodes phi_i and log of weight_i * exp(-w2 phi^2 - w4 phi^4 + h phi) for one real site.

    The range ends where exp(-S) per site, with all neighbours as large as phi itself, falls below 1e-20 of its top.
    """
    if action.components != 1:
        raise LatticeError(f"components is {action.components}; exact tensor networks are for real fields (1)")
    if action.w4 == 0:
        raise LatticeError("the quartic coupling is 0; use the closed form `free_field`")
    grid = np.linspace(0, 60, 60001)
    local = (action.w2 - action.d * abs(action.w0)) * grid**2 + action.w4 * grid**4 - abs(action.h) * grid
    end = float(grid[np.nonzero(local - local.min() < 46)[0][-1]])
    x, weight = np.polynomial.legendre.leggauss(nodes)
    x, weight = x * end, weight * end
    return x, np.log(weight) - action.w2 * x**2 - action.w4 * x**4 + action.h * x


def site(action: ScalarAction) -> Exact:
    """The zero-dimensional model (hopping ignored): moments of one site by Gauss-Legendre quadrature."""
    x, log_f = site_nodes(action)
    top = float(log_f.max())
    f = np.exp(log_f - top)
    z = float(f.sum())
    phi2, phi4 = float((f * x**2).sum() / z), float((f * x**4).sum() / z)
    return Exact("site integral", (1,), top + math.log(z), 0.0, phi2, phi4, np.array([phi2]), phi2)


def chain1d(action: ScalarAction, length: int) -> Exact:
    """Periodic one-dimensional chain by its transfer matrix on Gauss-Legendre nodes (error below 1e-10)."""
    if action.d != 1:
        raise LatticeError(f"the action is {action.d}-dimensional; a chain needs d = 1")
    (sides,) = (checked_shape((length,)),)
    x, log_f = site_nodes(action, 200)
    log_t = action.w0 * np.outer(x, x) + 0.5 * (log_f[:, None] + log_f[None, :])
    top = float(log_t.max())
    values, vectors = np.linalg.eigh(np.exp(log_t - top))
    scaled = values / values[-1]
    position = vectors.T @ (x[:, None] * vectors)
    square = vectors.T @ ((x**2)[:, None] * vectors)
    fourth = vectors.T @ ((x**4)[:, None] * vectors)
    z = float((scaled**length).sum())
    phi2 = float((np.diag(square) * scaled**length).sum() / z)
    phi4 = float((np.diag(fourth) * scaled**length).sum() / z)
    p2 = position**2
    two_point = np.array([phi2] + [float(scaled ** (length - t) @ p2 @ scaled**t) / z for t in range(1, length)])
    log_z = length * (top + math.log(values[-1])) + math.log(z)
    return Exact("transfer matrix", sides, log_z, 1e-10, phi2, phi4, two_point, float(two_point.sum()))


def bond_factors(action: ScalarAction, bond: int, nodes: int = NODES) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Factor the link exp(w0 x y) = sum_a u_a(x) u_a(y) + small, with `bond` terms.

    Returns the nodes x, the log site weights, and u (nodes, bond). The decomposition is weighted with the
    belief-propagation cavity marginal of a site (what the other three neighbours make of it), with a floor: without
    the weight the error at equal bond is a hundred times larger, without the floor it fails deep in the broken phase.
    """
    x, log_f = site_nodes(action, nodes)
    if action.w0 < 0:
        raise LatticeError(f"w0 is {action.w0}; the tensor network needs a ferromagnetic hopping, w0 >= 0")
    half = 0.5 * action.w0 * x**2
    gauss = np.exp(-0.5 * action.w0 * (x[:, None] - x[None, :]) ** 2)  # exp(w0 x y) without its growing part
    log_site = log_f + 2 * action.d * half
    message = np.ones_like(x)
    for _ in range(60):
        cavity = np.exp(log_site - log_site.max()) * message ** (2 * action.d - 1)
        new = gauss @ cavity
        message = np.sqrt(message * new / new.max())
    cavity = np.exp(log_site - log_site.max()) * message ** (2 * action.d - 1)
    density = np.exp(log_site - log_site.max()) * message ** (2 * action.d)
    quadrature = np.exp(log_f + action.w2 * x**2 + action.w4 * x**4 - action.h * x)
    weight = np.sqrt(cavity * quadrature)
    floor = 1e-7 * np.sqrt((density * quadrature).max())
    weight = np.maximum(weight, floor)
    kernel = weight[:, None] * gauss * weight[None, :]
    values, vectors = np.linalg.eigh(kernel)
    order = np.argsort(-values)[:bond]
    u = vectors[:, order] * np.sqrt(np.maximum(values[order], 0.0)) / weight[:, None]
    return x, log_site, u


def _ring(tensors: list[FloatArray]) -> FloatArray:
    """Close site tensors W[a, b, l, r] (down, up, left, right) in a ring: matrix (a1 a2 ..., b1 b2 ...)."""
    width, (chi, _, horizontal, _) = len(tensors), tensors[0].shape
    flat = [t.reshape(chi * chi, horizontal, horizontal) for t in tensors]
    row = flat[0]
    for t in flat[1:-1]:
        row = np.einsum("alm,bmr->ablr", row, t, optimize=True).reshape(-1, horizontal, horizontal)
    if width == 1:
        closed = np.trace(row, axis1=1, axis2=2)
    else:
        left = row.reshape(row.shape[0], -1)
        closed = left @ flat[-1].transpose(2, 1, 0).reshape(horizontal * horizontal, -1)
    grid = closed.reshape((chi, chi) * width)
    order = [*range(0, 2 * width, 2), *range(1, 2 * width, 2)]
    return np.ascontiguousarray(grid.transpose(order)).reshape(chi**width, chi**width)


def _torus_once(action: ScalarAction, width: int, length: int, chi: int, horizontal: int) -> Exact:
    x, log_site, u = bond_factors(action, max(chi, horizontal))
    top = float(log_site.max())
    f = np.exp(log_site - top)

    def tensor(power: int) -> FloatArray:
        g = f * x**power
        up, side = u[:, :chi], u[:, :horizontal]
        return np.asarray(np.einsum("x,xa,xb,xl,xr->ablr", g, up, up, side, side, optimize=True))

    plain = [tensor(p) for p in (0, 1, 2, 4)]
    matrix = _ring([plain[0]] * width)
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    keep = np.argsort(-np.abs(values))[: min(len(values), 400)]
    values, vectors = values[keep], vectors[:, keep]
    scale = float(np.abs(values).max())
    ratio = values / scale
    z = float((ratio**length).sum())

    def mean(row: FloatArray) -> float:
        """<operator in one row>: Tr(row T^(length-1)) / Z."""
        inside = np.einsum("ia,ij,ja->a", vectors, row, vectors, optimize=True)
        return float(inside @ ratio ** (length - 1)) / scale / z

    def row(places: dict[int, int]) -> FloatArray:
        return _ring([plain[places.get(j, 0)] for j in range(width)])

    phi2, phi4 = mean(row({0: 2})), mean(row({0: 3}))
    green = np.empty((length, width))
    green[0, 0] = phi2
    for j in range(1, width):
        green[0, j] = green[0, width - j] if 2 * j > width else mean(row({0: 1, j: 1}))
    first = row({0: 1})
    left, right = vectors.T @ first, first @ vectors
    inside = left @ vectors
    for j in range(width):
        other = first if j == 0 else row({j: 1})
        apart = other @ vectors if j else right
        for t in range(1, length // 2 + 1):
            if t == 1:  # adjacent rows: nothing between them to project on the leading eigenvectors
                value = float(np.einsum("ai,ia,a->", left, apart, ratio ** (length - 2)))
            else:
                p = ratio[:, None] ** (length - t - 1) * inside * ratio[None, :] ** (t - 1)
                value = float((p * (vectors.T @ apart).T).sum())
            green[t, j] = value / scale**2 / z
        for t in range(length // 2 + 1, length):
            green[t, j] = green[length - t, j]
    log_z = width * length * top + length * math.log(scale) + math.log(z)
    return Exact("tensor network", (length, width), log_z, 0.0, phi2, phi4, green, float(green.sum()))


def torus(action: ScalarAction, shape: Sequence[int], bond: int | None = None) -> Exact:
    """Exact two-dimensional torus whose shorter side is at most 4, by a row-to-row transfer matrix.

    Parameters
    ----------
    action : real two-dimensional action with w4 > 0 and w0 >= 0
    shape : (L_1, L_2) with min <= 4; the longer side is free
    bond : kept terms of a link along the transfer direction (default: as many as a second or two allow)

    Returns
    -------
    Exact with every entry and, as errors, the change from bond - 1 to bond.
    """
    sides = checked_shape(shape)
    if action.d != 2 or len(sides) != 2 or min(sides) > 4:
        raise LatticeError(
            f"shape is {list(sides)}; the exact torus needs two sides, the shorter at most 4 (larger: hotrg)"
        )
    width, length = min(sides), max(sides)
    chi = {1: 24, 2: 14, 3: 8, 4: 6}[width] if bond is None else bond
    if not 2 <= chi <= 24 or chi**width > 4096:
        raise LatticeError(f"bond is {chi}; on a torus of width {width} it must be 2 to {int(4096 ** (1 / width))}")
    coarse = _torus_once(action, width, length, chi - 1, 2 * chi)
    fine = _torus_once(action, width, length, chi, 2 * chi + 2)
    green, other = fine.two_point, coarse.two_point
    assert green is not None and other is not None and fine.chi2 and coarse.chi2
    errors = {
        "phi2": abs((fine.phi2 or 0) - (coarse.phi2 or 0)),
        "phi4": abs((fine.phi4 or 0) - (coarse.phi4 or 0)),
        "two_point": float(np.abs(green - other).max()),
        "chi2": abs(fine.chi2 - coarse.chi2),
    }
    if sides != (length, width):
        green = np.ascontiguousarray(green.T)
    error = abs(fine.log_z - coarse.log_z) + 1e-12
    return Exact("tensor network", sides, fine.log_z, error, fine.phi2, fine.phi4, green, float(green.sum()), errors)


def ising_kaufman(beta: float, shape: Sequence[int]) -> float:
    """log Z of the Ising model on a periodic L_1 x L_2 lattice (Kaufman, Phys. Rev. 76, 1232 (1949)).

    Parameters
    ----------
    beta : inverse temperature times the coupling, > 0; Z = sum over spins of exp(beta sum over links s s')
    shape : two sides of at least 2 (on a side of 2 each pair of neighbours is linked twice)
    """
    sides = checked_shape(shape)
    if not (math.isfinite(beta) and beta > 0) or len(sides) != 2 or min(sides) < 2:
        raise LatticeError(f"beta is {beta} and shape {list(sides)}; beta must be > 0 and both sides at least 2")
    m, n = sides
    k = np.arange(2 * n)
    cosh = math.cosh(2 * beta) / math.tanh(2 * beta) - np.cos(np.pi * k / n)
    gamma = np.arccosh(np.maximum(cosh, 1.0))
    gamma[0] = 2 * beta + math.log(math.tanh(beta))  # its sign matters: negative in the disordered phase
    half = 0.5 * m * gamma
    odd, even = half[1::2], half[0::2]

    def log_cosh(y: FloatArray) -> float:
        return float(np.logaddexp(y, -y).sum())

    def log_sinh(y: FloatArray) -> tuple[float, float]:
        size = np.abs(y)
        with np.errstate(divide="ignore"):
            value = float((size + np.log1p(-np.exp(-2 * size))).sum())
        return float(np.sign(y).prod()), value

    terms = [(1.0, log_cosh(odd)), log_sinh(odd), (1.0, log_cosh(even)), log_sinh(even)]
    # gamma_0 < 0 in the disordered phase makes the last product negative
    top = max(value for _, value in terms)
    total = sum(sign * math.exp(value - top) for sign, value in terms)
    return 0.5 * m * n * math.log(2 * math.sinh(2 * beta)) + top + math.log(total) - math.log(2)
