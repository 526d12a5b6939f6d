"""The robot as data: geometry, inertias, motors; kinematics of its legs; its motor torque-speed envelope.

Conventions of the whole package: SI units, radians, z up; legs in the order FR FL RR RL; joints abduction, hip, knee;
hip, knee and pitch turn about -y, so nose-up pitch is positive and all knees point backwards at a positive knee angle.
Figures of Mini Cheetah: Katz, Di Carlo, Kim, ICRA 2019, and the MIT-licensed Cheetah-Software (`MiniCheetah.h`,
`ActuatorModel.h`). Products of inertia are dropped: those published for the thigh violate the triangle inequality.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.quadruped.errors import check_range

Array = NDArray[np.float64]
LEGS = ("FR", "FL", "RR", "RL")
GRAVITY = 9.81


@dataclass(frozen=True)
class Part:
    """A rigid piece of a link: mass (kg), centre (m) in the link's frame, principal inertia (kg m²) about that."""

    mass: float
    centre: tuple[float, float, float]
    inertia: tuple[float, float, float]


@dataclass(frozen=True)
class Link:
    """Several parts moving as one."""

    mass: float
    centre: Array
    inertia: Array

    @classmethod
    def of(cls, *parts: Part) -> Link:
        """Merge parts by the parallel-axis theorem; `inertia` is the full (3, 3) tensor about the common centre."""
        mass = sum(part.mass for part in parts)
        centre = sum((part.mass * np.asarray(part.centre) for part in parts), np.zeros(3)) / mass
        inertia = np.zeros((3, 3))
        for part in parts:
            arm = np.asarray(part.centre) - centre
            inertia += np.diag(part.inertia) + part.mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
        return cls(mass, centre, inertia)


