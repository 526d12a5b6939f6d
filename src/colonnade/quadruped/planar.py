"""The sagittal model: seven coordinates, two legs that each stand for a left-right pair, as CasADi functions.

q = (x, z, pitch, front hip, front knee, rear hip, rear knee); torques and contact forces are those of the pair.
Equations of motion by projecting Newton-Euler of each link on the coordinates (Jourdain's principle).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import casadi as ca

from colonnade.quadruped.robot import GRAVITY, Link, Robot

JOINTS = ("front hip", "front knee", "rear hip", "rear knee")
FRICTION_SPEED = 0.5  # rad/s over which dry friction changes sign: smooth enough for second derivatives


@dataclass(frozen=True)
class Planar:
    """CasADi functions of one robot.

    Attributes:
        inverse_dynamics: (q, v, a) -> (7) generalised force without friction, N and N m.
        friction: (v) -> (4) joint friction and damping that the motors must overcome, N m of the pair.
        feet: (q) -> (4) x and z of front and rear foot centres, m.
        feet_jacobian: (q) -> (4, 7).
        feet_bias: (q, v) -> (4) acceleration of the feet at zero joint acceleration.
        momentum: (q, v) -> (3) linear momentum x, z and angular momentum about the mass centre.
        com: (q) -> (2) mass centre.
        energy: (q, v) -> (2) kinetic and potential energy, J.
        capsules: (q) -> (20) x, z of both ends of trunk, front thigh, front shank, rear thigh, rear shank.
        radii: of the five capsules, m.
    """

    robot: Robot
    inverse_dynamics: Any
    friction: Any
    feet: Any
    feet_jacobian: Any
    feet_bias: Any
    momentum: Any
    com: Any
    energy: Any
    capsules: Any
    radii: tuple[float, float, float, float, float]


def _sum(first: Link, second: Link) -> tuple[float, float, float, float]:
    """Mass, x, z and pitch inertia about the common centre of two links in one frame."""
    mass = first.mass + second.mass
    x = (first.mass * first.centre[0] + second.mass * second.centre[0]) / mass
    z = (first.mass * first.centre[2] + second.mass * second.centre[2]) / mass
    inertia = 0.0
    for link in (first, second):
        arm = (link.centre[0] - x) ** 2 + (link.centre[2] - z) ** 2
        inertia += link.inertia[1, 1] + link.mass * arm
    return mass, x, z, inertia


def _bodies(robot: Robot, q: Any) -> list[tuple[float, float, Any, Any]]:
    """(mass, pitch inertia, centre (2), angle) of the bodies; the abduction links move with the trunk."""
    bodies = []
    trunk = robot.trunk_link()
    abduction, thigh, shank = robot.links(1)
    inertia, mass = trunk.inertia[1, 1], trunk.mass
    hips = robot.hip_x**2 + float(abduction.centre[0]) ** 2
    inertia += 4 * (abduction.inertia[1, 1] + abduction.mass * hips)
    mass += 4 * abduction.mass
    bodies.append((mass, inertia, q[0:2], q[2]))
    for sign, joint in ((1.0, 3), (-1.0, 5)):
        hip = q[0:2] + sign * robot.hip_x * ca.vertcat(ca.cos(q[2]), ca.sin(q[2]))
        upper = q[2] + q[joint]
        lower = upper + q[joint + 1]
        knee = hip + robot.thigh_length * _down(upper)
        m, x, z, i = _sum(thigh, thigh)
        bodies.append((m, i, hip + x * _ahead(upper) - z * _down(upper), upper))
        m, x, z, i = _sum(shank, shank)
        bodies.append((m, i, knee + x * _ahead(lower) - z * _down(lower), lower))
    return bodies


def _down(angle: Any) -> Any:
    return ca.vertcat(ca.sin(angle), -ca.cos(angle))


def _ahead(angle: Any) -> Any:
    return ca.vertcat(ca.cos(angle), ca.sin(angle))


def _points(robot: Robot, q: Any) -> tuple[Any, Any]:
    """Feet (4) and capsule ends (20)."""
    ahead = ca.vertcat(ca.cos(q[2]), ca.sin(q[2]))
    reach = robot.trunk_half[0] - robot.trunk_half[2]
    ends, feet = [q[0:2] + reach * ahead, q[0:2] - reach * ahead], []
    for sign, joint in ((1.0, 3), (-1.0, 5)):
        hip = q[0:2] + sign * robot.hip_x * ahead
        knee = hip + robot.thigh_length * _down(q[2] + q[joint])
        foot = knee + robot.shank_length * _down(q[2] + q[joint] + q[joint + 1])
        ends += [hip, knee, knee, foot]
        feet.append(foot)
    return ca.vertcat(*feet), ca.vertcat(*ends)


def _derivatives(expression: Any, q: Any, v: Any, a: Any) -> tuple[Any, Any, Any]:
    """Jacobian, time derivative and second time derivative of `expression(q)`."""
    jacobian = ca.jacobian(expression, q)
    rate = jacobian @ v
    return jacobian, rate, ca.jacobian(rate, q) @ v + jacobian @ a


@lru_cache(maxsize=16)
def planar_model(robot: Robot) -> Planar:
    """The sagittal model of `robot`; built once per robot."""
    q, v, a = ca.SX.sym("q", 7), ca.SX.sym("v", 7), ca.SX.sym("a", 7)
    force, momentum, spin, kinetic, potential = ca.SX.zeros(7), ca.SX.zeros(2), 0, 0, 0
    gravity = ca.DM([0.0, GRAVITY])
    bodies = _bodies(robot, q)
    total = sum(body[0] for body in bodies)
    com = sum((mass * centre for mass, _, centre, _ in bodies), ca.SX.zeros(2)) / total
    com_rate = ca.jacobian(com, q) @ v
    for mass, inertia, centre, angle in bodies:
        jacobian, rate, acceleration = _derivatives(centre, q, v, a)
        turn, turn_rate, turn_acceleration = _derivatives(angle, q, v, a)
        force += jacobian.T @ (mass * (acceleration + gravity)) + turn.T * inertia * turn_acceleration
        momentum += mass * rate
        arm, slip = centre - com, rate - com_rate
        # Nose-up pitch turns x towards z: its angular momentum is x * pz - z * px.
        spin += inertia * turn_rate + mass * (arm[0] * slip[1] - arm[1] * slip[0])
        kinetic += 0.5 * mass * ca.sumsqr(rate) + 0.5 * inertia * turn_rate**2
        potential += mass * GRAVITY * centre[1]
    armature = 2 * robot.armature
    rotors = ca.vertcat(0, 0, 0, *(armature[1 + k % 2] * a[3 + k] for k in range(4)))
    kinetic += sum(0.5 * armature[1 + k % 2] * v[3 + k] ** 2 for k in range(4))
    joint_speed = ca.SX.sym("joint_speed", 4)
    drag = 2 * (robot.dry_friction * ca.tanh(joint_speed / FRICTION_SPEED) + robot.damping * joint_speed)
    feet, ends = _points(robot, q)
    feet_jacobian, _, feet_acceleration = _derivatives(feet, q, v, a)
    bias = ca.substitute(feet_acceleration, a, ca.SX.zeros(7))
    thigh, shank = robot.thigh_radius, max(robot.shank_radius, robot.foot_radius)
    return Planar(
        robot=robot,
        inverse_dynamics=ca.Function("inverse_dynamics", [q, v, a], [force + rotors]),
        friction=ca.Function("friction", [joint_speed], [drag]),
        feet=ca.Function("feet", [q], [feet]),
        feet_jacobian=ca.Function("feet_jacobian", [q], [feet_jacobian]),
        feet_bias=ca.Function("feet_bias", [q, v], [bias]),
        momentum=ca.Function("momentum", [q, v], [ca.vertcat(momentum, spin)]),
        com=ca.Function("com", [q], [com]),
        energy=ca.Function("energy", [q, v], [ca.vertcat(kinetic, potential)]),
        capsules=ca.Function("capsules", [q], [ends]),
        radii=(robot.trunk_half[2], thigh, shank, thigh, shank),
    )
