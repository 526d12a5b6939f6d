"""Walking: a trot (or a stand) whose stance feet follow the model-predictive controller and whose swing feet follow
Raibert's placement (heuristics and gains of MIT's Cheetah-Software, `ConvexMPCLocomotion.cpp`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from colonnade.quadruped.errors import check_range
from colonnade.quadruped.legs import State, forces_to_torques, geometry
from colonnade.quadruped.mpc import ConvexMPC
from colonnade.quadruped.robot import GRAVITY, Array, Robot

OFFSETS = np.array([0.0, 0.5, 0.5, 0.0])  # of FR FL RR RL in a trot
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
    """

    def __init__(self, robot: Robot, config: GaitConfig | None = None, friction: float = 0.4) -> None:
        self.robot, self.config = robot, config or GaitConfig()
        self.mpc = ConvexMPC(robot, friction=friction, press=1.4 * robot.mass * GRAVITY)
        self.shape = geometry(robot)
        self.command = Command()
        self.standing = True
        self.forces = np.zeros((4, 3))
        self._phase = 0.0
        self._count = 0
        self._lifted = np.zeros((4, 3))
        self._swinging = np.zeros(4, bool)
        self._wanted: Array | None = None  # x, y, yaw of the reference

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
        if self.standing:
            return np.ones(4, bool)
        phase = (self._phase + ahead / self.config.period + OFFSETS) % 1.0
        down: NDArray[np.bool_] = phase < self.config.duty
        return down

    def torque(self, state: State, contact: NDArray[np.bool_] | None = None) -> Array:
        """(4, 3) joint torques for the next CONTROL_STEPS milliseconds."""
        dt = CONTROL_STEPS * 1e-3
        self._advance(dt)
        down = self.stance()
        lifting = ~down & ~self._swinging
        self._lifted[lifting] = state.feet[lifting]
        self._swinging = ~down
        self._follow(state, dt)
        if self._count % self.config.mpc_every == 0 or (down & (self.forces[:, 2] == 0)).any():
            self.forces = self._solve(state)
        self._count += 1
        torque = forces_to_torques(state.jacobian, np.where(down[:, None], self.forces, 0.0))
        if not down.all():
            torque += self._swing(state, ~down)
        return torque - 0.05 * state.rates

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

    def _velocity(self, yaw: float) -> Array:
        c, s = math.cos(yaw), math.sin(yaw)
        return np.array([c * self.command.vx - s * self.command.vy, s * self.command.vx + c * self.command.vy])

    def _follow(self, state: State, dt: float) -> None:
        """Integrate the command into a pose to follow, at most `farthest` from where the trunk is."""
        if self._wanted is None:
            self._wanted = np.array([state.position[0], state.position[1], state.rpy[2]])
        if not self.standing:
            self._wanted[:2] += dt * self._velocity(state.rpy[2])
            self._wanted[2] += dt * self.command.yaw_rate
        far, wanted = self.config.farthest, self._wanted
        for axis in (0, 1):
            here = state.position[axis]
            wanted[axis] = min(max(wanted[axis], here - far), here + far)
        turn = (wanted[2] - state.rpy[2] + math.pi) % (2 * math.pi) - math.pi
        wanted[2] = state.rpy[2] + min(max(turn, -0.3), 0.3)

    def _solve(self, state: State) -> Array:
        assert self._wanted is not None
        mpc = self.mpc
        times = mpc.dt * np.arange(1, mpc.horizon + 1)
        velocity = self._velocity(state.rpy[2]) if not self.standing else np.zeros(2)
        yaw_rate = 0.0 if self.standing else self.command.yaw_rate
        pose, rate = np.zeros((mpc.horizon, 6)), np.zeros((mpc.horizon, 6))
        pose[:, 2] = self._wanted[2] + yaw_rate * times
        pose[:, 3:5] = self._wanted[:2] + velocity * times[:, None]
        pose[:, 5] = self.config.height
        rate[:, 2] = yaw_rate
        rate[:, 3:5] = velocity
        contact = np.array([self.stance(ahead) for ahead in times - mpc.dt / 2])
        contact[0] = self.stance()
        arms = np.repeat((state.feet - state.position)[None], mpc.horizon, axis=0)
        here = np.concatenate([state.rpy, state.position])
        return mpc.forces(here, np.concatenate([state.omega, state.velocity]), pose, rate, arms, contact)

    def _swing(self, state: State, up: NDArray[np.bool_]) -> Array:
        config = self.config
        swing_time = (1 - config.duty) * config.period
        share = (((self._phase + OFFSETS) % 1.0) - config.duty) / (1 - config.duty)
        return _swing_torque(
            up, share, swing_time, self._lifted, self._landing(state, (1 - share) * swing_time), state.feet,
            state.foot_velocity, state.jacobian, config.lift, config.swing_kp, config.swing_kd,
        )  # fmt: skip

    def _landing(self, state: State, left: Array) -> Array:
        """(4, 3) where the feet should land, by Raibert's rule, seen from the pose at touch-down."""
        config, stance = self.config, self.config.duty * self.config.period
        return _placement(
            left, state.position, state.velocity, state.rpy[2], self._velocity(state.rpy[2]), self.command.yaw_rate,
            stance, config.velocity_gain, config.height, self.robot.hip_x,
            self.robot.hip_y + self.robot.hip_out + config.widen, self.robot.foot_radius,
        )  # fmt: skip


