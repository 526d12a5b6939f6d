"""The worlds as gymnasium environments, one or many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from colonnade.causal.errors import CausalError, check_choice, check_range
from colonnade.causal.events import INVALID
from colonnade.causal.simulation import PhysicsSimulator, Simulator, simulator
from colonnade.causal.world import ChemistryWorld, PhysicsWorld, World, check_actions

Array = NDArray[Any]
Observation = Literal["frame", "state"]
MAX_SEED = 2**63 - 1


def observation_space(world: World, observation: str) -> spaces.Box:
    """Frames (size, size, 3) uint8, or states (n,) uint8: cells in physics, colours in chemistry."""
    check_choice("observation", observation, ["frame", "state"])
    if observation == "frame":
        return spaces.Box(0, 255, (world.size, world.size, 3), np.uint8)
    top = world.colors - 1 if isinstance(world, ChemistryWorld) else (world.size // 10) ** 2 - 1
    return spaces.Box(0, top, (world.slots,), np.uint8)


class _Worlds:
    """What the single and the vector environment share: a simulator, its frames, and its causal questions."""

    sim: Simulator
    world: World

    def _begin(self, world: World, batch: int, observation: str, threads: int, backend: str, copy: bool) -> None:
        self.world, self.sim = world, simulator(world, batch, threads, backend)
        self._observation, self._copy, self._turn, self._ready, self._closed = observation, copy, 0, False, False
        self._buffers = [self.sim.frame_buffer() for _ in range(2)] if observation == "frame" else []

    def _stale(self, mask: Array) -> None:
        for buffer in self._buffers:
            buffer.stale(mask)

    def _observe(self) -> Array:
        if not self._buffers:
            return self.sim.state.copy()
        self._turn ^= 1
        frames = self._buffers[self._turn].draw(*self.sim.look(self.sim.state))
        return frames.copy() if self._copy else frames

    def _need(self, doing: str) -> None:
        if self._closed:
            raise CausalError(f"{doing} needs an open environment, but this one was closed.")
        if not self._ready:
            raise CausalError(f"{doing} needs a started episode; call reset first.")

    def do(self, object: int, value: int) -> None:
        """Set one variable: a colour in chemistry, a cell in physics. Noise is kept; no time passes.

        Descendants follow with the noise they have, so that setting a variable to its present value changes nothing.

        Raises:
            CausalError: unknown object or value, or the cell is taken.
        """
        self._need("do()")
        self.sim.do(object, value)  # type: ignore[attr-defined]

    def goal(self) -> Array:
        """(batch, n) uint8 state to reach; (n,) in a single environment."""
        self._need("goal()")
        return self.sim.goal.copy()

    def goal_frame(self) -> Array:
        """The goal as it would look."""
        self._need("goal_frame()")
        return self.sim.draw(self.sim.goal)


class CausalVectorEnv(_Worlds, VectorEnv[Array, Array, Array]):
    """Many sub-environments of one world, stepped by the kernels.

    An episode is truncated after `max_steps`, and terminated at the goal when `end_at_goal`. Sub-environment i of a
    reset with seed s behaves as a single environment reset with seed s + i, whatever the batch and the threads.

    Args:
        world: a PhysicsWorld or ChemistryWorld.
        num_envs: how many.
        observation: `frame` or `state`.
        max_steps: length of an episode.
        end_at_goal: whether the goal ends it.
        autoreset_mode: gymnasium's NextStep, SameStep or Disabled.
        threads: for stepping and drawing, where they have enough to do (drawing: from 250 sub-environments on).
        copy: give each observation its own memory; without, it stays valid until the step after next.
        backend: `auto`, `numba` or `numpy`.

    Raises:
        CausalError: an argument out of its range.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        world: World,
        num_envs: int,
        *,
        observation: Observation = "frame",
        max_steps: int = 100,
        end_at_goal: bool = False,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        copy: bool = True,
        backend: str = "auto",
        render_mode: str | None = "rgb_array",
    ) -> None:
        check_range("max_steps", max_steps, 1, 10**9)
        modes = [mode.value for mode in AutoresetMode]
        wanted = autoreset_mode.value if isinstance(autoreset_mode, AutoresetMode) else autoreset_mode
        check_choice("autoreset_mode", wanted, modes)
        self.single_observation_space = observation_space(world, observation)
        self._begin(world, num_envs, observation, threads, backend, copy)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_action_space = spaces.Discrete(world.actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.autoreset_mode = AutoresetMode(wanted)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore[misc]
        self._max_steps, self._end_at_goal = max_steps, end_at_goal
        self._everyone = np.ones(num_envs, bool)
        self._everyone.flags.writeable = False
        self._elapsed, self._done = np.zeros(num_envs, np.int64), np.zeros(num_envs, bool)
        self._oldest, self._ended = 0, False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start episodes; `options={"reset_mask": mask}` in some sub-environments only (autoreset Disabled).

        Raises:
            CausalError: the environment is closed, or seeds or mask do not fit.
        """
        if self._closed:
            raise CausalError("reset needs an open environment, but this one was closed.")
        mask = self._mask(options)
        seeds = self._seeds(seed)
        if seeds is not None:
            given = np.array([item is not None for item in seeds])
            self.sim.seed([item or 0 for item in seeds], mask & given)
        self._restart(mask)
        self._ready = True
        return self._observe(), self._info()

    def _mask(self, options: dict[str, Any] | None) -> Array:
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, bool)
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != (self.num_envs,) or not mask.any():
            raise CausalError(f"reset_mask must hold {self.num_envs} booleans, at least one of them true.")
        if not self._ready and not mask.all():
            raise CausalError("reset_mask needs a first reset of all sub-environments before it.")
        return mask

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None] | None:
        if seed is None:
            if self._ready:
                return None
            seed = int(self.np_random.integers(2**62))
        seeds: list[int | None]
        seeds = [*range(seed, seed + self.num_envs)] if isinstance(seed, int | np.integer) else list(seed)
        if len(seeds) != self.num_envs:
            raise CausalError(f"seeds must be {self.num_envs}, one a sub-environment, but are {len(seeds)}.")
        for item in seeds:
            if item is not None:
                check_range("seed", item, 0, MAX_SEED)
        return seeds

    def _restart(self, mask: Array) -> None:
        self.sim.reset(mask)
        self._stale(mask)
        self._elapsed[mask], self._done[mask] = 0, False
        self._ended = bool(self._done.any())

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """One action in each sub-environment.

        Args:
            actions: (num_envs,) whole numbers; object * 5 + direction, or object * colors + colour.

        Raises:
            CausalError: no episode was started, the environment is closed, an action is wrong, or (autoreset
                Disabled) an episode is over.
        """
        self._need("step()")
        actions = check_actions(actions, self.num_envs, self.world.actions)
        mode, over = self.autoreset_mode, None
        if self._ended and mode is AutoresetMode.DISABLED:
            raise CausalError(f"sub-environment {int(self._done.argmax())} is over; reset it first (autoreset is off).")
        if self._ended and mode is AutoresetMode.NEXT_STEP:
            over = self._done.copy()
        self.sim.step(actions, None if over is None else ~over)
        self._elapsed += 1
        reward, success = self.sim.score()
        terminated, truncated = self._ends(success)
        info: dict[str, Any] = {}
        if over is not None:
            self._restart(over)
            reward[over], success[over], terminated[over], truncated[over] = 0, False, False, False
        self._done = terminated | truncated
        self._ended = bool(self._done.any())
        if mode is AutoresetMode.SAME_STEP and self._ended:
            info = {"final_obs": self._finals(), "_final_obs": self._done.copy()}
            info |= {"final_info": self._info(), "_final_info": self._done.copy()}
            self._restart(self._done.copy())
        return self._observe(), reward, terminated, truncated, self._info(success) | info

    def _ends(self, success: Array) -> tuple[Array, Array]:
        """(num_envs,) which episodes are terminated, and which truncated."""
        none = np.zeros(self.num_envs, bool)
        terminated = success.copy() if self._end_at_goal else none
        self._oldest += 1  # at least the longest of the running episodes
        if self._oldest < self._max_steps:
            return terminated, none.copy()
        self._oldest = int(self._elapsed.max())
        return terminated, (self._elapsed >= self._max_steps) & ~terminated

    def _finals(self) -> Array:
        finals = np.full(self.num_envs, None, object)
        last = self.sim.draw() if self._buffers else self.sim.state.copy()
        for i in np.flatnonzero(self._done):
            finals[i] = last[i]
        return finals

    def _info(self, success: Array | None = None) -> dict[str, Any]:
        info: dict[str, Any] = {"state": self.sim.state.copy()}
        if success is not None:
            info["success"] = success
        if isinstance(self.sim, PhysicsSimulator):
            info["event"] = self.sim.event.copy()
            info["invalid_push"] = self.sim.event == INVALID
        return info | {f"_{name}": self._everyone for name in info}

    def counterfactual(self, actions: Array) -> Array:
        """(num_envs, n) states that other actions would have led to in the last step, all noise being as it was.

        Abduction, action, prediction (Pearl 2009, section 7.1): the noise of the step is kept, so nothing is estimated.
        """
        self._need("counterfactual()")
        return self.sim.counterfactual(check_actions(actions, self.num_envs, self.world.actions))

    def render(self) -> tuple[Array, ...]:
        """One frame a sub-environment."""
        self._need("render()")
        return tuple(self.sim.draw())

    def close_extras(self, **kwargs: Any) -> None:
        self.sim.close()
        self._closed = True


class CausalEnv(_Worlds, gym.Env[Array, int]):
    """One environment of a world; see `CausalVectorEnv` for episodes, rewards and seeds.

    The reward is minus the mean L1 distance to the goal in cells (physics), or the share of objects that have their
    goal's colour (chemistry).
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 4}  # type: ignore[misc]

    def __init__(
        self,
        world: World,
        *,
        observation: Observation = "frame",
        max_steps: int = 100,
        end_at_goal: bool = False,
        backend: str = "auto",
        render_mode: str | None = None,
    ) -> None:
        check_range("max_steps", max_steps, 1, 10**9)
        self.observation_space = observation_space(world, observation)
        self._begin(world, 1, observation, 1, backend, True)
        self.action_space = spaces.Discrete(world.actions)  # type: ignore[assignment]
        self.render_mode, self._max_steps, self._end_at_goal = render_mode, max_steps, end_at_goal
        self._elapsed = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start an episode."""
        if self._closed:
            raise CausalError("reset needs an open environment, but this one was closed.")
        super().reset(seed=seed)
        if seed is not None:
            self.sim.seed([seed])
        elif not self._ready:
            self.sim.seed([int(self.np_random.integers(2**62))])
        self._elapsed = 0
        self.sim.reset(self.sim.everywhere)
        self._stale(self.sim.everywhere)
        self._ready = True
        return self._observe()[0], self._info()

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """One action.

        Raises:
            CausalError: no episode was started, the environment is closed, or the action is wrong.
        """
        self._need("step()")
        self.sim.step(check_actions([action], 1, self.world.actions))
        self._elapsed += 1
        reward, success = self.sim.score()
        terminated = bool(success[0]) and self._end_at_goal
        info = self._info() | {"success": bool(success[0])}
        return self._observe()[0], float(reward[0]), terminated, self._elapsed >= self._max_steps, info

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {"state": self.sim.state[0].copy()}
        if isinstance(self.sim, PhysicsSimulator):
            info |= {"event": int(self.sim.event[0]), "invalid_push": bool(self.sim.event[0] == INVALID)}
        return info

    def counterfactual(self, action: int) -> Array:
        """(n,) state that another action would have led to in the last step, all noise being as it was."""
        self._need("counterfactual()")
        return np.asarray(self.sim.counterfactual(check_actions([action], 1, self.world.actions))[0])

    def goal(self) -> Array:
        return np.asarray(super().goal()[0])

    def goal_frame(self) -> Array:
        return np.asarray(super().goal_frame()[0])

    def render(self) -> Array:
        """The present frame; nothing is drawn before the first reset."""
        self._need("render()")
        return np.asarray(self.sim.draw()[0])

    def close(self) -> None:
        self.sim.close()
        self._closed = True


def make_physics(**options: Any) -> CausalEnv:
    """`gymnasium.make("causal/Physics-v0", objects=5, ...)`: fields of PhysicsWorld and options of CausalEnv."""
    world, rest = _split(PhysicsWorld, options)
    return CausalEnv(world, **rest)


def make_chemistry(**options: Any) -> CausalEnv:
    """`gymnasium.make("causal/Chemistry-v0", graph="chain5", ...)`: fields of ChemistryWorld, options of CausalEnv."""
    world, rest = _split(ChemistryWorld, options)
    return CausalEnv(world, **rest)


def make_physics_vector(num_envs: int = 1, **options: Any) -> CausalVectorEnv:
    """`gymnasium.make_vec("causal/Physics-v0", num_envs=1024, ...)`."""
    world, rest = _split(PhysicsWorld, options)
    return CausalVectorEnv(world, num_envs, **rest)


def make_chemistry_vector(num_envs: int = 1, **options: Any) -> CausalVectorEnv:
    """`gymnasium.make_vec("causal/Chemistry-v0", num_envs=1024, ...)`."""
    world, rest = _split(ChemistryWorld, options)
    return CausalVectorEnv(world, num_envs, **rest)


def _split(kind: type[World], options: dict[str, Any]) -> tuple[World, dict[str, Any]]:
    fields = {name: options.pop(name) for name in list(options) if name in kind.model_fields}
    return kind(**fields), options


PRESETS: dict[str, dict[str, Any]] = {
    "causal/Physics-v0": {},
    "causal/Physics3-v0": {"objects": 3},
    "causal/Physics5-v0": {"objects": 5},
    "causal/PhysicsUnobserved-v0": {"mode": "unobserved"},
    "causal/PhysicsFixedUnobserved-v0": {"mode": "fixed-unobserved"},
    "causal/Chemistry-v0": {},
    "causal/ChemistryChain5-v0": {"graph": "chain5"},
    "causal/ChemistryFull5-v0": {"graph": "full5"},
    "causal/ChemistryCollider5-v0": {"graph": "collider5"},
    "causal/ChemistryChain5Dynamic-v0": {"graph": "chain5", "positions": "dynamic"},
}


def env_ids() -> list[str]:
    """The registered ids, for `gymnasium.make` and `make_vec`."""
    return list(PRESETS)


def register() -> None:
    """Make the ids known to gymnasium; done when this module is imported."""
    for name, options in PRESETS.items():
        if name in gym.registry:
            continue
        kind = "physics" if "Physics" in name else "chemistry"
        gym.register(
            name,
            entry_point=f"{__name__}:make_{kind}",
            vector_entry_point=f"{__name__}:make_{kind}_vector",
            kwargs=options,
        )


register()
