"""Markov-chain kernels with one contract: `kernel(state, rng) -> state, info`.

A state is a batch of chains; a kernel is an immutable object that leaves exp(-S) invariant. Because the contract is
the same for all, a schedule is a list: `Composite([Independence(flow, 10), HMC(action)])` is the composite sampler
of arXiv:2107.00734, section VIII. Step sizes are tuned by `kernel.tuned` in burn-in only and frozen afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from colonnade.lattice import _kernels
from colonnade.lattice._normals import seed_lanes
from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.geometry import Shape, checked_shape, k_hat_squared, neighbours
from colonnade.lattice.integrators import Scheme, coefficients

Info: TypeAlias = dict[str, FloatArray]


class State(NamedTuple):
    """A batch of chains: phi (components, sites, chains) in float64, sites in row-major order of `shape`.

    `memory` lets an independence kernel remember the weight of its current configurations between two calls; every
    other kernel drops it.
    """

    phi: FloatArray
    shape: Shape
    memory: tuple[object, FloatArray] | None = None

    @property
    def fields(self) -> FloatArray:
        """The configurations as users see them: (chains, L_1, ...) or (chains, components, L_1, ...)."""
        view = np.moveaxis(self.phi, -1, 0)
        if self.phi.shape[0] == 1:
            return view.reshape(self.phi.shape[2], *self.shape)
        return view.reshape(self.phi.shape[2], self.phi.shape[0], *self.shape)

    @classmethod
    def of(cls, fields: FloatArray, action: ScalarAction) -> State:
        """State from configurations (chains, [components,] L_1, ..., L_d)."""
        shape = checked_shape(fields.shape[-action.d :])
        flat = fields.reshape(fields.shape[0], action.components, math.prod(shape))
        return cls(np.ascontiguousarray(np.moveaxis(flat, 0, -1), dtype=np.float64), shape)


class Kernel(Protocol):
    """What every sampler is."""

    @property
    def name(self) -> str: ...

    def __call__(self, state: State, rng: np.random.Generator) -> tuple[State, Info]:
        """Advance every chain once; info holds arrays (chains,), `accepted` among them."""

    def tuned(self, state: State, rng: np.random.Generator) -> tuple[Kernel, State]:
        """Adapt the step size during burn-in; return the frozen kernel and the advanced state."""


def initial_state(
    action: ScalarAction, shape: Sequence[int], chains: int, rng: np.random.Generator, start: str = "vacua"
) -> State:
    """Draw starting configurations.

    start : `"vacua"` puts half of the chains near each vacuum +-v (all around the circle for a complex field),
        `"plus"` all near +v, `"hot"` independent normal numbers.
    """
    sides = _shape_for(action, shape)
    if chains < 1:
        raise LatticeError(f"chains is {chains}; it must be at least 1")
    phi = rng.standard_normal((action.components, math.prod(sides), chains))
    if start == "hot":
        return State(phi, sides)
    if start not in ("vacua", "plus"):
        raise LatticeError(f'start is {start!r}; it must be "vacua", "plus" or "hot"')
    direction = np.zeros((action.components, 1, chains))
    direction[0] = 1.0
    if start == "vacua":
        direction[0, 0, 1::2] = -1.0
        if action.components > 1:
            direction = rng.standard_normal(direction.shape)
            direction /= np.sqrt((direction**2).sum(0))
    return State(np.ascontiguousarray(vacuum(action) * direction + 0.1 * phi), sides)


def _shape_for(action: ScalarAction, shape: Sequence[int]) -> Shape:
    sides = checked_shape(shape)
    if len(sides) != action.d:
        raise LatticeError(f"shape {list(sides)} has {len(sides)} sides but the action is {action.d}-dimensional")
    return sides


def vacuum(action: ScalarAction) -> float:
    """Classical vacuum |phi| of the action (0 in the symmetric phase), with a floor of 0.5 for starts."""
    curvature = action.d * abs(action.w0) - action.w2
    if action.w4 == 0 or curvature <= 0:
        return 0.5
    return max(0.5, math.sqrt(curvature / (2 * action.w4)))


def _unit(rng: np.random.Generator, components: int, *tail: int) -> FloatArray:
    """Random unit vectors, shape (components, *tail)."""
    direction = rng.standard_normal((components, *tail))
    unit: FloatArray = np.asarray(direction / np.sqrt((direction**2).sum(0)))
    return unit


@dataclass(frozen=True)
class HMC:
    """Hybrid Monte Carlo (Duane et al., Phys. Lett. B 195, 216 (1987)).

    Parameters
    ----------
    action : the action to sample
    steps : integrator steps a trajectory
    dt : step size; `tuned` replaces it
    scheme : `"leapfrog"`, `"omf2"` or `"omf4"`
    target : acceptance aimed at by `tuned`
    repeat : trajectories a call
    """

    action: ScalarAction
    steps: int = 10
    dt: float = 0.1
    scheme: Scheme = "leapfrog"
    target: float = 0.85
    repeat: int = 1
    name: str = "hmc"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise LatticeError(f"dt is {self.dt}; it must be a positive number")
        if not 1 <= self.steps <= 10_000:
            raise LatticeError(f"steps is {self.steps}; it must be 1 to 10000")

    @cached_property
    def _coefficients(self) -> tuple[FloatArray, FloatArray]:
        drift, kick = coefficients(self.scheme, self.steps)
        return drift * self.dt, kick * self.dt

    def __call__(self, state: State, rng: np.random.Generator) -> tuple[State, Info]:
        _, sites, chains = state.phi.shape
        phi = state.phi.copy()
        delta, accepted = np.empty(chains), np.empty(chains)
        width = 32 if chains > 16 and sites <= 1024 else 16  # a block should stay in the second-level cache
        _kernels.hmc_trajectories(
            phi,
            neighbours(state.shape),
            seed_lanes(rng, -(-chains // width)),
            width,
            rng.random((self.repeat, chains)),
            *self._coefficients,
            self.action.couplings,
            delta,
            accepted,
        )
        return State(phi, state.shape), {"accepted": accepted, "delta_h": delta}

    def integrate(self, state: State, momentum: FloatArray) -> tuple[State, FloatArray]:
        """Follow Hamilton's equations without accept/reject; momentum has the shape of `state.phi`."""
        phi, p = state.phi.copy(), np.array(momentum, dtype=np.float64)
        _kernels.integrate(phi, p, neighbours(state.shape), *self._coefficients, self.action.couplings)
        return State(phi, state.shape), p

    def tuned(self, state: State, rng: np.random.Generator) -> tuple[HMC, State]:
        return _tune_step(self, state, rng)


