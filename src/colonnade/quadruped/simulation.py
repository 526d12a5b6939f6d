"""The robot in MuJoCo: motors behind their envelope, contacts sorted by what touched what, and divergence noticed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from colonnade.quadruped.legs import State, geometry, read_state
from colonnade.quadruped.mjcf import TIMESTEP, Box, mjcf
from colonnade.quadruped.robot import LEGS, MINI_CHEETAH, Array, Robot, stand_pose

LOST = 1e5  # m, rad, and per s: beyond this the simulation has diverged
FALLEN_TILT = 1.0  # rad off level at which the robot counts as fallen


class Diverged(RuntimeError):
    """The simulator lost the state (not a number, or accelerations without bound); the text gives the time."""


@dataclass
class Touch:
    """What touched what so far.

    Attributes:
        obstacle: steps in which any part of the robot touched a box.
        parts: which parts touched boxes; grounded: which parts other than feet touched the floor.
        ground: steps in which something other than a foot touched the floor.
    """

    obstacle: int = 0
    ground: int = 0
    parts: set[str] = field(default_factory=set)
    grounded: set[str] = field(default_factory=set)


class Simulation:
    """A robot in a world of boxes.

    Args:
        boxes: obstacles.
        friction: of feet and floor.
        mass_factor: multiplies all masses and inertias: what the controller does not know.
        position, yaw: of the trunk at the start, m and rad; the robot stands at `height`.
    """

    def __init__(
        self,
        robot: Robot = MINI_CHEETAH,
        boxes: Sequence[Box] = (),
        *,
        friction: float = 0.7,
        mass_factor: float = 1.0,
        position: ArrayLike = (0.0, 0.0),
        yaw: float = 0.0,
        height: float = 0.28,
    ) -> None:
        self.robot = robot
        self.shape = geometry(robot)
        self.model = mujoco.MjModel.from_xml_string(mjcf(robot, boxes, friction))
        self.model.body_mass *= mass_factor
        self.model.body_inertia *= mass_factor
        self.data = mujoco.MjData(self.model)
        # MuJoCo's own memory: taken once, as every access makes a new view.
        self._qpos, self._qvel, self._ctrl = self.data.qpos, self.data.qvel, self.data.ctrl
        self._steps = 1
        self.touch = Touch()
        self.energy = 0.0
        self._stall, self._limit = np.tile(robot.stall_torque, 4), np.tile(robot.torque_limit, 4)
        self._speed = np.tile(robot.speed_limit, 4)
        self._foot = np.array([self.model.geom(f"{leg}_foot").id for leg in LEGS])
        self._kind = self._sort_geoms()
        x, y = np.asarray(position, float)
        self.data.qpos[:] = [x, y, height, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2), *stand_pose(robot, height)]
        mujoco.mj_forward(self.model, self.data)
        self.contact = np.ones(4, bool)

    def _sort_geoms(self) -> Array:
        """0 floor, 1 box, 2 foot, 3 other part, by geom."""
        kind = np.full(self.model.ngeom, 3)
        for index in range(self.model.ngeom):
            name = self.model.geom(index).name
            kind[index] = 0 if name == "floor" else 1 if name.startswith("box_") else 2 if "_foot" in name else 3
        return kind

    @property
    def time(self) -> float:
        return float(self.data.time)

    @property
    def state(self) -> State:
        return read_state(self._qpos, self._qvel, self.shape)

    @property
    def fallen(self) -> bool:
        """More than FALLEN_TILT off level, or the trunk near the ground."""
        x, y = self._qpos[4], self._qpos[5]
        upright = 1 - 2 * (x * x + y * y)
        return bool(upright < math.cos(FALLEN_TILT) or self._qpos[2] < 1.3 * self.robot.trunk_half[2])

    def clamp(self, torque: Array) -> Array:
        """(12,) torques that the motors give at the present joint speeds."""
        return _clamp(torque, self._qvel, self._stall, self._limit, self._speed)

    def step(self, torque: ArrayLike, steps: int = 1) -> None:
        """Hold joint torques (4, 3) for 1 or 2 ms (one simulation step of that length), within the motor envelope.

        Raises:
            Diverged: the simulator lost the state.
        """
        wanted = np.asarray(torque, float).reshape(12)
        if steps != self._steps:
            self.model.opt.timestep, self._steps = steps * TIMESTEP, steps
        self._ctrl[:] = _clamp(wanted, self._qvel, self._stall, self._limit, self._speed)
        mujoco.mj_step(self.model, self.data)
        pairs = self.data.contact.geom
        power, sound, obstacle, ground = _after(
            self._ctrl, self._qpos, self._qvel, pairs, self._kind, self._foot, self.contact
        )
        self.energy += power * steps * TIMESTEP
        if not sound:
            raise Diverged(f"The simulation diverged at {self.data.time:.3f} s.")
        if ground:
            self.touch.ground += 1
            self._name_parts(pairs, 0, self.touch.grounded)
        if obstacle:
            self.touch.obstacle += 1
            self._name_parts(pairs, 1, self.touch.parts)

    def _name_parts(self, pairs: NDArray[np.int32], world: int, into: set[str]) -> None:
        for one, two in pairs.tolist():
            part = two if self._kind[one] == world else one
            if world in (self._kind[one], self._kind[two]) and (world == 1 or self._kind[part] == 3):
                into.add(str(self.model.geom(part).name))

    def push(self, impulse: ArrayLike) -> None:
        """Change the trunk's velocity at once as an impulse (3,) in N s on the whole robot would."""
        self.data.qvel[:3] += np.asarray(impulse, float) / self.robot.mass


@njit(cache=True)
def _clamp(torque: Array, qvel: Array, stall: Array, limit: Array, speed: Array) -> Array:
    out = np.empty(12)
    for k in range(12):
        ratio = qvel[6 + k] / speed[k]
        top = max(min(stall[k] * (1 - ratio), limit[k]), -limit[k])
        bottom = min(max(-stall[k] * (1 + ratio), -limit[k]), limit[k])
        out[k] = min(max(torque[k], bottom), top)
    return out


@njit(cache=True)
def _after(ctrl, qpos, qvel, pairs, kind, foot, contact):  # type: ignore[no-untyped-def]
    """Power given by the motors, whether the state is sound, whether anything touched a box, whether another part than
    a foot touched the floor; `contact` becomes which feet touch anything."""
    power, sound, obstacle, ground = 0.0, True, False, False
    for k in range(12):
        power += max(ctrl[k] * qvel[6 + k], 0.0)
    for k in range(qvel.size):
        sound = sound and abs(qvel[k]) < LOST
    for k in range(qpos.size):
        sound = sound and abs(qpos[k]) < LOST
    contact[:] = False
    for k in range(pairs.shape[0]):
        one, two = pairs[k, 0], pairs[k, 1]
        if kind[one] > kind[two]:
            one, two = two, one
        if kind[one] == 1:
            obstacle = True
        elif kind[two] == 3:
            ground = True
        for leg in range(4):
            if two == foot[leg]:
                contact[leg] = True
    return power, sound, obstacle, ground