@njit(cache=True)
def _placement(
    left: Array, position: Array, velocity: Array, yaw: float, wanted: Array, yaw_rate: float, stance: float,
    gain: float, height: float, hip_x: float, hip_y: float, radius: float,
) -> Array:  # fmt: skip
    out = np.empty((4, 3))
    for leg in range(4):
        x = hip_x if leg < 2 else -hip_x
        y = -hip_y if leg % 2 == 0 else hip_y
        angle = yaw + yaw_rate * (left[leg] + stance / 2)
        c, s = np.cos(angle), np.sin(angle)
        shift = np.empty(2)
        for axis in range(2):
            shift[axis] = 0.5 * stance * velocity[axis] + gain * (velocity[axis] - wanted[axis])
        # Turning: half of (h / g) v x yaw rate, what the linear inverted pendulum needs to follow the curve.
        shift[0] += 0.5 * height / GRAVITY * velocity[1] * yaw_rate
        shift[1] -= 0.5 * height / GRAVITY * velocity[0] * yaw_rate
        for axis in range(2):
            shift[axis] = min(0.3, max(-0.3, shift[axis]))
        out[leg, 0] = position[0] + left[leg] * velocity[0] + c * x - s * y + shift[0]
        out[leg, 1] = position[1] + left[leg] * velocity[1] + s * x + c * y + shift[1]
        out[leg, 2] = radius - 0.003
    return out


@njit(cache=True)
def _swing_torque(
    up: NDArray[np.bool_], share: Array, time: float, start: Array, end: Array, feet: Array, speed: Array,
    jacobian: Array, lift: float, kp: float, kd: float,
) -> Array:  # fmt: skip
    out = np.zeros((4, 3))
    for leg in range(4):
        if not up[leg]:
            continue
        s = min(1.0, max(0.0, share[leg]))
        blend, rate = s * s * (3 - 2 * s), 6 * s * (1 - s) / time
        force = np.empty(3)
        for axis in range(2):
            wanted = start[leg, axis] + (end[leg, axis] - start[leg, axis]) * blend
            wanted_rate = (end[leg, axis] - start[leg, axis]) * rate
            force[axis] = kp * (wanted - feet[leg, axis]) + kd * (wanted_rate - speed[leg, axis])
        top = max(start[leg, 2], end[leg, 2]) + lift
        low, high = (start[leg, 2], top) if s < 0.5 else (top, end[leg, 2])
        half = 2 * s if s < 0.5 else 2 * s - 1
        height = low + (high - low) * half * half * (3 - 2 * half)
        climb = (high - low) * 6 * half * (1 - half) * 2 / time
        force[2] = kp * (height - feet[leg, 2]) + kd * (climb - speed[leg, 2])
        out[leg] = jacobian[leg].T @ force
    return out