@dataclass(frozen=True)
class Robot:
    """A four-legged robot with equal legs. The defaults are MIT's Mini Cheetah (8.912 kg).

    Attributes:
        trunk, abduction, thigh, shank: the parts (right-hand legs mirror y); rotors are in `rotor_*`.
        hip_x, hip_y: abduction axes from the trunk's centre, m; `hip_out`: abduction axis to leg plane, m.
        thigh_length, shank_length, thigh_radius, shank_radius, foot_radius: m.
        trunk_half: half extents of the trunk's collision box, m.
        gears: abduction, hip, knee.
        low, high: joint limits, rad. The published figures give none; these leave room for the published jump plans.
        torque_scale: multiplies what the motors can give (1: as published).
        payload: kg, carried at the trunk's centre.
    """

    name: str = "Mini Cheetah"
    trunk: Part = Part(3.3, (0.0, 0.0, 0.0), (11253e-6, 36203e-6, 42673e-6))
    abduction: Part = Part(0.54, (0.0, 0.036, 0.0), (381e-6, 560e-6, 444e-6))
    thigh: Part = Part(0.634, (0.0, 0.016, -0.02), (1983e-6, 2103e-6, 408e-6))
    shank: Part = Part(0.064, (0.0, 0.0, -0.061), (245e-6, 248e-6, 6e-6))
    rotor_mass: float = 0.055
    rotor_inertia: float = 63e-6  # about its own axis
    rotor_side_inertia: float = 33e-6
    abduction_rotor: tuple[float, float] = (0.125, 0.049)
    hip_rotor_y: float = 0.04
    hip_x: float = 0.19
    hip_y: float = 0.049
    hip_out: float = 0.062
    thigh_length: float = 0.209
    shank_length: float = 0.195
    foot_radius: float = 0.0175
    thigh_radius: float = 0.02
    shank_radius: float = 0.0125
    trunk_half: tuple[float, float, float] = (0.24, 0.09, 0.05)
    gears: tuple[float, float, float] = (6.0, 6.0, 9.33)
    motor_torque: float = 3.0
    motor_constant: float = 0.05
    motor_resistance: float = 0.173
    battery: float = 24.0
    damping: float = 0.01
    dry_friction: float = 0.2
    low: tuple[float, float, float] = (-1.0, -2.6, 0.35)
    high: tuple[float, float, float] = (1.0, 1.6, 2.65)
    torque_scale: float = 1.0
    payload: float = 0.0

    def __post_init__(self) -> None:
        check_range("payload", self.payload, 0.0, 10.0, "kg")
        check_range("torque_scale", self.torque_scale, 0.1, 3.0)

    @property
    def mass(self) -> float:
        """Total mass in kg."""
        leg = self.abduction.mass + self.thigh.mass + self.shank.mass + 3 * self.rotor_mass
        return self.trunk.mass + self.payload + 4 * leg

    @property
    def leg_length(self) -> float:
        """Of a stretched leg, hip to foot centre, m."""
        return self.thigh_length + self.shank_length

    @property
    def torque_limit(self) -> Array:
        """(3,) largest joint torque at low speed, N m."""
        return self.torque_scale * self.motor_torque * np.asarray(self.gears)

    @property
    def speed_limit(self) -> Array:
        """(3,) no-load joint speed, rad/s: the back-EMF 2 kt n qd reaches the battery's voltage."""
        return self.battery / (2 * self.motor_constant * np.asarray(self.gears))

    @property
    def armature(self) -> Array:
        """(3,) rotor inertia seen at the joint, kg m²."""
        return self.rotor_inertia * np.asarray(self.gears) ** 2

    @property
    def stall_torque(self) -> Array:
        """(3,) torque at rest if only the battery limited the current, N m."""
        volts = 1.5 * self.motor_constant * self.battery / self.motor_resistance
        return self.torque_scale * volts * np.asarray(self.gears)

    def links(self, side: int) -> tuple[Link, Link, Link]:
        """Abduction, thigh and shank links with the rotors they carry, for side +1 (left) or -1 (right)."""
        flip = np.array([1.0, side, 1.0])
        return (
            Link.of(_mirror(self.abduction, flip), self._rotor("y", 0.0, side * self.hip_rotor_y)),
            Link.of(_mirror(self.thigh, flip), self._rotor("y", 0.0, 0.0)),
            Link.of(_mirror(self.shank, flip)),
        )

    def trunk_link(self) -> Link:
        """The trunk with its payload and the four abduction rotors."""
        x, y = self.abduction_rotor
        rotors = [self._rotor("x", sx * x, sy * y) for sx in (1, -1) for sy in (1, -1)]
        return Link.of(self.trunk, Part(self.payload, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), *rotors)

    def _rotor(self, axis: str, x: float, y: float) -> Part:
        spin, side = self.rotor_inertia, self.rotor_side_inertia
        return Part(self.rotor_mass, (x, y, 0.0), (spin, side, side) if axis == "x" else (side, spin, side))

    def scaled(self, length: float) -> Robot:
        """The dynamically similar robot of another size: lengths x s, masses x s³, inertias x s⁵, torques x s⁴.

        Speeds then scale by sqrt(s) and times by sqrt(s) under the same gravity, so a jump scales with the robot.
        """
        s = length
        parts: dict[str, Any] = {
            name: Part(part.mass * s**3, _times(part.centre, s), _times(part.inertia, s**5))
            for name in ("trunk", "abduction", "thigh", "shank")
            for part in [getattr(self, name)]
        }
        lengths = (
            "hip_x",
            "hip_y",
            "hip_out",
            "thigh_length",
            "shank_length",
            "foot_radius",
            "thigh_radius",
            "shank_radius",
        )
        return replace(
            self,
            **parts,
            **{name: getattr(self, name) * s for name in (*lengths, "hip_rotor_y")},
            abduction_rotor=(self.abduction_rotor[0] * s, self.abduction_rotor[1] * s),
            trunk_half=_times(self.trunk_half, s),
            rotor_mass=self.rotor_mass * s**3,
            rotor_inertia=self.rotor_inertia * s**5,
            rotor_side_inertia=self.rotor_side_inertia * s**5,
            motor_torque=self.motor_torque * s**4,
            # No-load speed x s^-1/2 and stall torque x s^4: the constants of a motor of that size.
            battery=self.battery * s**-0.5,
            motor_resistance=self.motor_resistance * s**-4.5,
            damping=self.damping * s**4.5,
            dry_friction=self.dry_friction * s**4,
            payload=self.payload * s**3,
        )


MINI_CHEETAH = Robot()


