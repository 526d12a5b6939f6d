"""The search behind `space.interaction_space`: all translations of all rotations of one body around another,
in torch.

For a rotation Q the number of overlapping voxels at every translation is a correlation, computed by FFT.
Three things make it fast, and none changes a count:

- The receptor grid is complex, core + i surface, so that one complex transform gives the clash volume in its
real
  part and the interaction volume in its imaginary part. Both are integers, and single precision is enough to
  round them (it is checked on every run, with double precision when it is not).
- A rotation is g R with g a rotation of the cube. Correlating the ligand turned by g R with the receptor is
  correlating the ligand turned by R with the receptor turned by g^-1, an exact permutation of its voxels: the
  rotated ligand and its transform are needed once for 24 rotations.
- Restraints are evaluated only where a complex is possible, as bits of one integer per pose; counting these
integers
  gives the number of complexes for every subset of restraints at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.structure.rotations import RotationSet, cube_rotations

Array = NDArray[np.float64]
Track = Callable[[Sequence[int], str], Iterable[int]]

SINGLE_ERROR = 0.05
"""Largest error of an overlap count at which single precision is kept; 0.5 would be needed to change one."""

CACHE_BYTES = 2**28
"""Memory for transforms of the receptor in its 24 orientations; beyond it they are made when needed."""


@dataclass(frozen=True)
class Grids:
    """Voxelised bodies: arrays [z, y, x] of 0 and 1; the ligand is centred on voxel 0 and wraps around.

    `reach` is the radius, in voxels, of a sphere about the centre that holds the ligand.
    """

    core: Array
    surface: Array
    ligand: Array
    reach: int


@dataclass(frozen=True)
class Pairs:
    """Restraints in grid units: P pairs, x y z; `second` from the ligand's centre. `owner` maps pairs to
    restraints.
    """

    first: Array
    second: Array
    lower: Array
    upper: Array
    owner: NDArray[np.int64]
    count: int


@dataclass
class Found:
    """What a search adds up: complexes by the bit pattern of restraints they satisfy, the best count per
    voxel.
    """

    patterns: NDArray[np.int64]
    weights: Array
    space: NDArray[np.int32]
    contacts: Array | None = None


@dataclass
class Search:
    """A search over rotations and translations; see `run`.

    Arguments:
        grids: the two bodies.
        pairs: the restraints.
        max_clash: largest overlap of the cores, voxels.
        min_interaction: smallest overlap of ligand core and receptor surface, voxels.
        device: of torch.
        contact_sites: (F, 3) and (S, 3) points of both partners, grid units, for the interaction matrix.
        contact_distance: in voxels.
        contact_least: restraints that a pose must satisfy to count for the interaction matrix.
        compiled: on a CPU, count poses in a compiled loop instead of with torch.
    """

    grids: Grids
    pairs: Pairs
    max_clash: float
    min_interaction: float
    device: str = "cpu"
    contact_sites: tuple[Array, Array] | None = None
    contact_distance: float = 0.0
    contact_least: int = 0
    compiled: bool = True
    _spectra: dict[int, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shape = tuple(self.grids.core.shape)
        self.voxels = int(np.prod(self.shape))
        self._clash_below = np.floor(self.max_clash + 1e-9) + 0.5
        self._touch_above = np.ceil(self.min_interaction - 1e-9) - 0.5
        # In array order z, y, x a cube rotation is again a signed permutation: axis a of t reads s_a u[p_a].
        flipped = cube_rotations()[:, ::-1, ::-1]
        self._axes = np.abs(flipped).argmax(axis=2)
        self._signs = flipped.sum(axis=2).astype(int)
        self._receptor = torch.complex(self._tensor(self.grids.core), self._tensor(self.grids.surface))
        self._ball = self._ball_points()
        self._points: dict[tuple[int, ...], torch.Tensor] = {}
        self._bits = self._tensor([1 << n for n in range(self.pairs.count)], torch.int64)
        self._ones = self._tensor([n.bit_count() for n in range(1 << 16)], torch.int8)
        self._owner = self._tensor(self.pairs.owner, torch.int64)
        self._lower2 = self._tensor(self.pairs.lower**2)[:, None]
        self._upper2 = self._tensor(self.pairs.upper**2)[:, None]
        self._has_lower = bool((self.pairs.lower > 0).any())
        self._dtype = self._precision()
        self._spaces = torch.zeros(24, self.voxels, dtype=torch.int8, device=self.device)

    def run(self, rotations: RotationSet, track: Track | None = None) -> Found:
        """Search all rotations of the set. `track` wraps the loop over cosets, to show progress."""
        cosets: Iterable[int] = range(len(rotations.matrices))
        if track is not None:
            cosets = track(range(len(rotations.matrices)), "Searching rotations")
        totals = _Tally(self.pairs.count, self.device)
        contacts = self._no_contacts()
        for n in cosets:
            weight = float(rotations.weights[n])
            totals.add(self._coset(rotations.matrices[n], weight, contacts), weight)
        patterns, weights = totals.result()
        return Found(
            patterns=patterns,
            weights=weights,
            space=self._merged_space().cpu().numpy().astype(np.int32),
            contacts=None if contacts is None else contacts.cpu().numpy(),
        )

    def _tensor(self, array: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), dtype=dtype, device=self.device)

    def _ball_points(self) -> torch.Tensor:
        """(M, 3) integer points x y z of the sphere that holds the ligand in any orientation."""
        r = self.grids.reach
        steps = torch.arange(-r, r + 1, device=self.device)
        points = torch.cartesian_prod(steps, steps, steps)
        ball: torch.Tensor = points[(points**2).sum(dim=1) <= r * r]
        return ball

    def _precision(self) -> torch.dtype:
        """Single precision where it rounds overlap counts safely, as tried on the ligand as it is."""
        ligand = self._tensor(self.grids.ligand)
        results = []
        for dtype in (torch.complex64, torch.complex128):
            self._dtype = dtype
            self._spectra.clear()
            product = torch.fft.fftn(ligand.to(dtype)).conj() * self._spectrum(0)
            results.append(torch.fft.ifftn(product, norm="forward"))
        self._spectra.clear()
        error = torch.view_as_real(results[0].to(torch.complex128) - results[1]).abs().max()
        return torch.complex64 if float(error) < SINGLE_ERROR else torch.complex128

    def _turned_shape(self, g: int) -> tuple[int, ...]:
        """Shape of the receptor grid as the ligand's frame sees it under cube rotation g."""
        shape = [0, 0, 0]
        for a in range(3):
            shape[self._axes[g, a]] = self.shape[a]
        return tuple(shape)

    def _spectrum(self, g: int) -> torch.Tensor:
        """Transform of the receptor turned by g^-1, over the number of voxels.

        Turning a grid turns its transform: one transform serves all orientations.
        """
        if g in self._spectra:
            return self._spectra[g]
        if 0 not in self._spectra:
            self._spectra[0] = (torch.fft.fftn(self._receptor) / self.voxels).to(self._dtype)
        spectrum = self._spectra[0]
        flips = [a for a in range(3) if self._signs[g, a] < 0]
        if flips:  # index i becomes -i, modulo the length
            spectrum = torch.roll(torch.flip(spectrum, flips), [1] * len(flips), flips)
        spectrum = spectrum.permute(tuple(np.argsort(self._axes[g]).tolist())).contiguous()
        if 24 * self.voxels * spectrum.element_size() <= CACHE_BYTES or self.device != "cpu":
            self._spectra[g] = spectrum
        return spectrum

    def _rotated_ligand(self, matrix: Array, shape: tuple[int, ...]) -> torch.Tensor:
        """Ligand turned by R on a grid of this shape: voxel x takes the value nearest to R^-1 x."""
        back = self._ball.to(torch.float64) @ self._tensor(matrix)
        # Halves are rounded away from zero, which commutes with changes of sign, as cube rotations need.
        source = (torch.sign(back) * torch.floor(torch.abs(back) + 0.5)).long()
        ligand = self._tensor(self.grids.ligand).reshape(-1)
        values = ligand[_flat(source, self.shape)]
        filled = values > 0
        out = torch.zeros(shape, dtype=self._dtype.to_real(), device=self.device)
        out.view(-1)[_flat(self._ball[filled], shape)] = values[filled].to(out.dtype)
        return out

    def _coset(self, matrix: Array, weight: float, contacts: torch.Tensor | None) -> torch.Tensor:
        """Bit patterns of all complexes of the 24 rotations g R."""
        transforms: dict[tuple[int, ...], torch.Tensor] = {}
        patterns = []
        for g, turn in enumerate(cube_rotations()):
            shape = self._turned_shape(g)
            if shape not in transforms:
                ligand = torch.fft.fftn(self._rotated_ligand(matrix, shape).to(self._dtype))
                transforms[shape] = ligand.conj().resolve_conj()
            overlap = torch.fft.ifftn(transforms[shape] * self._spectrum(g), norm="forward")
            flat, found = self._poses(g, turn @ matrix, overlap)
            patterns.append(found)
            if contacts is not None:
                self._count_contacts(turn @ matrix, self._translations(g, flat), found, weight, contacts)
        return torch.cat(patterns)

    def _poses(self, g: int, rotation: Array, overlap: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(P,) flat indices of the complexes and their (P,) patterns; the space is brought up to date."""
        if self.device == "cpu" and self.compiled:
            return self._poses_compiled(g, rotation, overlap)
        clash, touch = torch.view_as_real(overlap).view(-1, 2).unbind(dim=1)
        flat = torch.nonzero((clash < self._clash_below) & (touch > self._touch_above)).view(-1)
        patterns = self._satisfied(g, rotation, flat)
        best = torch.maximum(self._spaces[g].index_select(0, flat), self._popcount(patterns))
        self._spaces[g].index_copy_(0, flat, best)
        return flat, patterns

    def _poses_compiled(self, g: int, rotation: Array, overlap: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same in one pass over memory: on a CPU, moving grids costs more than computing on them."""
        centres = (self.pairs.first - self.pairs.second @ rotation.T)[:, ::-1]
        turned, axes = np.empty_like(centres), [np.empty(0)] * 3
        for a in range(3):
            steps = np.arange(self.shape[a], dtype=np.float64)
            axes[self._axes[g, a]] = steps if self._signs[g, a] > 0 else (self.shape[a] - steps) % self.shape[a]
            turned[:, self._axes[g, a]] = centres[:, a]
        flat, patterns = _count_poses(
            torch.view_as_real(overlap).numpy(),
            (self._clash_below, self._touch_above),
            (axes[0], axes[1], axes[2]),
            turned,
            (self.pairs.lower**2, self.pairs.upper**2),
            self.pairs.owner,
            self._spaces[g].numpy(),
        )
        return torch.from_numpy(flat), torch.from_numpy(patterns)

    def _turned_points(self, shape: tuple[int, ...]) -> torch.Tensor:
        """(N^3, 5) for each voxel u of a turned grid u_0, u_1, u_2, |u|^2 and 1."""
        if shape not in self._points:
            steps = [torch.arange(n, dtype=torch.float32, device=self.device) for n in shape]
            u = torch.cartesian_prod(*steps)
            self._points[shape] = torch.cat([u, (u**2).sum(dim=1, keepdim=True), torch.ones_like(u[:, :1])], dim=1)
        return self._points[shape]

    def _translations(self, g: int, flat: torch.Tensor) -> torch.Tensor:
        """(P, 3) translations x y z in the receptor's frame, from flat indices in the turned frame."""
        turned = self._turned_points(self._turned_shape(g)).index_select(0, flat)
        columns = []
        for a in (2, 1, 0):
            u = turned[:, self._axes[g, a]]
            columns.append(u if self._signs[g, a] > 0 else torch.where(u > 0, self.shape[a] - u, u))
        return torch.stack(columns, dim=1).to(torch.float64)

    def _satisfied(self, g: int, rotation: Array, flat: torch.Tensor) -> torch.Tensor:
        """(P,) bit patterns of the restraints that the poses at these flat indices satisfy."""
        if self.pairs.count == 0 or len(flat) == 0:
            return torch.zeros(len(flat), dtype=torch.int64, device=self.device)
        turned = self._turned_points(self._turned_shape(g)).index_select(0, flat).to(torch.float64)
        # A pose satisfies |t - c| <= upper for c = first - Q second. In the turned frame t_a is u or N - u.
        centres = (self.pairs.first - self.pairs.second @ rotation.T)[:, ::-1]
        rows = np.empty((len(centres), 5))
        for a in range(3):
            c = centres[:, a]
            rows[:, self._axes[g, a]] = -2.0 * (c if self._signs[g, a] > 0 else self.shape[a] - c)
        rows[:, 3], rows[:, 4] = 1.0, (rows[:, :3] ** 2).sum(axis=1) / 4.0
        square = torch.mm(self._tensor(rows), turned.T)
        for a in range(3):  # N - u is t, but for u = 0
            if self._signs[g, a] < 0:
                edge = turned[:, self._axes[g, a]] == 0
                if bool(edge.any()):
                    from_0, n = self._tensor(centres[:, a])[:, None], self.shape[a]
                    square[:, edge] += from_0**2 - (n - from_0) ** 2
        good = square <= self._upper2
        if self._has_lower:
            good &= square >= self._lower2
        if len(self.pairs.owner) > self.pairs.count:  # ambiguous: any pair of a restraint
            either = torch.zeros(self.pairs.count, len(flat), dtype=torch.int32, device=self.device)
            good = either.index_add_(0, self._owner, good.to(torch.int32)) > 0
        if self.pairs.count <= 24:  # sums of single bits are exact in single precision
            return (self._bits.to(torch.float32) @ good.to(torch.float32)).to(torch.int64)
        return (good.to(torch.int64) * self._bits[:, None]).sum(dim=0)

    def _merged_space(self) -> torch.Tensor:
        """Largest number of satisfied restraints at each translation, over all orientations, [z, y, x]."""
        merged = torch.zeros(self.shape, dtype=torch.int8, device=self.device)
        for g in range(24):
            seen = self._spaces[g].reshape(self._turned_shape(g)).permute(tuple(self._axes[g].tolist()))
            flips = [a for a in range(3) if self._signs[g, a] < 0]
            if flips:
                seen = torch.roll(torch.flip(seen, flips), [1] * len(flips), flips)
            merged = torch.maximum(merged, seen)
        return merged

    def _popcount(self, patterns: torch.Tensor) -> torch.Tensor:
        """Number of restraints satisfied, by a table of 16 bits at a time."""
        count = self._ones[patterns & 0xFFFF]
        for shift in range(16, self.pairs.count, 16):
            count = count + self._ones[(patterns >> shift) & 0xFFFF]
        return count

    def _no_contacts(self) -> torch.Tensor | None:
        if self.contact_sites is None:
            return None
        rows, columns = (len(sites) for sites in self.contact_sites)
        depth = self.pairs.count + 1 - self.contact_least
        return torch.zeros(depth, rows, columns, dtype=torch.float64, device=self.device)

    def _count_contacts(
        self,
        rotation: Array,
        poses: torch.Tensor,
        patterns: torch.Tensor,
        weight: float,
        contacts: torch.Tensor,
    ) -> None:
        """Add the residue pairs in contact in every pose that satisfies enough restraints."""
        assert self.contact_sites is not None
        counts = self._popcount(patterns)
        first = self._tensor(self.contact_sites[0])
        second = self._tensor(self.contact_sites[1] @ rotation.T)
        followed = counts >= self.contact_least
        levels, moves = (counts[followed] - self.contact_least).long(), poses[followed]
        square = self.contact_distance**2
        if self.device == "cpu" and self.compiled:
            bodies = (first.numpy(), second.numpy())
            _add_contacts(bodies, moves.numpy(), levels.numpy(), square, weight, contacts.numpy())
            return
        for level, move in zip(levels.tolist(), moves, strict=True):
            near = ((first[:, None] - (second + move)[None]) ** 2).sum(dim=2) <= square
            contacts[level] += weight * near


class _Tally:
    """Weighted counts of bit patterns: a table when it is small, sorted arrays when it is not."""

    def __init__(self, restraints: int, device: str) -> None:
        self.size = 1 << restraints if restraints <= 16 else 0
        self.table = torch.zeros(self.size, dtype=torch.float64, device=device)
        self.parts: list[tuple[NDArray[np.int64], Array]] = []

    def add(self, patterns: torch.Tensor, weight: float) -> None:
        if self.size:
            self.table += weight * torch.bincount(patterns, minlength=self.size).to(torch.float64)
            return
        unique, counts = torch.unique(patterns, return_counts=True)
        self.parts.append((unique.cpu().numpy(), weight * counts.cpu().numpy()))
        if len(self.parts) > 32:
            self.parts = [self._merged()]

    def _merged(self) -> tuple[NDArray[np.int64], Array]:
        patterns, place = np.unique(np.concatenate([part for part, _ in self.parts]), return_inverse=True)
        weights = np.bincount(place, np.concatenate([part for _, part in self.parts]), minlength=len(patterns))
        return patterns, weights.astype(np.float64)

    def result(self) -> tuple[NDArray[np.int64], Array]:
        """Patterns in ascending order and their weights."""
        if not self.size:
            return self._merged()
        table = self.table.cpu().numpy()
        patterns = np.flatnonzero(table)
        return patterns.astype(np.int64), table[patterns]


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_compiled
def _count_poses(
    overlap: Any, bounds: Any, axes: Any, centres: Any, squares: Any, owner: Any, space: Any
) -> tuple[Any, Any]:
    """Complexes of one rotation: flat indices and patterns.

    Arguments:
        overlap: (A, B, C, 2) clash and touch at each turned translation.
        bounds: clash is below the first, touch above the second.
        axes: (A,), (B,), (C,) translation along each turned axis.
        centres: (P, 3) where each pair has distance 0, in the order of the axes.
        squares: (P,) and (P,) squared bounds of the pairs.
        owner: (P,) restraint of each pair.
        space: (A B C,) largest number of satisfied restraints so far; updated.
    """
    (n0, n1, n2, _), (lower, upper) = overlap.shape, squares
    capacity, count = 1024, 0
    flat, patterns = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                if not (overlap[i, j, k, 0] < bounds[0] and overlap[i, j, k, 1] > bounds[1]):
                    continue
                pattern = np.int64(0)
                for p in range(len(owner)):
                    d0, d1, d2 = (
                        axes[0][i] - centres[p, 0],
                        axes[1][j] - centres[p, 1],
                        axes[2][k] - centres[p, 2],
                    )
                    square = d0 * d0 + d1 * d1 + d2 * d2
                    if lower[p] <= square <= upper[p]:
                        pattern |= np.int64(1) << owner[p]
                if count == capacity:
                    capacity *= 2
                    flat = np.append(flat, np.empty(count, np.int64))
                    patterns = np.append(patterns, np.empty(count, np.int64))
                flat[count], patterns[count] = (i * n1 + j) * n2 + k, pattern
                bits, rest = 0, pattern
                while rest:
                    rest &= rest - 1
                    bits += 1
                space[flat[count]] = max(space[flat[count]], bits)
                count += 1
    return flat[:count].copy(), patterns[:count].copy()


@_compiled
def _add_contacts(bodies: Any, moves: Any, levels: Any, square: float, weight: float, contacts: Any) -> None:
    """Add `weight` to contacts[level, i, j] for every pose in which points i and j are near.

    Arguments:
        bodies: (F, 3) points of the fixed body and (S, 3) of the scanning one, turned.
        moves: (P, 3) translations of the scanning body.
        levels: (P,) first index into `contacts`.
        square: squared distance of a contact.
        weight: of the rotation.
        contacts: (L, F, S); updated.
    """
    first, second = bodies
    for p in range(len(moves)):
        for j in range(len(second)):
            x, y, z = second[j, 0] + moves[p, 0], second[j, 1] + moves[p, 1], second[j, 2] + moves[p, 2]
            for i in range(len(first)):
                dx, dy, dz = first[i, 0] - x, first[i, 1] - y, first[i, 2] - z
                if dx * dx + dy * dy + dz * dz <= square:
                    contacts[levels[p], i, j] += weight


def _flat(points: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Flat indices of points x y z in an array [z, y, x], wrapping around."""
    x, y, z = points.unbind(dim=1)
    return ((z % shape[0]) * shape[1] + y % shape[1]) * shape[2] + x % shape[2]
