"""Rigid-body refinement: many placements at once slide downhill in the energy of `_dock_fields`, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.structure._dock_search import Penalties

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Refined:
    """(M,) energies, of which (M,) are of restraints; (M, 3, 3) rotations and (M, 3) centres, Å."""

    energies: Array
    restraint: Array
    rotations: Array
    centres: Array


class Refinement:
    """Minimiser of placements.

    Arguments:
        fields: (K, Z, Y, X) of the fixed body, not softened.
        origin: (3,) x y z of voxel (0, 0, 0), Å.
        spacing: Å.
        points: (N, 3) atoms of the moving body from its centre, Å.
        weights: (K, N).
        springs: restraints, their second points from the moving body's centre.
        steps: of the minimiser.
        device: of torch.
    """

    def __init__(
        self,
        fields: NDArray[np.float32],
        origin: Array,
        spacing: float,
        points: Array,
        weights: Array,
        springs: Penalties,
        *,
        steps: int = 60,
        device: str = "cpu",
    ) -> None:
        def tensor(values: Array | NDArray[np.float32]) -> torch.Tensor:
            return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32, device=device)

        self.fields, self.origin, self.spacing = tensor(fields)[None], tensor(origin), spacing
        self.points, self.weights = tensor(points), tensor(weights)
        self.size = tensor(np.array(fields.shape[:0:-1], dtype=float))  # x y z
        self.springs, self.steps, self.device = springs, steps, device
        self._first, self._second = tensor(springs.first), tensor(springs.second)
        self._lower, self._upper = tensor(springs.lower), tensor(springs.upper)
        self._owner = torch.as_tensor(springs.owner, dtype=torch.int64, device=device)
        # A turn by this many radians moves the rim as far as a step of one Å moves the centre.
        self._per_radian = float(np.sqrt((points**2).sum(axis=1).mean()))

    def run(self, rotations: Array, centres: Array, batch: int = 100) -> Refined:
        """Refine (M, 3, 3) rotations and (M, 3) centres in Å."""
        parts = [
            self._minimise(rotations[i : i + batch], centres[i : i + batch]) for i in range(0, len(centres), batch)
        ]
        if not parts:
            return Refined(np.zeros(0), np.zeros(0), np.zeros((0, 3, 3)), np.zeros((0, 3)))
        return Refined(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _minimise(self, rotations: Array, centres: Array) -> tuple[Array, Array, Array, Array]:
        start = torch.as_tensor(rotations, dtype=torch.float32, device=self.device)
        place = torch.as_tensor(centres, dtype=torch.float32, device=self.device)
        moves = torch.zeros(len(place), 6, device=self.device, requires_grad=True)
        optimiser = torch.optim.Adam([moves], lr=0.25)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps, eta_min=0.01)
        lowest = torch.full((len(place),), torch.inf, device=self.device)
        best = moves.detach().clone()
        for _ in range(self.steps):
            energy, restraint = self._energy(*self._moved(start, place, moves))
            total = energy + restraint
            with torch.no_grad():
                better = total < lowest
                best[better], lowest[better] = moves[better], total[better]
            optimiser.zero_grad()
            total.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            turned, moved = self._moved(start, place, best)
            energy, restraint = self._energy(turned, moved)
        found = ((energy + restraint), restraint, turned, moved)
        columns = [part.cpu().numpy().astype(np.float64) for part in found]
        return columns[0], columns[1], columns[2], columns[3]

    def _moved(
        self, start: torch.Tensor, place: torch.Tensor, moves: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotations and centres after moves (M, 6): turns in rim Å, shifts in Å."""
        x, y, z = (moves[:, :3] / self._per_radian).unbind(dim=1)
        zero = torch.zeros_like(x)
        rows = [zero, -z, y, z, zero, -x, -y, x, zero]
        turn: torch.Tensor = torch.linalg.matrix_exp(torch.stack(rows, dim=1).view(-1, 3, 3))
        return turn @ start, place + moves[:, 3:]

    def _energy(self, rotations: torch.Tensor, centres: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(M,) energy of the fields and (M,) of the restraints."""
        atoms = self.points @ rotations.transpose(1, 2) + centres[:, None]
        place = 2.0 * (atoms - self.origin) / self.spacing / (self.size - 1.0) - 1.0
        felt = self._sample(place)
        energy = (felt * self.weights[:, None, :]).sum(dim=(0, 2))
        if self.springs.count == 0:
            return energy, torch.zeros_like(energy)
        ends = self._second @ rotations.transpose(1, 2) + centres[:, None]
        distance = (ends - self._first).norm(dim=2)
        over = torch.relu(distance - self._upper) + torch.relu(self._lower - distance)
        nearest = torch.full((len(over), self.springs.count), torch.inf, device=self.device)
        nearest = nearest.scatter_reduce(1, self._owner.expand(len(over), -1), over, "amin")
        penalty: torch.Tensor = self.springs.weight * nearest.clamp(max=self.springs.cap).sum(dim=1)
        return energy, penalty

    def _sample(self, place: torch.Tensor) -> torch.Tensor:
        """(K, M, N) fields at (M, N, 3) places in -1..1."""
        felt: torch.Tensor = torch.nn.functional.grid_sample(
            self.fields, place[None, None], mode="bilinear", padding_mode="zeros", align_corners=True
        )
        return felt[0, :, 0]
