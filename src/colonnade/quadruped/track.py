"""Executing a planned jump in the full simulation: feed-forward, joint and body feedback, landing into a stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.quadruped.balance import BodyGains, BodyTarget, spread, stand_inertia, wanted_wrench
from colonnade.quadruped.jump_spec import Array, JumpPlan
from colonnade.quadruped.legs import ENDS, SIDES, State, forces_to_torques, from_rpy, geometry, legs_to
from colonnade.quadruped.robot import GRAVITY
from colonnade.quadruped.simulation import Simulation

DT = 0.001


@dataclass(frozen=True)
class TrackGains:
    """How firmly a jump is followed.

    Attributes:
        stance_kp, stance_kd, air_kp, air_kd: joint gains on the ground and in the air, N m/rad and N m s/rad.
        body: feedback on the trunk while feet push.
        friction: pyramid that the feedback may use.
        press: largest force of one foot, in weights of the robot.
        catch: body feedback from touch-down to rest.
        reach: how far below the planned foot an unlanded foot reaches for the ground, m.
    """

    stance_kp: float = 15.0
    stance_kd: float = 0.5
    air_kp: float = 60.0
    air_kd: float = 1.5
    body: BodyGains = BodyGains(  # noqa: RUF009 (frozen)
        (80.0, 60.0, 150.0), (16.0, 15.0, 20.0), (250.0, 250.0, 150.0), (25.0, 25.0, 20.0)
    )
    friction: float = 0.5
    press: float = 2.0
    catch: BodyGains = BodyGains(  # noqa: RUF009 (frozen)
        (40.0, 40.0, 90.0), (12.0, 12.0, 14.0), (200.0, 200.0, 80.0), (25.0, 25.0, 15.0)
    )
    reach: float = 0.01


@dataclass(frozen=True)
class Reference:
    """A plan sampled every millisecond: t (T,), q, v, a (T, 7), tau, f (T, 4), phase (T,)."""

    t: Array
    q: Array
    v: Array
    a: Array
    tau: Array
    f: Array
    phase: NDArray[np.int64]


def sample(plan: JumpPlan, dt: float = DT) -> Reference:
    """Sample a plan: cubic Hermite coordinates, linear rates, controls joined through the middles of intervals."""
    t = np.arange(0.0, plan.t[-1], dt)
    index = np.clip(np.searchsorted(plan.t, t, side="right") - 1, 0, len(plan.t) - 2)
    h = (plan.t[index + 1] - plan.t[index])[:, None]
    s = (t - plan.t[index])[:, None] / h
    before, after, slow, fast = plan.q[index], plan.q[index + 1], plan.v[index], plan.v[index + 1]
    q = (
        (1 + 2 * s) * (1 - s) ** 2 * before
        + s * (1 - s) ** 2 * h * slow
        + s**2 * (3 - 2 * s) * after
        - s**2 * (1 - s) * h * fast
    )
    phase = plan.phase[index]
    middle = (plan.t[1:] + plan.t[:-1]) / 2
    tau, f = np.empty((len(t), 4)), np.empty((len(t), 4))
    for number in range(4):
        here, nodes = phase == number, plan.phase == number
        for column in range(4):
            tau[here, column] = np.interp(t[here], middle[nodes], plan.tau[nodes, column])
            f[here, column] = np.interp(t[here], middle[nodes], plan.f[nodes, column])
    return Reference(t, q, (1 - s) * slow + s * fast, (fast - slow) / h, tau, f, phase)


@dataclass
class Record:
    """What happened, every few milliseconds."""

    t: list[float]
    qpos: list[Array]
    torque: list[Array]
    rate: list[Array]

    @classmethod
    def empty(cls) -> Record:
        return cls([], [], [], [])

    def add(self, sim: Simulation) -> None:
        self.t.append(sim.time)
        self.qpos.append(sim.data.qpos.copy())
        self.torque.append(sim.data.ctrl.copy())
        self.rate.append(sim.data.qvel[6:].copy())


class JumpTracker:
    """Follows one plan from a crouch; `torque` is asked every millisecond.

    Args:
        plan: a solved plan.
        origin: (x, y, yaw) of the plan's start in the world: the jump's line.
        correction: (T, 3) accelerations of the trunk to feed forward while feet push, as `learn` finds them.
    """

    def __init__(
        self,
        plan: JumpPlan,
        origin: tuple[float, float, float],
        gains: TrackGains | None = None,
        correction: Array | None = None,
    ) -> None:
        self.plan, self.gains = plan, gains or TrackGains()
        self.reference = sample(plan)
        self.correction = correction
        self.robot = plan.spec.robot
        self.shape = geometry(self.robot)
        self.inertia = stand_inertia(self.robot)
        self.origin = np.array(origin[:2])
        self.yaw = origin[2]
        self.turn = from_rpy(0.0, 0.0, self.yaw)
        self.takeoff, self.touchdown = plan.ends[2], plan.ends[3]
        self.landed: float | None = None
        self.hold = np.zeros(3)

    def target(self, k: int) -> BodyTarget:
        """The trunk's planned motion at sample k, in the world."""
        ref = self.reference
        q, v, a = ref.q[k], ref.v[k], ref.a[k]
        along = self.turn[:, 0]
        up = np.array([0.0, 0.0, 1.0])
        side = -self.turn[:, 1]  # nose-up turns about -y
        start = np.array([*self.origin, 0.0])
        return BodyTarget(
            start + along * q[0] + up * q[1],
            along * v[0] + up * v[1],
            along * a[0] + up * a[1],
            from_rpy(0.0, -q[2], self.yaw),
            side * v[2],
            side * a[2],
        )

    def torque(self, state: State, contact: NDArray[np.bool_], t: float) -> Array:
        """(4, 3) joint torques at time t since the start of the jump."""
        k = min(round(t / DT), len(self.reference.t) - 1)
        if self.landed is None and t > 0.5 * (self.takeoff + self.touchdown) and contact.any():
            self._land(state, t)
        if self.landed is not None or t > self.touchdown + 0.15:
            return self._catch(state, contact, t)
        return self._push(state, k) if self.reference.phase[k] < 2 else self._fly(state, k)

    def _joints(self, k: int) -> tuple[Array, Array, Array]:
        ref = self.reference

        def spread_out(values: Array) -> Array:
            front, rear = [0.0, values[0], values[1]], [0.0, values[2], values[3]]
            return np.array([front, front, rear, rear])

        return spread_out(ref.q[k, 3:]), spread_out(ref.v[k, 3:]), spread_out(ref.tau[k]) / 2

    def _push(self, state: State, k: int) -> Array:
        gains, ref = self.gains, self.reference
        joints, rates, torque = self._joints(k)
        down = ref.phase[k] == 0
        standing = np.array([down, down, True, True])
        along, up = self.turn[:, 0], np.array([0.0, 0.0, 1.0])
        planned = (
            np.array([along * ref.f[k, 2 * (leg // 2)] + up * ref.f[k, 2 * (leg // 2) + 1] for leg in range(4)]) / 2
        )
        target = self.target(k)
        extra = wanted_wrench(self.robot.mass, self.inertia, state, target, gains.body)
        extra -= wanted_wrench(self.robot.mass, self.inertia, _at(state, target), target, gains.body)
        if self.correction is not None:
            extra += self._learned(state, k)
        arms = state.feet - state.position
        base = np.concatenate([planned.sum(axis=0), np.cross(arms, planned).sum(axis=0)])
        weight = self.robot.mass * GRAVITY
        forces = spread(
            base + extra, arms, standing, friction=gains.friction, press=gains.press * weight, reference=planned
        )
        torque = torque + forces_to_torques(state.jacobian, np.where(standing[:, None], forces - planned, 0.0))
        kp = np.where(standing, gains.stance_kp, gains.air_kp)[:, None]
        kd = np.where(standing, gains.stance_kd, gains.air_kd)[:, None]
        return torque + kp * (joints - state.joints) + kd * (rates - state.rates)

    def _learned(self, state: State, k: int) -> Array:
        """(6,) wrench that gives the trunk the learned accelerations."""
        assert self.correction is not None
        ahead, up, pitch = self.correction[k]
        spin = state.rotation @ self.inertia @ state.rotation.T @ (-self.turn[:, 1] * pitch)
        return np.concatenate([self.robot.mass * (self.turn[:, 0] * ahead + [0.0, 0.0, up]), spin])

    def _fly(self, state: State, k: int) -> Array:
        gains, ref = self.gains, self.reference
        joints, rates, torque = self._joints(k)
        left = self.touchdown - ref.t[k]
        span = 0.5 * (self.touchdown - self.takeoff)
        blend = float(np.clip(1.0 - left / span, 0.0, 1.0)) ** 2
        if blend > 0:
            joints = (1 - blend) * joints + blend * self._levelled(state, k)
        wanted = torque + gains.air_kp * (joints - state.joints) + gains.air_kd * (rates - state.rates)
        return wanted

    def _levelled(self, state: State, k: int) -> Array:
        """(4, 3) joints that keep the feet where sample k has them from the trunk, whatever the attitude has become."""
        q = self.reference.q[k]
        planned = np.zeros((4, 3))
        for leg in range(4):
            hip, knee = q[3 + 2 * (leg // 2)], q[4 + 2 * (leg // 2)]
            along = self.robot.thigh_length * np.sin(hip + q[2]) + self.robot.shank_length * np.sin(hip + knee + q[2])
            down = self.robot.thigh_length * np.cos(hip + q[2]) + self.robot.shank_length * np.cos(hip + knee + q[2])
            root = ENDS[leg] * self.robot.hip_x
            planned[leg] = [
                root * np.cos(q[2]) + along,
                SIDES[leg] * (self.robot.hip_y + self.robot.hip_out),
                root * np.sin(q[2]) - down,
            ]
        world = planned @ self.turn.T
        return legs_to(world @ state.rotation, self.shape)

    def _land(self, state: State, t: float) -> None:
        self.landed = t

    def _catch(self, state: State, contact: NDArray[np.bool_], t: float) -> Array:
        gains = self.gains
        since = t - (self.landed if self.landed is not None else t)
        weight = self.robot.mass * GRAVITY
        feet = state.feet
        centre = feet.mean(axis=0)
        height = self.plan.spec.end_height
        position = np.array([centre[0], centre[1], height])
        flat = from_rpy(0.0, 0.0, self.yaw)
        rest = np.zeros(3)
        target = BodyTarget(position, rest, rest, flat, rest, rest)
        wrench = wanted_wrench(self.robot.mass, self.inertia, state, target, gains.catch)
        standing: NDArray[np.bool_] = contact if since < 0.25 else np.ones(4, bool)
        forces = spread(wrench, feet - state.position, standing, friction=gains.friction, press=gains.press * weight)
        torque = forces_to_torques(state.jacobian, forces)
        wanted = self._levelled(state, min(round(self.touchdown / DT), len(self.reference.t) - 1))
        loose = ~standing
        torque[loose] += gains.air_kp * (wanted - state.joints)[loose] - gains.air_kd * state.rates[loose]
        return torque - 0.2 * state.rates


def _at(state: State, target: BodyTarget) -> State:
    """The state as if the trunk were on target."""
    return state._replace(
        position=target.position, velocity=target.velocity, rotation=target.rotation, omega=target.omega
    )
