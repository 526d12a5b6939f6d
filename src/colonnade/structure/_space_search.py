"""The search behind `space.interaction_space`: all translations of all rotations of one body around another,
in torch.

For a rotation Q the number of overlapping voxels at every translation is a correlation, computed by FFT.
Four things make it fast, and none changes a count:

- The receptor grid is complex, core + i surface, so that one complex transform gives the clash volume in its
  real part and the interaction volume in its imaginary part. Both are integers, and single precision is enough
  to round them (it is checked on every run, with double precision when it is not).
- A rotation is g R with g a rotation of the cube. Correlating the ligand turned by g R with the receptor is
  correlating the ligand turned by R with the receptor turned by g^-1, an exact permutation of its voxels: the
  rotated ligand and its transform are needed once for 24 rotations.
- The grid of a transform is as large as the ligand turned by R needs (`_space_shapes`), not as the longest
  ligand in every direction would.
- Restraints are evaluated only where a complex is possible, as bits of one integer per pose; counting these
  integers gives the number of complexes for every subset of restraints at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.structure._space_counting import ContactCounts, Tally, count_poses
from colonnade.structure._space_shapes import Shape, grid_shape, profiles, shared_shapes
from colonnade.structure.rotations import RotationSet, cube_rotations

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Track = Callable[[Sequence[int], str], Iterable[int]]

SINGLE_ERROR = 0.05
"""Largest error of an overlap count at which single precision is kept; 0.5 would be needed to change one."""

CACHE_BYTES = 2**28
"""Memory for transforms of the receptor in its orientations; beyond it they are made when needed."""


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


@dataclass(frozen=True)
class Pose:
    """One complex: the scanning body turned about its centre and moved, in voxels.

    Attributes:
        rotation: (3, 3).
        translation: (3,) x y z of the centre in the grid.
        satisfied: number of restraints that hold.
        touch: interaction volume, voxels.
    """

    rotation: Array
    translation: Array
    satisfied: int
    touch: int


@dataclass
class Found:
    """What a search adds up: complexes by the bit pattern of restraints they satisfy, the best count per voxel, and
    the pose with most restraints and, of those, most contact.
    """

    patterns: NDArray[np.int64]
    weights: Array
    space: NDArray[np.int32]
    best: Pose | None = None
    contacts: Array | None = None


@dataclass(frozen=True)
class _Coset:
    """The 24 rotations g R: R, the voxels (M, 3) z y x of the ligand turned by it, and the weight of each."""

    rotation: Array
    points: NDArray[np.int16]
    weight: float


@dataclass
class Search:
    """A search over rotations and translations; see `run`.

    Arguments:
        grids: the two bodies.
        pairs: the restraints.
        max_clash: largest overlap of the cores, voxels.
        min_interaction: smallest overlap of ligand core and receptor surface, voxels.
        device: of torch.
        contacts: counts residue contacts, when they are asked for.
        compiled: on a CPU, count poses in a compiled loop instead of with torch.
    """

    grids: Grids
    pairs: Pairs
    max_clash: float
    min_interaction: float
    device: str = "cpu"
    contacts: ContactCounts | None = None
    compiled: bool = True
    _spectra: dict[int, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.frame = tuple(self.grids.core.shape)
        self._clash_below = np.floor(self.max_clash + 1e-9) + 0.5
        self._touch_above = np.ceil(self.min_interaction - 1e-9) - 0.5
        # In array order z, y, x a cube rotation is again a signed permutation: axis a of t reads s_a u[p_a].
        flipped = cube_rotations()[:, ::-1, ::-1]
        self._axes = np.abs(flipped).argmax(axis=2)
        self._signs = flipped.sum(axis=2).astype(int)
        self._surface = np.argwhere(self.grids.surface > 0)
        self._box = np.stack([self._surface.min(axis=0), self._surface.max(axis=0)])
        part = tuple(slice(low, high + 1) for low, high in self._box.T)
        self._receptor = torch.complex(
            self._tensor(self.grids.core[part], torch.float64), self._tensor(self.grids.surface[part], torch.float64)
        )
        self._bits = self._tensor([1 << n for n in range(self.pairs.count)], torch.int64)
        self._ones = self._tensor([n.bit_count() for n in range(1 << 16)], torch.int8)
        self._space = torch.zeros(int(np.prod(self.frame)), dtype=torch.int8, device=self.device)
        self._best: Pose | None = None

    def run(self, rotations: RotationSet, track: Track | None = None) -> Found:
        """Search all rotations of the set. `track` wraps the loop over cosets, to show progress."""
        every = zip(rotations.matrices, rotations.weights, strict=True)
        cosets = [self._turned(matrix, weight) for matrix, weight in every]
        along = profiles(self._surface)
        shapes = shared_shapes([grid_shape(along, profiles(c.points), self._touch_above) for c in cosets])
        order: Sequence[int] = sorted(range(len(cosets)), key=lambda n: shapes[n])
        totals, shape = Tally(self.pairs.count, self.device), None
        for n in order if track is None else track(order, "Searching rotations"):
            if shapes[n] != shape:
                shape = shapes[n]
                self._prepare(shape, cosets[n])
            totals.add(self._coset(cosets[n]), cosets[n].weight)
        patterns, weights = totals.result()
        return Found(
            patterns=patterns,
            weights=weights,
            space=self._space.reshape(self.frame).cpu().numpy().astype(np.int32),
            best=self._best,
            contacts=None if self.contacts is None else self.contacts.counts,
        )

    def _tensor(self, array: Any, dtype: torch.dtype) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), dtype=dtype, device=self.device)

    def _turned(self, matrix: Array, weight: float) -> _Coset:
        """The coset with its longest axis first and shortest last, so that few shapes of grids are needed."""
        points = self._turned_ligand(matrix)
        wanted = np.argsort(-np.ptp(points, axis=0), kind="stable")
        g = next(g for g in range(24) if (self._axes[g] == wanted).all())
        points = points[:, self._axes[g]] * self._signs[g]
        return _Coset(cube_rotations()[g] @ matrix, points.astype(np.int16), float(weight))

    def _turned_ligand(self, matrix: Array) -> Ints:
        """(M, 3) voxels z y x of the ligand turned by R: voxel x is filled when the one nearest to R^-1 x is."""
        if not hasattr(self, "_ball"):
            steps = np.arange(-self.grids.reach, self.grids.reach + 1)
            ball = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
            self._ball: Ints = ball[(ball**2).sum(axis=1) <= self.grids.reach**2]
        back = self._ball @ matrix
        # Halves are rounded away from zero, which commutes with changes of sign, as cube rotations need.
        source = (np.sign(back) * np.floor(np.abs(back) + 0.5)).astype(np.int64)
        x, y, z = (source % np.array(self.frame[::-1])).T
        found: Ints = self._ball[self.grids.ligand[z, y, x] > 0][:, ::-1]
        return found

    def _prepare(self, shape: Shape, coset: _Coset) -> None:
        """Turn to grids of this shape, in single precision where it rounds overlap counts safely."""
        self.shape = shape
        results = []
        for self._dtype in (torch.complex64, torch.complex128):
            self._spectra.clear()
            results.append(self._overlap(0, self._ligand_transform(coset)))
        error = float(torch.view_as_real(results[0].to(torch.complex128) - results[1]).abs().max())
        if error < SINGLE_ERROR:
            self._dtype = torch.complex64
            self._spectra.clear()

    def _ligand_transform(self, coset: _Coset) -> torch.Tensor:
        grid = np.zeros(self.shape, dtype=np.float32)
        grid[tuple((coset.points % np.array(self.shape, dtype=np.int16)).T)] = 1.0
        transform = torch.fft.fftn(self._tensor(grid, torch.float32).to(self._dtype))
        conjugate: torch.Tensor = transform.conj().resolve_conj()
        return conjugate

    def _spectrum(self, g: int) -> torch.Tensor:
        """Transform of the receptor turned by g^-1, over the number of voxels.

        The receptor has six orders of its axes; mirroring a grid mirrors its transform.
        """
        if g in self._spectra:
            return self._spectra[g]
        plain = next(h for h in range(24) if (self._axes[h] == self._axes[g]).all())
        if plain != g:
            flips = [int(self._axes[g, a]) for a in range(3) if self._signs[g, a] != self._signs[plain, a]]
            spectrum = self._spectrum(plain)  # index i becomes -i, modulo the length
            spectrum = torch.roll(torch.flip(spectrum, flips), [1] * len(flips), flips)
        else:
            grid = torch.zeros(self.shape, dtype=torch.complex128, device=self.device)
            places = [self._receptor_places(g, a) for a in range(3)]
            turned = self._receptor.permute(tuple(np.argsort(self._axes[g]).tolist()))
            index = [places[int(a)] for a in np.argsort(self._axes[g])]
            grid[index[0][:, None, None], index[1][None, :, None], index[2][None, None, :]] = turned
            spectrum = (torch.fft.fftn(grid) / grid.numel()).to(self._dtype)
        kept = (24 if plain != g else 6) * spectrum.numel() * spectrum.element_size()
        if kept <= CACHE_BYTES or self.device != "cpu":
            self._spectra[g] = spectrum
        return spectrum

    def _receptor_places(self, g: int, a: int) -> torch.Tensor:
        """Where the layers of the receptor along its axis a lie on the turned grid."""
        steps = np.arange(self._box[0, a], self._box[1, a] + 1) * self._signs[g, a]
        return self._tensor(steps % self.shape[self._axes[g, a]], torch.int64)

    def _overlap(self, g: int, ligand: torch.Tensor) -> torch.Tensor:
        overlap: torch.Tensor = torch.fft.ifftn(ligand * self._spectrum(g), norm="forward")
        return overlap

    def _coset(self, coset: _Coset) -> torch.Tensor:
        """Bit patterns of all complexes of the 24 rotations g R."""
        ligand, found = self._ligand_transform(coset), []
        for g, turn in enumerate(cube_rotations()):
            rotation = turn @ coset.rotation
            flat, patterns = self._poses(g, rotation, coset, self._overlap(g, ligand))
            found.append(patterns)
            if self.contacts is not None:
                satisfied = self._popcount(patterns).cpu().numpy().astype(np.int64)
                self.contacts.add(rotation, self._translations(flat.cpu().numpy()), satisfied, coset.weight)
        return torch.cat(found)

    def _poses(
        self, g: int, rotation: Array, coset: _Coset, overlap: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(P,) flat indices of the complexes and their (P,) patterns; space and best pose are brought up to date."""
        squares, offsets = self._along_axes(g, rotation, coset)
        if self.device == "cpu" and self.compiled:
            flat, patterns, best = count_poses(
                torch.view_as_real(overlap).numpy(),
                (self._clash_below, self._touch_above),
                squares,
                (self.pairs.lower**2, self.pairs.upper**2),
                self.pairs.owner,
                offsets,
                self._space.numpy(),
            )
            self._keep_best(rotation, *best.tolist())
            return torch.from_numpy(flat), torch.from_numpy(patterns)
        clash, touch = torch.view_as_real(overlap).unbind(dim=-1)
        places = torch.nonzero((clash < self._clash_below) & (touch > self._touch_above)).unbind(dim=1)
        parts = [self._tensor(o, torch.int64)[i] for o, i in zip(offsets, places, strict=True)]
        flat = parts[0] + parts[1] + parts[2]
        patterns = self._satisfied([self._tensor(s, torch.float64) for s in squares], places)
        bits = self._popcount(patterns)
        self._space.index_copy_(0, flat, torch.maximum(self._space.index_select(0, flat), bits))
        if len(flat):
            area = touch[places].round().to(torch.int64)
            first = int(torch.argmax(bits.to(torch.int64) * (1 << 40) + area))
            self._keep_best(rotation, int(bits[first]), int(area[first]), int(flat[first]))
        return flat, patterns

    def _along_axes(
        self, g: int, rotation: Array, coset: _Coset
    ) -> tuple[tuple[Array, Array, Array], tuple[Ints, Ints, Ints]]:
        """For each turned axis: (N, P) squared distances of the pairs, and (N,) parts of the flat index."""
        centres = (self.pairs.first - self.pairs.second @ rotation.T)[:, ::-1]  # where a pair has distance 0
        squares, offsets = [np.empty(0)] * 3, [np.empty(0, np.int64)] * 3
        strides = np.cumprod([1, *self.frame[:0:-1]])[::-1]
        for a in range(3):
            axis, sign = int(self._axes[g, a]), int(self._signs[g, a])
            edge = self._box[0, a] if sign > 0 else -self._box[1, a]
            lowest = edge - int(coset.points[:, axis].max())  # first translation at which the bodies can touch
            turned = lowest + (np.arange(self.shape[axis]) - lowest) % self.shape[axis]
            moves = sign * turned
            squares[axis] = (moves[:, None] - centres[None, :, a]) ** 2
            offsets[axis] = moves % self.frame[a] * strides[a]
        return (squares[0], squares[1], squares[2]), (offsets[0], offsets[1], offsets[2])

    def _keep_best(self, rotation: Array, satisfied: int, touch: int, flat: int) -> None:
        now = (-1, -1) if self._best is None else (self._best.satisfied, self._best.touch)
        if (satisfied, touch) > now and satisfied >= 0:
            self._best = Pose(rotation, self._translations(np.array([flat]))[0], satisfied, touch)

    def _translations(self, flat: Ints) -> Array:
        """(P, 3) translations x y z from flat indices into the space."""
        return np.stack(np.unravel_index(flat, self.frame)[::-1], axis=1).astype(np.float64)

    def _satisfied(self, squares: Sequence[torch.Tensor], places: Sequence[torch.Tensor]) -> torch.Tensor:
        """(P,) bit patterns of the restraints that the poses at these places of the turned grid satisfy."""
        patterns = torch.zeros(len(places[0]), dtype=torch.int64, device=self.device)
        lower, upper = (self._tensor(b**2, torch.float64) for b in (self.pairs.lower, self.pairs.upper))
        for p, owner in enumerate(self.pairs.owner.tolist()):
            square = squares[0][places[0], p] + squares[1][places[1], p] + squares[2][places[2], p]
            patterns |= ((square >= lower[p]) & (square <= upper[p])) * self._bits[owner]
        return patterns

    def _popcount(self, patterns: torch.Tensor) -> torch.Tensor:
        """Number of restraints satisfied, by a table of 16 bits at a time."""
        count = self._ones[patterns & 0xFFFF]
        for shift in range(16, self.pairs.count, 16):
            count = count + self._ones[(patterns >> shift) & 0xFFFF]
        return count
