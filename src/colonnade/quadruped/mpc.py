"""Convex model-predictive control of a trunk on forces (Di Carlo et al., IROS 2018), condensed in closed form.

The model: one rigid body, small roll and pitch, yaw from the reference. Its rates answer to forces through a double
integrator, so the effect of the force at step j on the state at step k has a closed form and the condensed Hessian is
written down directly, without powers of a state matrix. Weights are those of MIT's Cheetah-Software.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import quadprog
from numba import njit
from numpy.typing import NDArray

from colonnade.quadruped.balance import stand_inertia
from colonnade.quadruped.robot import GRAVITY, Array, Robot


@dataclass(frozen=True)
class MPCWeights:
    """Squared-error weights: angles (roll, pitch, yaw), position, angular velocity, velocity; and force, 1/N²."""

    angles: tuple[float, float, float] = (0.25, 0.25, 10.0)
    position: tuple[float, float, float] = (2.0, 2.0, 50.0)
    omega: tuple[float, float, float] = (0.0, 0.0, 0.3)
    velocity: tuple[float, float, float] = (0.2, 0.2, 0.1)
    force: float = 4e-5


class ConvexMPC:
    """Forces on the feet over a horizon that best follow a wanted motion of the trunk.

    Args:
        horizon: steps; dt: of one step, s.
        friction: pyramid slope; press: largest vertical force of a foot, N.
    """

    def __init__(
        self,
        robot: Robot,
        horizon: int = 10,
        dt: float = 0.03,
        friction: float = 0.4,
        press: float = 120.0,
        weights: MPCWeights | None = None,
    ) -> None:
        self.horizon, self.dt, self.friction, self.press = horizon, dt, friction, press
        self.mass, self.inertia = robot.mass, stand_inertia(robot)
        weights = weights or MPCWeights()
        self.pose_weight = np.array([*weights.angles, *weights.position])
        self.rate_weight = np.array([*weights.omega, *weights.velocity])
        self.force_weight = weights.force

    def programme(
        self,
        pose: Array,
        rate: Array,
        pose_reference: Array,
        rate_reference: Array,
        arms: Array,
        contact: NDArray[np.bool_],
    ) -> tuple[Array, Array, Array, Array, NDArray[np.int64]]:
        """The quadratic programme min 1/2 u' H u - c' u subject to R' u >= b.

        Args:
            pose, rate: (6,) roll, pitch, yaw, x, y, z and angular, linear velocity, world axes.
            pose_reference, rate_reference: (N, 6) at the ends of the steps.
            arms: (N, 4, 3) feet from the trunk's centre, world axes, m.
            contact: (N, 4) which feet stand in each step.

        Returns:
            H (n, n), c (n,), R (n, m), b (m,), and the (n / 3, 2) step and leg of each force.
        """
        return _condense(
            pose, rate, pose_reference, rate_reference, arms, contact, self.dt, self.mass, self.inertia,
            self.pose_weight, self.rate_weight, self.force_weight, self.friction, self.press,
        )  # fmt: skip

    def forces(
        self,
        pose: Array,
        rate: Array,
        pose_reference: Array,
        rate_reference: Array,
        arms: Array,
        contact: NDArray[np.bool_],
    ) -> Array:
        """(4, 3) forces on the feet for the first step, N, world axes; arguments as `programme`."""
        if not contact.any():
            return np.zeros((4, 3))
        hessian, linear, rows, bound, places = self.programme(pose, rate, pose_reference, rate_reference, arms, contact)
        solution = quadprog.solve_qp(hessian, linear, rows, bound)[0].reshape(-1, 3)
        out = np.zeros((4, 3))
        first = places[:, 0] == 0
        out[places[first, 1]] = solution[first]
        return out


@njit(cache=True)
def _condense(  # noqa: PLR0912, PLR0915 (one compiled kernel)
    pose: Array, rate: Array, pose_reference: Array, rate_reference: Array, arms: Array,
    contact: NDArray[np.bool_], dt: float, mass: float, inertia: Array, pose_weight: Array, rate_weight: Array,
    force_weight: float, friction: float, press: float,
) -> tuple[Array, Array, Array, Array, NDArray[np.int64]]:  # fmt: skip
    steps = contact.shape[0]
    count = 0
    for j in range(steps):
        for leg in range(4):
            count += 1 if contact[j, leg] else 0
    places = np.empty((count, 2), np.int64)
    effect = np.empty((count, 6, 3))  # acceleration of the rates, angular then linear, by each force
    turned = np.empty((count, 3, 3))  # the same for the Euler angles' rates
    row = 0
    for j in range(steps):
        yaw = pose_reference[j, 2]
        c, s = np.cos(yaw), np.sin(yaw)
        heading = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        inverse = heading @ np.linalg.inv(inertia) @ heading.T
        for leg in range(4):
            if not contact[j, leg]:
                continue
            x, y, z = arms[j, leg]
            cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
            effect[row, :3] = inverse @ cross
            effect[row, 3:] = np.eye(3) / mass
            turned[row] = heading.T @ np.ascontiguousarray(effect[row, :3])
            places[row, 0], places[row, 1] = j, leg
            row += 1
    # Free motion, and its error at each step.
    pose_error, rate_error = np.empty((steps, 6)), np.empty((steps, 6))
    yaw = pose[2]
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([c * rate[0] + s * rate[1], -s * rate[0] + c * rate[1], rate[2]])
    for k in range(steps):
        time = (k + 1) * dt
        for axis in range(3):
            pose_error[k, axis] = pose_reference[k, axis] - pose[axis] - time * turn[axis]
            fall = -GRAVITY if axis == 2 else 0.0
            pose_error[k, 3 + axis] = (
                pose_reference[k, 3 + axis] - pose[3 + axis] - time * rate[3 + axis] - fall * time * time / 2
            )
            rate_error[k, axis] = rate_reference[k, axis] - rate[axis]
            rate_error[k, 3 + axis] = rate_reference[k, 3 + axis] - rate[3 + axis] - fall * time
    hessian, linear = np.zeros((3 * count, 3 * count)), np.zeros(3 * count)
    # Sums over later steps of the double integrator's gains, for each pair of steps.
    both, once = np.zeros((steps, steps)), np.zeros((steps, steps))
    for i in range(steps):
        for j in range(i, steps):
            for k in range(j, steps):
                both[i, j] += (k - i + 0.5) * (k - j + 0.5) * dt**4
                once[i, j] += dt * dt
    for a in range(count):
        i = places[a, 0]
        for axis in range(3):
            for k in range(i, steps):
                gain = (k - i + 0.5) * dt * dt
                for m in range(3):
                    linear[3 * a + axis] += (
                        gain * turned[a, m, axis] * pose_weight[m] * pose_error[k, m]
                        + dt * effect[a, m, axis] * rate_weight[m] * rate_error[k, m]
                    )
                linear[3 * a + axis] += effect[a, 3 + axis, axis] * (
                    gain * pose_weight[3 + axis] * pose_error[k, 3 + axis]
                    + dt * rate_weight[3 + axis] * rate_error[k, 3 + axis]
                )
        for b in range(a, count):
            j = places[b, 0]
            p, r = both[i, j], once[i, j]
            for m in range(3):
                for n in range(3):
                    value = 0.0
                    for axis in range(3):
                        value += p * pose_weight[axis] * turned[a, axis, m] * turned[b, axis, n]
                        value += r * rate_weight[axis] * effect[a, axis, m] * effect[b, axis, n]
                    if m == n:
                        value += (p * pose_weight[3 + m] + r * rate_weight[3 + m]) / (mass * mass)
                    hessian[3 * a + m, 3 * b + n] = value
                    hessian[3 * b + n, 3 * a + m] = value
        for m in range(3):
            hessian[3 * a + m, 3 * a + m] += force_weight
    rows, bound = np.zeros((3 * count, 5 * count)), np.zeros(5 * count)
    for a in range(count):
        for k in range(4):
            rows[3 * a + k // 2, 5 * a + k] = 1.0 if k % 2 == 0 else -1.0
            rows[3 * a + 2, 5 * a + k] = friction
        rows[3 * a + 2, 5 * a + 4] = -1.0
        bound[5 * a + 4] = -press
    return hessian, linear, rows, bound, places