def _times(values: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    x, y, z = values
    return x * factor, y * factor, z * factor


def _mirror(part: Part, flip: Array) -> Part:
    x, y, z = (np.asarray(part.centre) * flip).tolist()
    return Part(part.mass, (x, y, z), part.inertia)


def clamp_torque(robot: Robot, torque: ArrayLike, speed: ArrayLike) -> Array:
    """Torque that the motors really give when asked for `torque` at joint speed `speed`.

    Args:
        torque, speed: (..., 3) abduction, hip, knee; N m, rad/s.

    Returns:
        (..., 3), |torque| at most the limit, and at most what the battery drives against the back-EMF.
    """
    stall, limit = robot.stall_torque, robot.torque_limit
    ratio = np.asarray(speed, float) / robot.speed_limit
    top = np.clip(stall * (1 - ratio), -limit, limit)
    bottom = np.clip(-stall * (1 + ratio), -limit, limit)
    clamped: Array = np.clip(np.asarray(torque, float), bottom, top)
    return clamped


def foot_in_hip_frame(robot: Robot, joints: ArrayLike, side: ArrayLike) -> Array:
    """Foot centres from the abduction axis, in trunk axes.

    Args:
        joints: (..., 3) rad.
        side: (...) +1 left, -1 right.

    Returns:
        (..., 3) m.
    """
    q = np.asarray(joints, float)
    upper, lower = robot.thigh_length, robot.shank_length
    along = upper * np.sin(q[..., 1]) + lower * np.sin(q[..., 1] + q[..., 2])
    down = upper * np.cos(q[..., 1]) + lower * np.cos(q[..., 1] + q[..., 2])
    out = robot.hip_out * np.asarray(side, float)
    c, s = np.cos(q[..., 0]), np.sin(q[..., 0])
    return np.stack([along, out * c + down * s, out * s - down * c], axis=-1)


def leg_joints(robot: Robot, foot: ArrayLike, side: int) -> Array:
    """Joint angles that put the foot at `foot` (m, from the abduction axis); the knee points backwards.

    A foot out of reach is answered with the stretched (or most folded) leg towards it.

    Returns:
        (3,) rad.
    """
    x, y, z = np.asarray(foot, float)
    out = robot.hip_out * side
    down = np.sqrt(max(y * y + z * z - out * out, 1e-12))
    abduction = np.arctan2(y * down + z * out, y * out - z * down)
    return np.array([abduction, *planar_leg_joints(robot, x, down)])


def planar_leg_joints(robot: Robot, x: float, down: float) -> Array:
    """Hip and knee angles (2,) for a foot `x` ahead of and `down` below the hip, m."""
    upper, lower = robot.thigh_length, robot.shank_length
    shortest = np.sqrt(upper**2 + lower**2 + 2 * upper * lower * np.cos(robot.high[2]))
    reach = float(np.clip(np.hypot(x, down), shortest, 0.999 * (upper + lower)))
    knee = np.arccos(np.clip((reach**2 - upper**2 - lower**2) / (2 * upper * lower), -1.0, 1.0))
    hip = np.arctan2(x, down) - np.arctan2(lower * np.sin(knee), upper + lower * np.cos(knee))
    return np.array([hip, knee])


def stand_pose(robot: Robot, height: float) -> Array:
    """(12,) joint angles of a level stand with the feet under the hips and the trunk's centre at `height`, m."""
    check_range("height", height, 0.12, robot.thigh_length + robot.shank_length + robot.foot_radius, "m")
    hip, knee = planar_leg_joints(robot, 0.0, height - robot.foot_radius)
    return np.tile([0.0, hip, knee], 4)


def with_payload(robot: Robot, payload: float, torque_scale: float = 1.0) -> Robot:
    """The same robot carrying `payload` kg, its motors scaled by `torque_scale`."""
    return replace(robot, payload=payload, torque_scale=torque_scale)


def stand_load(robot: Robot, height: float, friction: float, play: float) -> float:
    """Least share of the motors' torque that a stand takes, the legs' own weight left out.

    The feet may stand up to `play` metres from under the hips, and press against each other within friction; above 1
    the robot cannot stand at `height`, however it places its feet.
    """
    foot = np.linspace(-play, play, 41)
    push = np.linspace(-friction, friction, 21)[:, None]  # horizontal over vertical force
    down = height - robot.foot_radius
    hips = np.array([planar_leg_joints(robot, x, down)[0] for x in foot])
    ahead, below = robot.thigh_length * np.sin(hips), robot.thigh_length * np.cos(hips)
    weight = robot.mass * GRAVITY / len(LEGS)
    hip = np.abs(foot + push * down) * weight / robot.torque_limit[1]
    knee = np.abs(foot - ahead + push * (down - below)) * weight / robot.torque_limit[2]
    return float(np.maximum(hip, knee).min())
