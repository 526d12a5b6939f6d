"""Walking: a trot (or a stand) whose stance feet follow the model-predictive controller and whose swing feet follow
Raibert's placement (heuristics and gains of MIT's Cheetah-Software, `ConvexMPCLocomotion.cpp`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.quadruped import trot
from colonnade.quadruped.errors import check_range
from colonnade.quadruped.legs import State, geometry
from colonnade.quadruped.mpc import ConvexMPC
from colonnade.quadruped.robot import GRAVITY, Array, Robot

CONTROL_STEPS = 2  # milliseconds between two answers of the controller


@dataclass(frozen=True)
class Command:
    """Wanted velocity ahead and to the left (m/s, robot's heading) and yaw rate (rad/s)."""

    vx: float = 0.0
    vy: float = 0.0
    yaw_rate: float = 0.0

    def __post_init__(self) -> None:
        check_range("vx", self.vx, -1.5, 1.5, "m/s")
        check_range("vy", self.vy, -0.8, 0.8, "m/s")
        check_range("yaw_rate", self.yaw_rate, -3.0, 3.0, "rad/s")

    @property
    def still(self) -> bool:
        return self.vx == 0 and self.vy == 0 and self.yaw_rate == 0


@dataclass(frozen=True)
class GaitConfig:
    """Trot: period s, share of stance, swing height m; trunk height m; gains of the swing feet N/m and N s/m."""

    period: float = 0.3
    duty: float = 0.5
    lift: float = 0.06
    height: float = 0.28
    swing_kp: float = 700.0
    swing_kd: float = 12.0
    mpc_every: int = 15  # control steps between two solutions
    farthest: float = 0.1  # m that the reference may lead the trunk
    velocity_gain: float = 0.05  # s, Raibert's feedback on the velocity error
    widen: float = 0.0  # m, feet further out than the hips


class Walker:
    """Trots or stands; ask `torque` every CONTROL_STEPS milliseconds.

    Attributes:
        command: may be changed at any time; a still command makes it stand once all feet are down.
        standing: whether it stands now.
        forces: (4, 3) of the ground on the feet, as the model-predictive controller last asked for, N.
    """

    def __init__(self, robot: Robot, config: GaitConfig | None = None, friction: float = 0.4) -> None:
        self.robot, self.config = robot, config or GaitConfig()
        self.mpc = ConvexMPC(robot, friction=friction, press=1.4 * robot.mass * GRAVITY)
        self.shape = geometry(robot)
        self.standing = True
        self.forces = np.zeros((4, 3))
        self.command = Command()
        values = self.config
        self._gait = np.array(
            [values.period, values.duty, values.lift, values.swing_kp, values.swing_kd, values.velocity_gain,
             values.height]
        )  # fmt: skip
        self._places = np.array([robot.hip_x, robot.hip_y + robot.hip_out + values.widen, robot.foot_radius])
        self._phase, self._count = 0.0, 0
        self._lifted, self._swinging = np.zeros((4, 3)), np.zeros(4, bool)
        self._wanted: Array | None = None  # x, y, yaw of the reference

    @property
    def command(self) -> Command:
        return self._command

    @command.setter
    def command(self, wanted: Command) -> None:
        self._command = wanted
        self._asked = np.array([wanted.vx, wanted.vy, wanted.yaw_rate])

    @property
    def settled(self) -> bool:
        """Standing with no wish to move."""
        return self.standing and self.command.still

    def reset(self) -> None:
        """Stand here: forget the reference and the gait's phase."""
        self.standing, self._phase, self._count, self._wanted = True, 0.0, 0, None
        self._swinging[:] = False

    def stance(self, ahead: float = 0.0) -> NDArray[np.bool_]:
        """(4,) which feet the schedule has on the ground, `ahead` seconds from now."""
        down: NDArray[np.bool_] = trot.stance(self._phase + ahead / self.config.period, self.standing, self.config.duty)
        return down

    def torque(self, state: State) -> Array:
        """(4, 3) joint torques for the next CONTROL_STEPS milliseconds."""
        dt, yaw = CONTROL_STEPS * 1e-3, float(state.rpy[2])
        if self._wanted is None:
            self._wanted = np.array([state.position[0], state.position[1], yaw])
        self._advance(dt)
        down = self.stance()
        trot.follow(
            dt, self._asked, self.standing, self.config.farthest, down, state.position, yaw, state.feet, self._wanted,
            self._lifted, self._swinging,
        )  # fmt: skip
        if self._count % self.config.mpc_every == 0 or (down & (self.forces[:, 2] == 0)).any():
            self.forces = self._solve(state, self._wanted)
        self._count += 1
        torque: Array = trot.torques(
            self._phase, down, self.forces, self._lifted, self._asked, state.position, state.velocity, yaw, state.rates,
            state.feet, state.jacobian, state.foot_velocity, self._gait, self._places,
        )  # fmt: skip
        return torque

    def _advance(self, dt: float) -> None:
        """Move the gait's clock; stop it, all feet down, at a change of pairs when nothing is wanted."""
        if self.standing:
            if self.command.still:
                return
            self.standing, self._phase = False, 0.0
            self._count = 0
            return
        before = self._phase
        self._phase = (self._phase + dt / self.config.period) % 1.0
        half = (before < 0.5 <= self._phase) or self._phase < before
        if half and self.command.still:
            self.standing = True
            self._count = 0

    def _solve(self, state: State, wanted: Array) -> Array:
        mpc = self.mpc
        pose, rate = trot.reference(
            wanted, self._asked, self.standing, float(state.rpy[2]), self.config.height, mpc.dt, mpc.horizon
        )
        contact = np.array([self.stance(mpc.dt * (k + 0.5)) for k in range(mpc.horizon)])
        contact[0] = self.stance()
        arms = np.repeat((state.feet - state.position)[None], mpc.horizon, axis=0)
        here = np.concatenate([state.rpy, state.position])
        return mpc.forces(here, np.concatenate([state.omega, state.velocity]), pose, rate, arms, contact)
