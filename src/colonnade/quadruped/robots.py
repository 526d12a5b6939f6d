"""Other robots as data. What fits the model of `robot` (four equal legs, knees backwards) needs figures only."""

from __future__ import annotations

from colonnade.quadruped.robot import MINI_CHEETAH, Part, Robot

# Unitree Go1, 12.74 kg. Masses, centres, principal inertias and joint limits from its published description (as in
# MuJoCo Menagerie, `unitree_go1`), inertias to the nearest axes; 30.1 rad/s at the hip without load. Of our own: the
# trunk's mass centre is put at its middle (it is 22 mm ahead), and how fast torque falls with speed is Mini Cheetah's.
GO1 = Robot(
    name="Go1",
    trunk=Part(5.204, (0.0, 0.0, 0.0), (0.0168, 0.0630, 0.0717)),
    abduction=Part(0.68, (0.0, -0.0076, 0.0), (399e-6, 734e-6, 468e-6)),
    thigh=Part(1.009, (-0.003, -0.0193, -0.0305), (4609e-6, 4787e-6, 709e-6)),
    shank=Part(0.195862, (0.0043, 0.001, -0.1462), (1485e-6, 1498e-6, 36e-6)),
    rotor_mass=0.0,  # rotors are in the links' figures, but for their spin
    rotor_inertia=0.01 / 6.33**2,
    rotor_side_inertia=0.005 / 6.33**2,
    hip_x=0.1881,
    hip_y=0.04675,
    hip_out=0.08,
    thigh_length=0.213,
    shank_length=0.213,
    foot_radius=0.023,
    trunk_half=(0.25, 0.094, 0.057),
    gears=(6.33, 6.33, 9.495),
    motor_torque=23.7 / 6.33,
    battery=30.1 * 6.33 * 2 * 0.05,
    motor_resistance=0.11,
    low=(-0.863, -2.6, 0.888),
    high=(0.863, 0.686, 2.75),
)

ROBOTS = {robot.name: robot for robot in (MINI_CHEETAH, GO1)}
