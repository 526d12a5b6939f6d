"""Batches of worlds as arrays, stepped and drawn by the kernels."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal import kernels_numpy, sprites
from colonnade.causal.errors import CausalError, check_choice, check_range
from colonnade.causal.tables import ChemistryTables, PhysicsTables
from colonnade.causal.world import FIXED_CELLS, JITTER, ChemistryWorld, PhysicsWorld, World, check_actions

Array = NDArray[Any]
MAX_BATCH = 1 << 20
WORTH_A_THREAD = 50_000  # nanoseconds of work; below, waking a thread costs more than it gives


def kernels(backend: str = "auto") -> Any:
    """The module of kernels: `numba`, `numpy`, or the first that is installed (`auto`)."""
    check_choice("backend", backend, ["auto", "numba", "numpy"])
    if backend == "numpy":
        return kernels_numpy
    try:
        return importlib.import_module("colonnade.causal.kernels")
    except ImportError:
        if backend == "numba":
            raise CausalError("backend must be numpy here: numba is not installed.") from None
        return kernels_numpy


def stream_keys(seeds: Sequence[int]) -> NDArray[np.uint64]:
    """One random stream for each seed."""
    return np.array([np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] for seed in seeds], np.uint64)


class Simulator:
    """`batch` sub-environments of one world.

    Attributes:
        cell, colour, shape: (batch, n) uint8, what is drawn.
        state: (batch, n) uint8: cells (x * grid + y, x the row) in physics, colours in chemistry.
        goal: (batch, n) uint8, the state to reach.
        key, counter: (batch,) uint64 random streams.
    """

    state: Array
    previous: dict[str, Array]

    def __init__(self, world: World, batch: int, threads: int = 1, backend: str = "auto") -> None:
        check_range("batch", batch, 1, MAX_BATCH)
        check_range("threads", threads, 1, 256)
        n = world.slots
        self.world, self.batch, self.grid = world, batch, world.size // sprites.CELL
        self.kernels, self.backend = kernels(backend), backend
        self.key, self.counter = np.zeros(batch, np.uint64), np.zeros(batch, np.uint64)
        self.cell, self.colour, self.shape, self.goal = (np.zeros((batch, n), np.uint8) for _ in range(4))
        self.everywhere = np.ones(batch, bool)
        chunks = min(threads, batch)
        self._bounds = np.linspace(0, batch, chunks + 1).astype(int).tolist()
        self._pool = ThreadPoolExecutor(chunks - 1) if chunks > 1 else None
        self.ink, self.canvas = sprites.ink(world.lut), sprites.canvas(self.grid)

    def seed(self, seeds: Sequence[int], mask: Array | None = None) -> None:
        """Start the random streams of the sub-environments in `mask` anew; `seeds` has one entry for each of all."""
        at = self.everywhere if mask is None else mask
        self.key[at], self.counter[at] = stream_keys(seeds)[at], 0

    def run(self, function: Callable[..., None], *arguments: Any, cost: int = 200) -> None:
        """Call a kernel over the whole batch, in as many threads as asked for if they have enough to do.

        Args:
            function: the kernel.
            arguments: what it takes after the range.
            cost: about how many nanoseconds it takes for one sub-environment.
        """
        if self._pool is None or self.batch * cost < WORTH_A_THREAD:
            function(0, self.batch, *arguments)
            return
        low = self._bounds
        others = [self._pool.submit(function, a, b, *arguments) for a, b in pairwise(low[1:])]
        function(low[0], low[1], *arguments)
        for other in others:
            other.result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
            self._bounds = [0, self.batch]

    def frame_buffer(self) -> FrameBuffer:
        return FrameBuffer(self)

    def draw(self, state: Array | None = None) -> Array:
        """(batch, size, size, 3) uint8 new frames of the present state, or of another one of the same episodes."""
        buffer = FrameBuffer(self)
        cell, colour = self.look(self.state if state is None else state)
        return buffer.draw(cell, colour, whole=True)

    def look(self, state: Array) -> tuple[Array, Array]:
        """Cells and colour numbers that `state` is drawn with."""
        raise NotImplementedError

    def reset(self, mask: Array) -> None:
        raise NotImplementedError

    def step(self, action: Array, mask: Array | None = None) -> None:
        raise NotImplementedError

    def score(self) -> tuple[Array, Array]:
        """(batch,) float32 reward and bool success against the goal."""
        raise NotImplementedError

    def counterfactual(self, action: Array) -> Array:
        """(batch, n) state that another action would have led to, from the same state with the same noise."""
        raise NotImplementedError


class FrameBuffer:
    """Frames that remember what they show, so that only changes are painted."""

    def __init__(self, simulator: Simulator) -> None:
        self._sim = simulator
        batch, size = simulator.batch, simulator.world.size
        self._flat = np.zeros(batch * 3 * size * size, np.uint8)
        self.frames = self._flat.reshape(batch, size, size, 3)
        self._drawn, self._tinted = np.zeros_like(simulator.cell), np.zeros_like(simulator.colour)
        self._whole = np.ones(batch, bool)

    def stale(self, mask: Array) -> None:
        """Paint these wholly next time: a new episode began."""
        self._whole |= mask

    def draw(self, cell: Array, colour: Array, whole: bool = False) -> Array:
        sim = self._sim
        if whole:
            self._whole[:] = True
        sim.run(
            sim.kernels.draw, cell, colour, sim.shape, sim.ink, sim.canvas, self._flat, self._drawn, self._tinted,
            self._whole,
        )  # fmt: skip
        self._whole[:] = False
        return self.frames


class PhysicsSimulator(Simulator):
    """Weighted blocks: Ke et al. (2021), section 4.1. `event` says what the last step did (see `kernels`)."""

    world: PhysicsWorld

    def __init__(self, world: PhysicsWorld, batch: int, threads: int = 1, backend: str = "auto") -> None:
        super().__init__(world, batch, threads, backend)
        self.state = self.cell
        self.weight = np.zeros(self.cell.shape, np.int16)
        self.event = np.zeros(batch, np.uint8)
        self.tables = physics_tables(world)
        self.previous = {"cell": self.cell.copy()}

    def look(self, state: Array) -> tuple[Array, Array]:
        return state, self.colour

    def reset(self, mask: Array) -> None:
        self.run(
            self.kernels.physics_reset, mask, self.key, self.counter, self.cell, self.weight, self.colour, self.shape,
            self.goal, self.tables,
        )  # fmt: skip
        self.event[mask] = 0
        np.copyto(self.previous["cell"], self.cell)

    def step(self, action: Array, mask: Array | None = None) -> None:
        np.copyto(self.previous["cell"], self.cell)
        at = self.everywhere if mask is None else mask
        self.run(self.kernels.physics_step, at, action, self.cell, self.weight, self.event, self.tables, cost=18)

    def score(self) -> tuple[Array, Array]:
        reward, success = np.empty(self.batch, np.float32), np.empty(self.batch, bool)
        self.run(self.kernels.physics_score, self.cell, self.goal, self.tables, reward, success, cost=12)
        return reward, success

    def counterfactual(self, action: Array) -> Array:
        cell, event = self.previous["cell"].copy(), np.zeros_like(self.event)
        self.run(self.kernels.physics_step, self.everywhere, action, cell, self.weight, event, self.tables)
        return cell

    def do(self, variable: int, value: int) -> None:
        """Place one object on a cell, in every sub-environment.

        Raises:
            CausalError: unknown object or cell, or the cell is taken in one of them.
        """
        check_range("object", variable, 0, self.cell.shape[1] - 1)
        check_range("cell", value, 0, self.grid**2 - 1)
        others = np.delete(self.cell, variable, axis=1)
        if (others == value).any():
            raise CausalError(f"cell {value} is taken by another object; two objects never share one.")
        self.cell[:, variable] = value


class ChemistrySimulator(Simulator):
    """Colour chemistry: Ke et al. (2021), section 4.2. `noise` is what drew each variable's present value."""

    world: ChemistryWorld

    def __init__(self, world: ChemistryWorld, batch: int, threads: int = 1, backend: str = "auto") -> None:
        super().__init__(world, batch, threads, backend)
        n, depth = world.slots, world.structure.max_lag
        self.tables, self._law = chemistry_tables(world), None
        if any(mechanism.table is None for mechanism in world.mechanisms):
            # A law without a table is a network; both backends then evaluate it by the same NumPy code.
            self.kernels_step: Any = kernels_numpy
            self._law = lambda node, parents: world.mechanisms[node].law(parents)
        else:
            self.kernels_step = self.kernels
        self.state = self.colour
        self.noise = np.zeros((batch, n))
        self.past = np.zeros((batch, depth, n), np.uint8)
        self.touched = np.zeros((batch, depth), np.int64)
        self.shape[:] = np.arange(n) % len(sprites.SHAPES)
        names = ("counter", "colour", "past", "touched", "noise")
        self.previous = {name: getattr(self, name).copy() for name in names}
        # Without delayed edges there is no past to copy.
        self._kept = [(kept, getattr(self, name)) for name, kept in self.previous.items() if kept.size]

    def _remember(self) -> None:
        for kept, present in self._kept:
            np.copyto(kept, present)

    def look(self, state: Array) -> tuple[Array, Array]:
        return self.cell, state

    def _more(self) -> tuple[Any, ...]:
        return (self.tables,) if self.kernels_step is not kernels_numpy else (self.tables, self._law)

    def reset(self, mask: Array) -> None:
        self.run(
            self.kernels_step.chemistry_reset, mask, self.key, self.counter, self.colour, self.past, self.touched,
            self.noise, self.cell, self.goal, *self._more(),
        )  # fmt: skip
        self._remember()

    def step(self, action: Array, mask: Array | None = None) -> None:
        self._remember()
        at = self.everywhere if mask is None else mask
        self._advance(action, at, vars(self))

    def _advance(self, action: Array, mask: Array, arrays: dict[str, Any]) -> None:
        self.run(
            self.kernels_step.chemistry_step, mask, action, self.key, arrays["counter"], arrays["colour"],
            arrays["past"], arrays["touched"], arrays["noise"], *self._more(),
        )  # fmt: skip

    def score(self) -> tuple[Array, Array]:
        reward, success = np.empty(self.batch, np.float32), np.empty(self.batch, bool)
        self.run(self.kernels.chemistry_score, self.colour, self.goal, self.tables, reward, success, cost=10)
        return reward, success

    def counterfactual(self, action: Array) -> Array:
        arrays = {name: kept.copy() for name, kept in self.previous.items()}
        self._advance(action, self.everywhere, arrays)
        return arrays["colour"]

    def do(self, variable: int, value: int) -> None:
        """Set one variable in every sub-environment; variables whose parents change follow with the noise they have.

        Unlike a step, which draws new noise, this is the pure effect of the intervention: setting a variable to the
        value it has changes nothing. Delayed edges do not act.

        Raises:
            CausalError: unknown object or colour.
        """
        check_range("object", variable, 0, self.colour.shape[1] - 1)
        check_range("color", value, 0, self.world.colors - 1)
        graph = self.world.structure
        changed = np.zeros(self.colour.shape, bool)
        changed[:, variable] = self.colour[:, variable] != value
        self.colour[:, variable] = value
        for node in graph.order:
            parents = graph.parents(node)
            lags = [int(graph.lags[p, node]) for p in parents]
            pairs = list(zip(parents, lags, strict=True))
            rows = np.flatnonzero(changed[:, [p for p, lag in pairs if lag == 0]].any(1))
            if node == variable or not len(rows):
                continue
            values = [self.colour[rows, p] if lag == 0 else self.past[rows, lag - 1, p] for p, lag in pairs]
            cumulative = np.cumsum(self.world.mechanisms[node].law(np.stack(values, 1)), 1)
            new = (self.noise[rows, node, None] >= cumulative[:, :-1]).sum(1)
            changed[rows, node] = self.colour[rows, node] != new
            self.colour[rows, node] = new


