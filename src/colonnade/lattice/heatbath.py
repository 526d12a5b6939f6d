"""The exact conditional of one site given its neighbours, tabulated once per action.

Given B = w0 * (sum of the neighbours) + h, the sites of one colour are independent with density proportional to
exp(-w2 |phi|^2 - w4 |phi|^4 + B . phi). Its normalisation log z(|B|) turns the action into an effective one for the
other colour, so a flow has to learn half of the sites only and the rest is drawn without error.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from numba import njit
from scipy.special import i0e

from colonnade.lattice._types import FloatArray, IntArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.errors import LatticeError

_ROWS = 1500
_CELLS = 1500  # for drawing: the quantile inside a cell is linear
_COARSE = 400  # for log z: the rule converges exponentially for such smooth densities


class HeatBath:
    """log z(|B|) as a cubic Hermite table (value and exact slope) and the conditional distribution functions.

    Supports one or two components; errors of the table are below 1e-7 in log z.
    """

    def __init__(self, action: ScalarAction) -> None:
        if action.components > 2:
            raise LatticeError(f"components is {action.components}; the heat bath supports 1 and 2")
        self.action = action
        self.edge = self._edge(action)
        # the largest |B| of interest: all neighbours at the edge of what the action allows
        self.top = 2 * action.d * abs(action.w0) * self.edge + abs(action.h)
        x, f, peak = self._densities(_COARSE)
        total = _simpson(f, x)
        self.log_z = peak + np.log(total)
        mean = f * x
        if action.components == 2:
            mean *= _bessel_ratio(np.linspace(0, self.top, _ROWS)[:, None] * x)
        self.slope = _simpson(mean, x) / total
        self._table: dict[torch.dtype, tuple[torch.Tensor, torch.Tensor]] = {}

    @cached_property
    def _quantiles(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and the distribution function of every row of |B|; made when the first site is drawn."""
        x, f, _ = self._densities(_CELLS)
        cumulative = np.zeros((_ROWS, len(x)))
        np.cumsum(0.5 * (f[:, 1:] + f[:, :-1]), axis=1, out=cumulative[:, 1:])
        return x, cumulative / cumulative[:, -1:]

    def _densities(self, cells: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Nodes, the conditional densities over them for every row of |B|, scaled to a peak of 1, and log of the peaks.

        For two components the variable is the radius, the angle being integrated out.
        """
        action, end = self.action, 1.3 * self.edge
        b = np.linspace(0, self.top, _ROWS)[:, None]
        if action.components == 1:
            x = np.linspace(-end, end, cells + 1)
            log_f = b * x - (action.w2 * x**2 + action.w4 * x**4)
        else:
            x = np.linspace(0, end, cells + 1)
            with np.errstate(divide="ignore"):
                log_f = b * x + np.log(i0e(b * x)) + np.log(2 * np.pi * x) - action.w2 * x**2 - action.w4 * x**4
        peak = log_f.max(1)
        log_f -= peak[:, None]
        return x, np.exp(log_f, out=log_f), peak

    @staticmethod
    def _edge(action: ScalarAction) -> float:
        """Where a site with all neighbours as large as itself has a weight of exp(-40)."""
        start = np.linspace(0, 60, 60001)
        local = (action.w2 - action.d * abs(action.w0)) * start**2 + action.w4 * start**4 - abs(action.h) * start
        return float(start[np.nonzero(local - local.min() < 40)[0][-1]])

    def log_norm(self, b: torch.Tensor) -> torch.Tensor:
        """log z of |b|, elementwise and differentiable."""
        if b.dtype not in self._table:
            self._table[b.dtype] = (
                torch.from_numpy(self.log_z).to(b.dtype),
                torch.from_numpy(self.slope).to(b.dtype),
            )
        value, slope = self._table[b.dtype]
        step = self.top / (_ROWS - 1)
        at = b.abs() / step
        k = at.detach().long().clamp(0, _ROWS - 2)
        t = at - k
        v0, v1, s0, s1 = value[k], value[k + 1], slope[k] * step, slope[k + 1] * step
        # beyond the table the last cubic continues: such fields have weight below 1e-17
        return v0 + t * (s0 + t * (3 * (v1 - v0) - 2 * s0 - s1 + t * (2 * (v0 - v1) + s0 + s1)))

    def draw(self, b: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Sites drawn given b (components, ...); same shape."""
        size = np.abs(b[0]) if b.shape[0] == 1 else np.sqrt((b**2).sum(0))
        flat = np.ascontiguousarray(size, dtype=np.float64).ravel()
        u = rng.random((2, flat.size))
        r = np.empty(flat.size)
        nodes, cumulative = self._quantiles
        _invert(cumulative, nodes, flat * ((_ROWS - 1) / self.top), u[0], u[1], r)
        r = r.reshape(size.shape)
        if b.shape[0] == 1:
            return np.asarray(np.where(b < 0, -r, r))
        angle = np.arctan2(b[1], b[0]) + rng.vonmises(0.0, size * r)
        return np.stack([r * np.cos(angle), r * np.sin(angle)])


def _simpson(f: FloatArray, x: FloatArray) -> FloatArray:
    h = float(x[1] - x[0])
    return np.asarray(h / 3 * (f[:, 0] + f[:, -1] + 4 * f[:, 1:-1:2].sum(1) + 2 * f[:, 2:-1:2].sum(1)))


def _bessel_ratio(x: FloatArray) -> FloatArray:
    from scipy.special import i1e

    return np.asarray(i1e(x) / i0e(x))


@njit(cache=True, nogil=True)
def _invert(
    cumulative: FloatArray, nodes: FloatArray, row: FloatArray, u: FloatArray, v: FloatArray, out: FloatArray
) -> None:
    """out = quantile u of the table row; a row between two entries is one of them, with linear probability."""
    rows, last = cumulative.shape[0], cumulative.shape[1] - 1
    for n in range(out.size):
        k = min(int(row[n]), rows - 2)
        if v[n] < row[n] - k:
            k += 1
        low, high = 0, last
        while high - low > 1:
            middle = (low + high) // 2
            if cumulative[k, middle] <= u[n]:
                low = middle
            else:
                high = middle
        span = cumulative[k, high] - cumulative[k, low]
        t = (u[n] - cumulative[k, low]) / span if span > 0 else 0.5
        out[n] = nodes[low] + t * (nodes[high] - nodes[low])


def neighbours_of(active: IntArray, table: IntArray, position: IntArray) -> IntArray:
    """Positions among the kept sites of the 2d neighbours of every removed site, shape (2d, removed)."""
    return np.ascontiguousarray(position[table[active]].T)


def site_distribution(action: ScalarAction) -> tuple[FloatArray, FloatArray, float]:
    """Grid, distribution function and log normalisation of phi (|phi| if complex) of one site, without hopping."""
    if action.components > 2:
        raise LatticeError(f"components is {action.components}; the heat bath supports 1 and 2")
    end = 1.0
    while action.w2 * end**2 + action.w4 * end**4 - abs(action.h) * end < 60 + 0.25 * action.w2**2 / action.w4:
        end *= 1.1
    if action.components == 1:
        x = np.linspace(-end, end, 20001)
        log_f = -action.w2 * x**2 - action.w4 * x**4 + action.h * x
    else:
        if action.h:
            raise LatticeError(f"h is {action.h}; annealing a complex field needs h = 0")
        x = np.linspace(0, end, 20001)
        with np.errstate(divide="ignore"):
            log_f = np.log(2 * np.pi * x) - action.w2 * x**2 - action.w4 * x**4
    top = float(log_f.max())
    f = np.exp(log_f - top)
    total = float(_simpson(f[None], x)[0])
    cumulative = np.concatenate([[0.0], (0.5 * (f[1:] + f[:-1])).cumsum()])
    return x, cumulative / cumulative[-1], top + math.log(total)
