"""The robot and a world of boxes as a MuJoCo model, written from the figures in `robot`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np

from colonnade.quadruped.robot import LEGS, Link, Robot

TIMESTEP = 0.001
# Ground and boxes are of type 1 and meet the robot's type 2; robot parts never meet each other.
_ROBOT = 'contype="0" conaffinity="1" group="1"'
_WORLD = 'contype="1" conaffinity="0" group="2"'


@dataclass(frozen=True)
class Box:
    """An upright box turned about z: centre (m), half extents (m), yaw (rad)."""

    name: str
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float = 0.0


def mjcf(robot: Robot, boxes: Sequence[Box] = (), friction: float = 0.7, floor: float = 20.0) -> str:
    """The MJCF text of `robot` standing in a world of `boxes` on a flat floor.

    Args:
        friction: sliding friction of feet and floor.
        floor: half edge of the floor, m.

    Returns:
        XML; 19 positions, 18 velocities, 12 motors in the order of legs and joints of `robot`.
    """
    legs = "".join(_leg(robot, name) for name in LEGS)
    motors = "".join(
        f'<motor name="{leg}_{joint}" joint="{leg}_{joint}"/>' for leg in LEGS for joint in ("abduction", "hip", "knee")
    )
    half = robot.trunk_half
    beam = half[0] - half[2]
    side = half[1] - half[2]
    rails = "".join(
        f'<geom name="trunk{k}" type="capsule" fromto="{-beam} {y} 0 {beam} {y} 0" size="{half[2]}" '
        f'rgba=".25 .27 .3 1" {_ROBOT}/>'
        for k, y in enumerate((side, -side))
    )
    walls = "".join(_box(box) for box in boxes)
    return f"""<mujoco model={quoteattr(robot.name)}>
<compiler angle="radian" autolimits="true"/>
<option timestep="{TIMESTEP}" cone="elliptic" impratio="10" integrator="implicitfast" iterations="20">
<flag multiccd="disable" autoreset="disable"/></option>
<visual><global offwidth="1280" offheight="720"/><quality shadowsize="0" offsamples="0"/>
<headlight ambient=".4 .4 .4"/></visual>
<default><geom condim="3" friction="{friction} 0.005 0.0001" solref="0.005 1" solimp="0.95 0.99 0.001"/>
<joint damping="{robot.damping}" frictionloss="{robot.dry_friction}" limited="true"/></default>
<asset><texture name="sky" type="skybox" builtin="gradient" rgb1=".9 .93 .97" rgb2=".6 .7 .8" width="64" height="64"/>
<texture name="grid" type="2d" builtin="checker" rgb1=".85 .85 .83" rgb2=".78 .78 .76" width="128" height="128"/>
<material name="grid" texture="grid" texrepeat="{floor} {floor}"/></asset>
<worldbody><light directional="true" pos="0 0 6" dir="-0.3 0.4 -1" castshadow="false"/>
<geom name="floor" type="plane" size="{floor} {floor} .1" material="grid" {_WORLD}/>{walls}
<body name="trunk" pos="0 0 0.3"><freejoint name="root"/>{_inertial(robot.trunk_link())}{rails}
<camera name="chase" mode="trackcom" pos="-0.4 -2.0 0.9" xyaxes="1 -.2 0 .08 .37 .92"/>{legs}</body>
</worldbody>
<actuator>{motors}</actuator>
</mujoco>"""


def _leg(robot: Robot, name: str) -> str:
    side = 1 if name[1] == "L" else -1
    front = 1 if name[0] == "F" else -1
    abduction, thigh, shank = robot.links(side)
    out = side * robot.hip_out
    look = ('rgba=".15 .45 .75 1" ' if front > 0 else 'rgba=".85 .5 .15 1" ') + _ROBOT
    # The shank's end stays inside the foot, so that a foot pressed into the ground is not taken for a shank.
    ends = f"0 0 0 0 0 {robot.foot_radius - robot.shank_length}"
    pod = f'fromto="0 0 0 0 {out * 0.7} 0" size="{0.8 * robot.trunk_half[2]}"'
    thigh_shape = f'fromto="0 0 0 0 0 {-robot.thigh_length}" size="{robot.thigh_radius}"'
    foot = f'pos="0 0 {-robot.shank_length}" size="{robot.foot_radius}" rgba=".1 .1 .1 1" {_ROBOT}'
    return f"""
<body name="{name}_abduction" pos="{front * robot.hip_x} {side * robot.hip_y} 0">
{_joint(robot, name, "abduction", 0, "1 0 0")}{_inertial(abduction)}
<geom name="{name}_abduction" type="capsule" {pod} {_ROBOT}/>
<body name="{name}_thigh" pos="0 {out} 0">{_joint(robot, name, "hip", 1, "0 -1 0")}{_inertial(thigh)}
<geom name="{name}_thigh" type="capsule" {thigh_shape} {look}/>
<body name="{name}_shank" pos="0 0 {-robot.thigh_length}">{_joint(robot, name, "knee", 2, "0 -1 0")}{_inertial(shank)}
<geom name="{name}_shank" type="capsule" fromto="{ends}" size="{robot.shank_radius}" {look}/>
<geom name="{name}_foot" type="sphere" {foot}/>
</body></body></body>"""


def _joint(robot: Robot, leg: str, name: str, index: int, axis: str) -> str:
    return (
        f'<joint name="{leg}_{name}" type="hinge" axis="{axis}" range="{robot.low[index]} {robot.high[index]}" '
        f'armature="{robot.armature[index]:.16g}"/>'
    )


def _inertial(link: Link) -> str:
    tensor = link.inertia
    values = [tensor[0, 0], tensor[1, 1], tensor[2, 2], tensor[0, 1], tensor[0, 2], tensor[1, 2]]
    centre = " ".join(f"{value:.16g}" for value in link.centre)
    return f'<inertial mass="{link.mass:.16g}" pos="{centre}" fullinertia="{" ".join(f"{v:.16g}" for v in values)}"/>'


def _box(box: Box) -> str:
    x, y, z = box.centre
    quaternion = f"{np.cos(box.yaw / 2)} 0 0 {np.sin(box.yaw / 2)}"
    return (
        f'<geom name={quoteattr("box_" + box.name)} type="box" pos="{x} {y} {z}" quat="{quaternion}" '
        f'size="{box.half[0]} {box.half[1]} {box.half[2]}" rgba=".6 .45 .35 .5" {_WORLD}/>'
    )
