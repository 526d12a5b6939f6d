"""Holding the body: a wanted wrench spread over the feet in contact by a small quadratic programme.

The programme: least squares of the wrench error plus a pull towards reference forces, within friction pyramids and
between no pull and a largest press on every foot (as in the balance controller of MIT's Cheetah-Software).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import quadprog
from numba import njit
from numpy.typing import NDArray

from colonnade.quadruped.legs import State, rotation_error
from colonnade.quadruped.robot import GRAVITY, Array, Robot

# Weights on force and moment errors (moments in units of an arm of about 0.2 m), and on leaving the reference.
WRENCH_WEIGHT = np.array([1.0, 1.0, 2.0, 20.0, 20.0, 10.0])
FORCE_WEIGHT = 1e-2


@dataclass(frozen=True)
class BodyGains:
    """Accelerations asked for per error: 1/s² and 1/s, for position (x, y, z) and orientation (x, y, z)."""

    position: tuple[float, float, float] = (60.0, 60.0, 150.0)
    velocity: tuple[float, float, float] = (15.0, 15.0, 20.0)
    turn: tuple[float, float, float] = (250.0, 250.0, 100.0)
    spin: tuple[float, float, float] = (25.0, 25.0, 15.0)


@dataclass(frozen=True)
class BodyTarget:
    """Where the trunk should be: position, velocity, acceleration (3,), rotation (3, 3), omega, omega rate (3,)."""

    position: Array
    velocity: Array
    acceleration: Array
    rotation: Array
    omega: Array
    spin: Array


def stand_inertia(robot: Robot) -> Array:
    """(3, 3) inertia of the whole robot about its centre in a usual stand; what the wrench is reckoned with."""
    trunk = robot.trunk_link()
    total = trunk.inertia.copy()
    for side in (1, -1):
        for end in (1, -1):
            drop = 0.0
            out = robot.hip_y
            for index, link in enumerate(robot.links(side)):
                centre = link.centre + np.array([end * robot.hip_x, side * out, -drop])
                if index:
                    centre[2] = -drop + 0.7 * link.centre[2]
                arm = centre @ centre * np.eye(3) - np.outer(centre, centre)
                total += link.inertia + link.mass * arm
                out = robot.hip_y + robot.hip_out
                drop = 0.7 * robot.thigh_length if index else 0.0
    return total


def wanted_wrench(mass: float, inertia: Array, state: State, target: BodyTarget, gains: BodyGains) -> Array:
    """(6,) force and moment that the ground should exert, N and N m, world axes."""
    acceleration = (
        target.acceleration
        + np.array(gains.position) * (target.position - state.position)
        + np.array(gains.velocity) * (target.velocity - state.velocity)
    )
    force = mass * (acceleration + np.array([0.0, 0.0, GRAVITY]))
    world = state.rotation @ inertia @ state.rotation.T
    spin = (
        target.spin
        + np.array(gains.turn) * rotation_error(state.rotation, target.rotation)
        + np.array(gains.spin) * (target.omega - state.omega)
    )
    return np.concatenate([force, world @ spin])


@njit(cache=True)
def _programme(
    arms: Array, wrench: Array, reference: Array, friction: float, press: float, weights: Array, pull: float
) -> tuple[Array, Array, Array, Array]:
    count = arms.shape[0]
    grasp = np.zeros((6, 3 * count))
    for k in range(count):
        x, y, z = arms[k]
        for axis in range(3):
            grasp[axis, 3 * k + axis] = 1.0
        grasp[3, 3 * k + 1], grasp[3, 3 * k + 2] = -z, y
        grasp[4, 3 * k], grasp[4, 3 * k + 2] = z, -x
        grasp[5, 3 * k], grasp[5, 3 * k + 1] = -y, x
    weighted = (weights * grasp.T).T
    hessian = grasp.T @ weighted + pull * np.eye(3 * count)
    linear = weighted.T @ wrench + pull * reference
    rows = np.zeros((3 * count, 6 * count))
    bound = np.zeros(6 * count)
    for k in range(count):
        for row in range(4):
            sign = 1.0 if row % 2 == 0 else -1.0
            rows[3 * k + row // 2, 6 * k + row] = sign
            rows[3 * k + 2, 6 * k + row] = friction
        rows[3 * k + 2, 6 * k + 4] = 1.0
        rows[3 * k + 2, 6 * k + 5] = -1.0
        bound[6 * k + 5] = -press
    return hessian, linear, rows, bound


def spread(
    wrench: Array,
    arms: Array,
    contact: NDArray[np.bool_],
    *,
    friction: float,
    press: float,
    reference: Array | None = None,
) -> Array:
    """Forces on the feet whose sum comes nearest to `wrench`.

    Args:
        wrench: (6,) force and moment about the point the arms start from.
        arms: (4, 3) feet from that point, world axes, m.
        contact: (4,) which feet may push.
        friction: pyramid's slope; press: largest vertical force of one foot, N.
        reference: (4, 3) forces to stay near; none by default.

    Returns:
        (4, 3) N, zero for feet that may not push.
    """
    forces = np.zeros((4, 3))
    feet = np.flatnonzero(contact)
    if not len(feet):
        return forces
    near = np.zeros(3 * len(feet)) if reference is None else reference[feet].ravel()
    hessian, linear, rows, bound = _programme(
        np.ascontiguousarray(arms[feet]), wrench, near, friction, press, WRENCH_WEIGHT, FORCE_WEIGHT
    )
    forces[feet] = quadprog.solve_qp(hessian, linear, rows, bound)[0].reshape(-1, 3)
    return forces
