"""An independent check of a plan: nothing here shares code with the programme that made it.

The dynamics are integrated by classical Runge-Kutta (or the midpoint rule) from the plan's torques alone, contact
forces following from the feet standing still; clearance is the exact distance of densely sampled capsules to the wall's
boxes; torques are compared with the motors' envelope at the speeds they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import casadi as ca
import numpy as np

from colonnade.quadruped.jump_spec import FEET_IN_PHASE, Array, JumpPlan, Window
from colonnade.quadruped.planar import planar_model
from colonnade.quadruped.robot import Robot

DEFECT_LIMIT = 0.02  # m and rad per interval of some 20 ms: what the midpoint rule may be off by
SAMPLES = 20  # per interval, for clearance
TALL = 5.0  # m, how far a wall goes up and down


@dataclass(frozen=True)
class Certificate:
    """What an independent look at a plan found.

    Attributes:
        defect: largest difference between the plan and an integration of its torques over one interval; m and rad.
        momentum: error of impulse = change of momentum over the whole jump, relative to the largest momentum.
        clearance: smallest distance between robot and wall, m (inf without a window).
        torque_margin: smallest share of the motor envelope left free.
        friction_used: largest |Fx| / Fz.
        simulated: whether the full simulation of the plan ended upright, at rest and untouched; None: not simulated.
        valid: all of it holds.
        reasons: what does not.
    """

    defect: float
    momentum: float
    clearance: float
    torque_margin: float
    friction_used: float
    simulated: bool | None
    valid: bool
    reasons: tuple[str, ...]


def certify(plan: JumpPlan, *, simulate: Callable[[JumpPlan], bool] | None = None) -> Certificate:
    """Check a plan without trusting its solver.

    Args:
        simulate: runs the plan in the full simulation and says whether it went well (see `track.execute`).
    """
    defect, momentum = dynamics_defect(plan), impulse_error(plan)
    room = clearance(plan)
    share, friction = torque_margin(plan), friction_used(plan)
    simulated = simulate(plan) if simulate is not None else None
    checks = (
        (plan.solved, f"the solver ended with: {plan.message or plan.status}"),
        (defect <= DEFECT_LIMIT, f"the dynamics are off by {defect:.4f} in one interval"),
        (momentum <= 0.05, f"impulse and momentum differ by {momentum:.1%}"),
        (room >= 0.0, f"the robot enters the wall by {-room:.3f} m"),
        (share >= -1e-4, f"a motor is asked for {1 - share:.2f} times what it gives"),
        (friction <= plan.spec.friction + 1e-3, f"friction of {friction:.2f} is used"),
        (simulated is not False, "the simulated jump failed"),
    )
    reasons = tuple(reason for holds, reason in checks if not holds)
    return Certificate(defect, momentum, room, share, friction, simulated, not reasons, reasons)


# --- dynamics -------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _constrained(robot: Robot, feet: tuple[int, ...]) -> Any:
    """(q, v, tau) -> (a, f): forward dynamics with the given feet held still (index-1 form)."""
    planar = planar_model(robot)
    q, v, a, tau = ca.SX.sym("q", 7), ca.SX.sym("v", 7), ca.SX.sym("a", 7), ca.SX.sym("tau", 4)
    force = planar.inverse_dynamics(q, v, a)
    mass = ca.jacobian(force, a)
    bias = planar.inverse_dynamics(q, v, ca.SX.zeros(7))
    applied = ca.vertcat(0, 0, 0, tau - planar.friction(v[3:7]))
    rows = [2 * foot + axis for foot in feet for axis in (0, 1)]
    if not rows:
        return ca.Function("forward", [q, v, tau], [ca.solve(mass, applied - bias), ca.SX.zeros(0)])
    jacobian, drift = planar.feet_jacobian(q)[rows, :], planar.feet_bias(q, v)[rows]
    count = len(rows)
    matrix = ca.vertcat(ca.horzcat(mass, -jacobian.T), ca.horzcat(jacobian, ca.SX.zeros(count, count)))
    symbols = ca.SX.sym("m", matrix.shape[0], matrix.shape[1])
    right = ca.SX.sym("r", matrix.shape[0])
    solved = ca.Function("solve", [symbols, right], [ca.solve(symbols, right)])
    answer = solved(matrix, ca.vertcat(applied - bias, -drift))
    return ca.Function("forward", [q, v, tau], [answer[:7], answer[7:]])


def integrate(
    robot: Robot, feet: tuple[int, ...], q: Array, v: Array, tau: Array, time: float, steps: int,
    method: Literal["rk4", "midpoint"] = "rk4",
) -> tuple[Array, Array]:  # fmt: skip
    """State after `time` seconds under constant torques with `feet` standing, by an explicit integrator.

    Returns:
        q (7,), v (7,); the error falls with the fourth ("rk4") or second power of the step.
    """
    forward = _constrained(robot, feet)

    def rate(state: Array) -> Array:
        acceleration = np.array(forward(state[:7], state[7:], tau)[0]).ravel()
        return np.concatenate([state[7:], acceleration])

    state, h = np.concatenate([q, v]), time / steps
    for _ in range(steps):
        if method == "midpoint":
            state = state + h * rate(state + h / 2 * rate(state))
            continue
        k1 = rate(state)
        k2 = rate(state + h / 2 * k1)
        k3 = rate(state + h / 2 * k2)
        k4 = rate(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state[:7], state[7:]


def dynamics_defect(plan: JumpPlan) -> float:
    """Largest |q' - integrated q'| over the intervals, each started from the plan's own node; m and rad."""
    worst = 0.0
    for k in range(len(plan.t) - 1):
        feet = FEET_IN_PHASE[int(plan.phase[k])]
        q, _ = integrate(plan.spec.robot, feet, plan.q[k], plan.v[k], plan.tau[k], plan.t[k + 1] - plan.t[k], 2)
        worst = max(worst, float(np.abs(q - plan.q[k + 1]).max()))
    return worst