def simulator(world: World, batch: int, threads: int = 1, backend: str = "auto") -> Simulator:
    """The simulator of a world; see `Simulator`."""
    if isinstance(world, PhysicsWorld):
        return PhysicsSimulator(world, batch, threads, backend)
    if isinstance(world, ChemistryWorld):
        return ChemistrySimulator(world, batch, threads, backend)
    raise CausalError(f"world must be a PhysicsWorld or a ChemistryWorld, but is a {type(world).__name__}.")


def physics_tables(world: PhysicsWorld) -> PhysicsTables:
    """The arrays that the physics kernels take."""
    grid, moves = world.grid, [(-1, 0), (0, 1), (1, 0), (0, -1)]
    neighbour = np.full((grid * grid + 1, 5), grid * grid, np.uint8)
    for x in range(grid):
        for y in range(grid):
            for d, (dx, dy) in enumerate(moves, 1):
                if 0 <= x + dx < grid and 0 <= y + dy < grid:
                    neighbour[x * grid + y, d] = (x + dx) * grid + y + dy
    fixed = world.mode == "fixed-unobserved"
    row, column = np.divmod(np.arange(grid * grid), grid)
    return PhysicsTables(
        neighbour=neighbour,
        distance=(abs(row[:, None] - row) + abs(column[:, None] - column)).astype(np.uint8),
        weight_of_colour=world.weight_of_colour,
        jitter=float(JITTER.get(world.split, 1 / 8) / max(world.objects - 1, 1))
        if world.split != "zero-shot"
        else -1.0,
        colours=len(world.lut),
        shapes=world.objects if fixed else 6 if world.split == "zero-shot-shape" else 3,
        fixed_shapes=int(fixed),
        goal_steps=world.goal_steps,
    )


