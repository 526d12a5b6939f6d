"""Films: drawn with OpenGL or sketched, written as MP4 or GIF, and never a reason to fail."""

import builtins

import numpy as np
import pytest
from PIL import Image

from colonnade.quadruped.film import film
from colonnade.quadruped.mjcf import Box
from colonnade.quadruped.pose import leg_points
from colonnade.quadruped.robot import MINI_CHEETAH
from colonnade.quadruped.simulation import Simulation
from colonnade.quadruped.sketch import FRONT, WALL, Camera, bricks, pictures

POSE = np.concatenate([[0, 0, 0.3, 1, 0, 0, 0], np.tile([0, -0.8, 1.6], 4)])
BOX = Box("wall", (0.8, 0.0, 0.4), (0.03, 0.6, 0.4))


def run(count):
    """A robot that slides ahead."""
    qpos = np.tile(POSE, (count, 1))
    qpos[:, 0] = np.linspace(0, 0.5, count)
    return np.linspace(0, count / 20, count), qpos


def test_without_graphics_the_film_is_sketched(tmp_path):
    made = film(MINI_CHEETAH, (BOX,), *run(6), tmp_path / "run", backends=("none",))
    assert made.path == tmp_path / "run.mp4" and made.path.stat().st_size > 1000
    assert made.remark.startswith("The film is a sketch, as OpenGL does not draw here")


def test_without_an_encoder_the_film_is_a_gif(tmp_path, monkeypatch):
    true_import = builtins.__import__

    def without(name, *arguments, **named):
        if name.startswith("imageio"):
            raise ImportError(name)
        return true_import(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    made = film(MINI_CHEETAH, (), *run(6), tmp_path / "run", backends=())
    assert made.path == tmp_path / "run.gif" and "ffmpeg is missing" in made.remark
    with Image.open(made.path) as picture:
        assert picture.is_animated and picture.size == (480, 270)


def test_nothing_recorded_is_no_film(tmp_path):
    made = film(MINI_CHEETAH, (), np.zeros(0), np.zeros((0, 19)), tmp_path / "run")
    assert made.path is None and made.remark == "No film: nothing was recorded."


@pytest.mark.slow
def test_opengl_draws_or_the_reason_is_said(tmp_path):
    made = film(MINI_CHEETAH, (BOX,), *run(10), tmp_path / "run")
    assert made.path is not None and made.path.stat().st_size > 1000
    assert made.remark == "" or "OpenGL does not draw here" in made.remark


def test_a_sketch_shows_robot_and_wall():
    (picture,) = pictures(MINI_CHEETAH, (BOX,), POSE[None], (320, 180))
    assert picture.shape == (180, 320, 3)
    for colour, least in ((FRONT, 40), (WALL, 100)):
        hue = np.array(colour[:3]) / sum(colour[:3])
        shown = picture / np.maximum(picture.sum(axis=2, keepdims=True), 1)
        assert (np.abs(shown - hue).max(axis=2) < 0.05).sum() > least


def test_the_camera_sees_its_target_in_the_middle():
    camera = Camera(np.array([-1.0, -2.0, 1.0]), np.array([0.3, 0.2, 0.25]), (400, 200))
    pixel, ahead = camera.see(camera.target)
    np.testing.assert_allclose(pixel, [200, 100], atol=1e-9)
    assert ahead == pytest.approx(np.linalg.norm(camera.target - camera.eye))
    above, _ = camera.see(camera.target + np.array([0, 0, 0.1]))
    assert above[1] < 100


def test_bricks_fill_their_box():
    solids = bricks([BOX])
    np.testing.assert_allclose(solids.corners.min(axis=(0, 1)), np.array(BOX.centre) - BOX.half)
    np.testing.assert_allclose(solids.corners.max(axis=(0, 1)), np.array(BOX.centre) + BOX.half)
    volumes = np.prod(np.ptp(solids.corners, axis=1), axis=1)
    assert volumes.sum() == pytest.approx(np.prod(2 * np.array(BOX.half)))


def test_drawn_joints_are_the_simulated_ones():
    sim = Simulation(position=(0.4, -0.3), yaw=0.7)
    points = leg_points(sim.robot, sim.data.qpos)
    for index, leg in enumerate(("FR", "FL", "RR", "RL")):
        np.testing.assert_allclose(points[index, 3], sim.data.geom(f"{leg}_foot").xpos, atol=1e-12)
        for at, part in ((0, "abduction"), (1, "thigh"), (2, "shank")):
            np.testing.assert_allclose(points[index, at], sim.data.body(f"{leg}_{part}").xpos, atol=1e-12)