def impulse_error(plan: JumpPlan) -> float:
    """|momentum change - impulse of contact forces and weight| over the jump, relative to the largest momentum."""
    planar = planar_model(plan.spec.robot)
    momentum = np.array(planar.momentum.map(len(plan.t))(plan.q.T, plan.v.T)).T[:, :2]
    h = np.diff(plan.t)[:, None]
    ground = plan.f[:, :2] + plan.f[:, 2:]
    ground = ground - np.array([0.0, plan.spec.robot.mass * 9.81])
    impulse = np.vstack([np.zeros(2), np.cumsum(h * ground, axis=0)])
    return float(np.abs(momentum - momentum[0] - impulse).max() / np.abs(momentum).max())


# --- clearance ------------------------------------------------------------------------------------


def capsule_ends(robot: Robot, q: Array) -> Array:
    """(T, 5, 2, 2) x, z of both ends of trunk, front thigh, front shank, rear thigh, rear shank."""
    planar = planar_model(robot)
    ends: Array = np.array(planar.capsules.map(len(q))(q.T)).T.reshape(len(q), 5, 2, 2)
    return ends


def dense(plan: JumpPlan, samples: int = SAMPLES) -> Array:
    """(T, 7) coordinates between the nodes, on the parabolas that the plan's accelerations draw."""
    s = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    h = np.diff(plan.t)[:, None, None]
    before, slow, fast = plan.q[:-1, None], plan.v[:-1, None], plan.v[1:, None]
    curve = before + h * (slow * s + (fast - slow) * s**2 / 2)
    return np.vstack([curve.reshape(-1, 7), plan.q[-1:]])


def clearance(plan: JumpPlan, window: Window | None = None, samples: int = SAMPLES) -> float:
    """Smallest distance between the robot's capsules and the wall, m; negative when they meet."""
    window = window or plan.spec.window
    if window is None:
        return float("inf")
    ends = capsule_ends(plan.spec.robot, dense(plan, samples))
    radii = np.array(planar_model(plan.spec.robot).radii)
    near, far = plan.spec.near, plan.spec.near + window.depth
    boxes = [(near, far, window.lintel, window.lintel + TALL)]
    if window.sill > 0:
        boxes.append((near, far, -TALL, window.sill))
    return float(min((segment_box(ends, box) - radii).min() for box in boxes))


def segment_box(ends: Array, box: tuple[float, float, float, float]) -> Array:
    """Distance between segments (..., 2, 2) and an axis-parallel rectangle (x0, x1, z0, z1); 0 where they cross."""
    x0, x1, z0, z1 = box
    first, second = ends[..., 0, :], ends[..., 1, :]
    low, high = np.array([x0, z0]), np.array([x1, z1])
    outside = np.minimum(_to_box(first, low, high), _to_box(second, low, high))
    for corner in ((x0, z0), (x0, z1), (x1, z0), (x1, z1)):
        outside = np.minimum(outside, _to_segment(np.array(corner), first, second))
    return np.where(_crosses(first, second, low, high), 0.0, outside)


def _to_box(point: Array, low: Array, high: Array) -> Array:
    gap = np.maximum(np.maximum(low - point, point - high), 0.0)
    distance: Array = np.hypot(gap[..., 0], gap[..., 1])
    return distance


def _to_segment(point: Array, first: Array, second: Array) -> Array:
    along = second - first
    length = np.maximum((along**2).sum(axis=-1), 1e-18)
    s = np.clip(((point - first) * along).sum(axis=-1) / length, 0, 1)[..., None]
    distance: Array = np.linalg.norm(first + s * along - point, axis=-1)
    return distance


def _crosses(first: Array, second: Array, low: Array, high: Array) -> Array:
    """Slab test: some part of the segment lies inside the box."""
    along = second - first
    along = np.where(np.abs(along) < 1e-12, 1e-12, along)
    one, two = (low - first) / along, (high - first) / along
    enter = np.maximum(np.minimum(one, two).max(axis=-1), 0.0)
    leave = np.minimum(np.maximum(one, two).min(axis=-1), 1.0)
    crosses: Array = enter < leave
    return crosses


# --- forces ---------------------------------------------------------------------------------------


def torque_margin(plan: JumpPlan) -> float:
    """1 - largest ratio of asked to available torque of one leg, at both ends of every interval."""
    robot = plan.spec.robot
    worst = -np.inf
    for joint in range(4):
        kind = 1 + joint % 2
        for speed in (plan.v[:-1, 3 + joint], plan.v[1:, 3 + joint]):
            asked = plan.tau[:, joint] / 2
            ratio = speed / robot.speed_limit[kind] * np.sign(asked)
            given = np.minimum(robot.torque_limit[kind], robot.stall_torque[kind] * (1 - ratio))
            worst = max(worst, float((np.abs(asked) / np.maximum(given, 1e-9)).max()))
    return 1.0 - worst


def friction_used(plan: JumpPlan) -> float:
    """Largest |Fx| / Fz of a foot that presses with more than a hundredth of the weight."""
    x, z = plan.f[:, [0, 2]], plan.f[:, [1, 3]]
    pressing = z > 0.01 * plan.spec.robot.mass * 9.81
    return float((np.abs(x[pressing]) / z[pressing]).max(initial=0.0))