@dataclass(frozen=True)
class FourierHMC:
    """HMC with a momentum-dependent mass: slow long waves take long steps.

    The kinetic term is |p(k)|^2 / (2 m(k)) with m(k) proportional to k_hat^2 + mass^2 and of mean inverse 1.
    """

    action: ScalarAction
    steps: int = 10
    dt: float = 0.1
    mass: float = 0.7
    scheme: Scheme = "leapfrog"
    target: float = 0.85
    name: str = "fourier-hmc"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mass) and self.mass > 0):
            raise LatticeError(f"mass is {self.mass}; it must be a positive number")

    def _inverse_mass(self, shape: Shape) -> FloatArray:
        inverse = 1 / (k_hat_squared(shape) + self.mass**2)
        inverse /= inverse.mean()
        return np.asarray(inverse[..., : shape[-1] // 2 + 1], dtype=np.float64)

    def __call__(self, state: State, rng: np.random.Generator) -> tuple[State, Info]:
        inverse, w, nbr = self._inverse_mass(state.shape), self.action.couplings, neighbours(state.shape)
        phi = state.phi.copy()
        p = _multiply(rng.standard_normal(phi.shape), 1 / np.sqrt(inverse), state.shape)
        before = self._hamiltonian(phi, p, inverse, state.shape)
        drift, kick = coefficients(self.scheme, self.steps)
        for a, b in zip(drift, np.append(kick, 0.0), strict=True):
            phi += a * self.dt * _multiply(p, inverse, state.shape)
            if b:
                _kernels.kick_all(phi, p, nbr, b * self.dt, w)
        delta = self._hamiltonian(phi, p, inverse, state.shape) - before
        delta = np.where(np.isfinite(delta), delta, np.inf)
        accepted = rng.random(delta.shape) < np.exp(np.minimum(-delta, 0.0))
        return (
            State(np.where(accepted, phi, state.phi), state.shape),
            {"accepted": accepted * 1.0, "delta_h": delta},
        )

    def _hamiltonian(self, phi: FloatArray, p: FloatArray, inverse: FloatArray, shape: Shape) -> FloatArray:
        energy = np.empty(phi.shape[2])
        _kernels.action_of(phi, neighbours(shape), self.action.couplings, energy)
        return np.asarray(energy + 0.5 * (p * _multiply(p, inverse, shape)).sum((0, 1)))

    def tuned(self, state: State, rng: np.random.Generator) -> tuple[FourierHMC, State]:
        return _tune_step(self, state, rng)


def _multiply(x: FloatArray, symbol: FloatArray, shape: Shape) -> FloatArray:
    """Multiply (components, sites, chains) by a real symbol on the half grid of momenta."""
    from scipy import fft

    axes = tuple(range(1, 1 + len(shape)))
    grid = fft.rfftn(x.reshape(x.shape[0], *shape, x.shape[2]), axes=axes)
    grid *= symbol[..., None]
    return np.asarray(fft.irfftn(grid, s=shape, axes=axes).reshape(x.shape))


def _tune_step(kernel: Any, state: State, rng: np.random.Generator, sweeps: int = 120) -> tuple[Any, State]:
    """Robbins-Monro on log dt towards the target acceptance; the mean of the last half is kept."""
    history: list[float] = []
    for n in range(sweeps):
        state, info = kernel(state, rng)
        acceptance = float(np.exp(np.minimum(-info["delta_h"], 0.0)).mean())
        gain = 1.0 / (1 + n / 10) ** 0.7
        kernel = replace(kernel, dt=kernel.dt * math.exp(gain * (acceptance - kernel.target)))
        history.append(math.log(kernel.dt))
    return replace(kernel, dt=math.exp(float(np.mean(history[sweeps // 2 :])))), state


@dataclass(frozen=True)
class Wolff:
    """Embedded Wolff clusters (Brower and Tamayo, PRL 62, 1087 (1989)): they flip signs, not magnitudes.

    Ergodic only together with a kernel that changes |phi|, so use it in a `Composite` with HMC or Metropolis. An odd
    number of clusters is better: deep in the broken phase each flips nearly the whole field, and two undo each other.
    """

    action: ScalarAction
    clusters: int = 3
    name: str = "wolff"

    def __call__(self, state: State, rng: np.random.Generator) -> tuple[State, Info]:
        phi = state.phi.copy()
        size = np.empty(phi.shape[2])
        if self.action.components == 1:
            direction: FloatArray = np.ones((1, self.clusters, phi.shape[2]))
        else:
            direction = _unit(rng, self.action.components, self.clusters, phi.shape[2])
        w = self.action.couplings
        _kernels.wolff_clusters(phi, neighbours(state.shape), direction, rng, w, self.clusters, size)
        return State(phi, state.shape), {"accepted": np.ones_like(size), "cluster_size": size}

    def tuned(self, state: State, rng: np.random.Generator) -> tuple[Wolff, State]:
        return self, state


@dataclass(frozen=True)
class Metropolis:
    """One random-walk sweep followed by `reflections` overrelaxing ones.

    The reflection phi' = c * (sum of neighbours) - phi with a constant c is an involution that depends on the
    neighbours only, so accepting it with min(1, exp(-Delta S)) keeps detailed balance.
    """

    action: ScalarAction
    width: float = 0.5
    reflections: int = 2
    target: float = 0.5
    name: str = "metropolis"

    @cached_property
    def _reflect(self) -> float:
        # the centre of the local conditional density when |phi|^2 in the quartic is replaced by its one-site mean
        second = 0.338 / math.sqrt(self.action.w4) if self.action.w4 > 0 else 0.0
        return self.action.w0 / max(self.action.w2 + 2 * self.action.w4 * second, 0.25)

    def __call__(self, state: State, rng: np.random.Generator) -> tuple[State, Info]:
        phi, nbr, w = state.phi.copy(), neighbours(state.shape), self.action.couplings
        _, sites, chains = phi.shape
        walked, reflected = np.empty(chains), np.zeros(chains)
        lanes = seed_lanes(rng, -(-chains // _kernels._BLOCK))
        _kernels.metropolis_sweep(phi, nbr, lanes, rng.random((sites, chains)), self.width, 0.0, w, walked)
        for _ in range(self.reflections if self._reflect else 0):
            uniform = rng.random((sites, chains))
            _kernels.metropolis_sweep(phi, nbr, lanes, uniform, 0.0, self._reflect, w, reflected)
        return State(phi, state.shape), {"accepted": walked, "reflected": reflected}

    def tuned(self, state: State, rng: np.random.Generator) -> tuple[Metropolis, State]:
        kernel = self
        for n in range(60):
            state, info = kernel(state, rng)
            gain = 1.0 / (1 + n / 10) ** 0.7
            factor = math.exp(gain * (float(info["accepted"].mean()) - self.target))
            kernel = replace(kernel, width=kernel.width * factor)
        return kernel, state


@dataclass(frozen=True)
class Flip:
    """Reflect the whole field in a random direction (phi -> -phi, half of the time, for a real field)."""

    action: ScalarAction
    name: str = "flip"

    def __call__(self, state: State, rng: np.random.Generator) -> tuple[State, Info]:
        components, _, chains = state.phi.shape
        direction = np.ones((1, 1, chains)) if components == 1 else _unit(rng, components, 1, chains)
        along = (state.phi * direction).sum(0, keepdims=True)
        cost = 2 * self.action.h * (along * direction[:1]).sum((0, 1))
        chosen = rng.random(chains) < (0.5 if components == 1 else 1.0)
        accepted = chosen & (rng.random(chains) < np.exp(np.minimum(-cost, 0.0)))
        phi = np.where(accepted, state.phi - 2 * along * direction, state.phi)
        return State(phi, state.shape), {"accepted": accepted * 1.0}

    def tuned(self, state: State, rng: np.random.Generator) -> tuple[Flip, State]:
        return self, state


class Proposal(Protocol):
    """A generator of independent configurations with known weight: a flow, an annealed path, a stochastic flow."""

    def propose(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw n configurations (n, ...) and log w = -S - log q (up to one constant), in float64."""

    def weigh(self, fields: FloatArray, rng: np.random.Generator) -> FloatArray:
        """log w of given configurations; for a path, of a path drawn backwards from them."""


@dataclass(frozen=True)
class Independence:
    """Independence Metropolis over a proposal: accept with min(1, w'/w), `n` proposals a call.

    With an annealed path as the proposal this is Metropolis on the space of paths, exact all the same.
    """

    action: ScalarAction
    proposal: Proposal
    n: int = 8
    name: str = "independence"

    def __call__(self, state: State, rng: np.random.Generator) -> tuple[State, Info]:
        chains = state.phi.shape[2]
        if state.memory is not None and state.memory[0] is self.proposal:
            current = state.memory[1].copy()
        else:
            current = self.proposal.weigh(state.fields, rng)
        fields, log_w = self.proposal.propose(self.n * chains, rng)
        log_w = log_w.reshape(self.n, chains)
        log_u = np.log1p(-rng.random((self.n, chains)))
        chosen = np.full(chains, -1)
        accepted = np.zeros(chains)
        for j in range(self.n):
            take = log_u[j] < log_w[j] - current
            current = np.where(take, log_w[j], current)
            chosen = np.where(take, j, chosen)
            accepted += take
        moved = chosen >= 0
        new = State.of(fields.reshape(self.n, chains, *fields.shape[1:])[chosen, np.arange(chains)], self.action)
        merged: FloatArray = np.where(moved, new.phi, state.phi)
        return State(merged, state.shape, (self.proposal, current)), {"accepted": accepted / self.n}

    def tuned(self, state: State, rng: np.random.Generator) -> tuple[Independence, State]:
        return self, state


@dataclass(frozen=True)
class Composite:
    """Apply kernels one after another: any schedule of valid kernels is a valid kernel."""

    kernels: tuple[Kernel, ...]

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        if not kernels:
            raise LatticeError("kernels is empty; a composite needs at least one kernel")
        object.__setattr__(self, "kernels", tuple(kernels))

    @property
    def name(self) -> str:
        return "+".join(kernel.name for kernel in self.kernels)

    def __call__(self, state: State, rng: np.random.Generator) -> tuple[State, Info]:
        merged: Info = {}
        for position, kernel in enumerate(self.kernels):
            state, info = kernel(state, rng)
            merged |= {f"{position}.{kernel.name}.{key}": value for key, value in info.items()}
        return state, merged

    def tuned(self, state: State, rng: np.random.Generator) -> tuple[Composite, State]:
        kernels = []
        for kernel in self.kernels:
            frozen, state = kernel.tuned(state, rng)
            kernels.append(frozen)
        return Composite(kernels), state
