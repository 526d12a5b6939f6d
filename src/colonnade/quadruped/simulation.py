"""The robot in MuJoCo: motors behind their envelope, contacts sorted by what touched what, and divergence noticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from colonnade.quadruped.legs import Geometry, State, geometry, read_state
from colonnade.quadruped.mjcf import TIMESTEP, Box, mjcf
from colonnade.quadruped.robot import LEGS, MINI_CHEETAH, Array, Robot, stand_pose

FALLEN_TILT = 1.0  # rad off level at which the robot counts as fallen


class Diverged(RuntimeError):
    """The simulator lost the state (not a number, or accelerations without bound); the text gives the time."""


@dataclass
class Touch:
    """What touched what so far.

    Attributes:
        obstacle: steps in which any part of the robot touched a box.
        parts: which parts touched boxes.
        ground: steps in which something other than a foot touched the floor.
    """

    obstacle: int = 0
    ground: int = 0
    parts: set[str] = field(default_factory=set)


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
        self.shape: Geometry = geometry(robot)
        self.model = mujoco.MjModel.from_xml_string(mjcf(robot, boxes, friction))
        self.model.body_mass *= mass_factor
        self.model.body_inertia *= mass_factor
        self.data = mujoco.MjData(self.model)
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
        return read_state(self.data.qpos, self.data.qvel, self.shape)

    @property
    def fallen(self) -> bool:
        """More than FALLEN_TILT off level, or the trunk near the ground."""
        x, y = self.data.qpos[4], self.data.qpos[5]
        upright = 1 - 2 * (x * x + y * y)
        return bool(upright < np.cos(FALLEN_TILT) or self.data.qpos[2] < 1.3 * self.robot.trunk_half[2])

    def clamp(self, torque: Array) -> Array:
        """(12,) torques that the motors give at the present joint speeds."""
        ratio = self.data.qvel[6:] / self._speed
        top = np.minimum(self._stall * (1 - ratio), self._limit)
        bottom = np.maximum(-self._stall * (1 + ratio), -self._limit)
        clamped: Array = np.clip(torque, np.maximum(bottom, -self._limit), np.minimum(top, self._limit))
        return np.minimum(np.maximum(clamped, bottom), np.maximum(top, bottom))

    def step(self, torque: ArrayLike, steps: int = 1) -> None:
        """Hold joint torques (4, 3) for `steps` milliseconds, the motor envelope enforced at each.

        Raises:
            Diverged: the simulator lost the state.
        """
        wanted = np.asarray(torque, float).ravel()
        for _ in range(steps):
            self.data.ctrl[:] = self.clamp(wanted)
            self.energy += float(np.maximum(self.data.ctrl * self.data.qvel[6:], 0).sum()) * TIMESTEP
            mujoco.mj_step(self.model, self.data)
        self._sort_contacts()
        if self.data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number or not np.isfinite(self.data.qpos[2]):
            raise Diverged(f"The simulation diverged at {self.data.time:.3f} s.")

    def _sort_contacts(self) -> None:
        self.contact[:] = False
        if not self.data.ncon:
            return
        touched = self._touched()
        if touched.any():
            self.touch.obstacle += 1
        pairs = self.data.contact.geom
        world = np.minimum(self._kind[pairs[:, 0]], self._kind[pairs[:, 1]])
        part = np.maximum(self._kind[pairs[:, 0]], self._kind[pairs[:, 1]])
        if ((world == 0) & (part == 3)).any():
            self.touch.ground += 1
        feet = pairs[part == 2]
        for leg in range(4):
            self.contact[leg] = bool((feet == self._foot[leg]).any())

    def _touched(self) -> Array:
        pairs = self.data.contact.geom
        hits = (self._kind[pairs] == 1).any(axis=1)
        for pair in pairs[hits]:
            geom = pair[0] if self._kind[pair[0]] != 1 else pair[1]
            self.touch.parts.add(self.model.geom(int(geom)).name)
        return hits

    def push(self, impulse: ArrayLike) -> None:
        """Change the trunk's velocity at once as an impulse (3,) in N s on the whole robot would."""
        self.data.qvel[:3] += np.asarray(impulse, float) / self.robot.mass
