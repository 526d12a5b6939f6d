"""What a flow has to learn: the action on its sites, the other colour integrated out exactly if it is decimated."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.geometry import neighbours
from colonnade.lattice.heatbath import HeatBath
from colonnade.lattice.support import Support


class Target:
    """The density exp(-energy(x)) on the sites of a support, with the same Z as the full lattice.

    For a decimated support the energy is S on the kept colour minus sum log z(B) over the removed sites: as the
    removed sites are independent given the kept ones, nothing is approximated.

    Parameters
    ----------
    action, support : must have the same number of dimensions
    """

    def __init__(self, action: ScalarAction, support: Support) -> None:
        if len(support.shape) != action.d:
            raise LatticeError(
                f"the flow lives on shape {list(support.shape)} but the action is {action.d}-dimensional"
            )
        self.action, self.support = action, support
        self.heat_bath = HeatBath(action) if support.decimated else None
        volume = math.prod(support.shape)
        position = np.full(volume, -1)
        position[support.sites] = np.arange(support.size)
        self.removed = np.nonzero(position < 0)[0]
        self._position = position
        table = neighbours(support.shape)
        if support.decimated:
            self._around = torch.from_numpy(np.ascontiguousarray(position[table[self.removed]].T))
        else:
            self._ahead = torch.from_numpy(np.ascontiguousarray(table[:, ::2].T))

    def energy(self, x: Tensor) -> Tensor:
        """Effective action of fields (C, S, n), shape (n,), summed in float64."""
        a = self.action
        square = (x * x).sum(0)
        local = square * (a.w2 + a.w4 * square)
        if a.h:
            local = local - a.h * x[0]
        total = local.sum(0, dtype=torch.float64)
        if self.heat_bath is None:
            ahead = torch.stack([x[:, row] for row in self._ahead]).sum(0)
            return total - a.w0 * (x * ahead).sum((0, 1), dtype=torch.float64)
        return total - self.heat_bath.log_norm(self._size(self._tilt(x))).sum(0, dtype=torch.float64)

    def _tilt(self, x: Tensor) -> Tensor:
        """B = w0 * (sum of neighbours) + h at the removed sites, (C, removed, n)."""
        tilt = torch.stack([x[:, row] for row in self._around]).sum(0) * self.action.w0
        if self.action.h:
            tilt = torch.cat([tilt[:1] + self.action.h, tilt[1:]])
        return tilt

    @staticmethod
    def _size(tilt: Tensor) -> Tensor:
        return tilt[0] if tilt.shape[0] == 1 else (tilt * tilt).sum(0).clamp(min=1e-24).sqrt()

    def complete(self, x: Tensor, rng: np.random.Generator) -> FloatArray:
        """Full fields (n, [C,] L_1, ..., L_d) in float64 from kept sites (C, S, n), drawing the removed ones."""
        components, _, n = x.shape
        field = np.empty((components, math.prod(self.support.shape), n))
        field[:, self.support.sites] = x.detach().double().numpy()
        if self.heat_bath is not None:
            field[:, self.removed] = self.heat_bath.draw(self._tilt(x.detach().double()).numpy(), rng)
        moved = np.moveaxis(field, -1, 0)
        inner = () if self.action.components == 1 else (components,)
        return np.ascontiguousarray(moved).reshape(n, *inner, *self.support.shape)

    def reduce(self, fields: FloatArray, dtype: torch.dtype = torch.float32) -> Tensor:
        """Kept sites (C, S, n) of full fields.

        Raises
        ------
        LatticeError
            If the fields have another shape than the support.
        """
        inner = () if self.action.components == 1 else (self.action.components,)
        expected = (*inner, *self.support.shape)
        if fields.shape[1:] != expected:
            raise LatticeError(f"fields have shape {list(fields.shape[1:])}; these weights are for {list(expected)}")
        flat = fields.reshape(len(fields), self.action.components, -1)[:, :, self.support.sites]
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(flat, 0, -1))).to(dtype)