def chemistry_tables(world: ChemistryWorld) -> ChemistryTables:
    """The arrays that the chemistry kernels take."""
    n, mechanisms = world.slots, world.mechanisms
    counts = [len(m.parents) for m in mechanisms]
    flat = [np.cumsum(m.table, 1).ravel() if m.table is not None else np.zeros(0) for m in mechanisms]
    static = [x * world.grid + y for x, y in FIXED_CELLS[:n]]
    integers = {
        name: np.array([item for m in mechanisms for item in getattr(m, field)], np.int64)
        for name, field in (("parent", "parents"), ("lag", "lags"))
    }
    # A network's row number may exceed 64 bits; it is never used.
    strides = [s for m in mechanisms for s in (m.strides if m.table is not None else (0,) * len(m.parents))]
    return ChemistryTables(
        order=np.array(world.structure.order, np.int64),
        below=_below(world),
        first_edge=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        stride=np.array(strides, np.int64),
        cumulative=np.concatenate(flat),
        offset=np.concatenate([[0], np.cumsum([len(part) for part in flat])[:-1]]).astype(np.int64),
        cells=np.array(static if world.positions == "static" else [-1] * n, np.int16),
        grid_cells=world.grid**2,
        colors=world.colors,
        goal_steps=world.goal_steps,
        **integers,
    )


def _below(world: ChemistryWorld) -> Array:
    graph, table = world.structure, np.zeros((world.slots, world.slots), np.int64)
    for variable in range(world.slots):
        redrawn = [node for node in graph.order if graph.reach[variable, node]]
        table[variable, : len(redrawn) + 1] = [len(redrawn), *redrawn]
    return table


__all__ = ["ChemistrySimulator", "FrameBuffer", "PhysicsSimulator", "Simulator", "check_actions", "simulator"]
