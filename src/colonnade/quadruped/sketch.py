"""Drawing a run without any graphics library: boxes and links as shaded polygons, far ones first, on a Pillow image.

What is drawn is the scene that MuJoCo draws where there is OpenGL (`film`). Convex pieces sorted by distance may hide
each other wrongly where they touch; nothing is measured on these pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from colonnade.quadruped.mjcf import Box
from colonnade.quadruped.pose import leg_points, trunk_rotation
from colonnade.quadruped.robot import Array, Robot

SKY = (214, 224, 236)
TILES = ((222, 222, 216), (204, 204, 198))
# Red, green, blue, opacity: walls are seen through, as the robot goes behind them.
WALL, TRUNK, FRONT, REAR = (176, 136, 108, 150), (80, 85, 95, 255), (38, 115, 191, 255), (217, 128, 38, 255)
LIGHT = np.array([0.35, -0.5, 0.79])
OFFSET = np.array([-1.0, -2.0, 1.1])  # m from what the camera looks at to its eye
NEAR = 0.05  # m: what is nearer to the eye is not drawn
PIECE = 0.3  # m: boxes are cut into pieces of at most this size, as only small ones sort well
SMOOTH = 2  # pictures are drawn so many times larger, and shrunk
# Faces of a box whose corners are numbered by the bits of (x, y, z), and the directions they look in.
CORNERS = np.array([[k & 1, k >> 1 & 1, k >> 2 & 1] for k in range(8)]) * 2.0 - 1.0
FACES = np.array([[0, 2, 6, 4], [1, 3, 7, 5], [0, 1, 5, 4], [2, 3, 7, 6], [0, 1, 3, 2], [4, 5, 7, 6]])


@dataclass(frozen=True)
class Solids:
    """Bricks: corners (n, 8, 3), colours (n, 4), which of their faces are outside (n, 6)."""

    corners: Array
    colours: Array
    outside: NDArray[np.bool_]

    def __add__(self, other: Solids) -> Solids:
        names = ("corners", "colours", "outside")
        return Solids(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


@dataclass(frozen=True)
class Camera:
    """Looks from `eye` at `target`, world axes, m; `focal` is in heights of the picture of `size` pixels."""

    eye: Array
    target: Array
    size: tuple[int, int]
    focal: float = 1.15
    axes: Array = field(init=False)

    def __post_init__(self) -> None:
        ahead = (self.target - self.eye) / np.linalg.norm(self.target - self.eye)
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        object.__setattr__(self, "axes", np.array([right, np.cross(right, ahead), ahead]))

    def see(self, points: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) of points (..., 3), and how far ahead of the eye they are, m."""
        local = (points - self.eye) @ self.axes.T
        scale = self.focal * self.size[1] / np.maximum(local[..., 2], 1e-9)
        x, y = self.size[0] / 2 + scale * local[..., 0], self.size[1] / 2 - scale * local[..., 1]
        return np.stack([x, y], axis=-1), local[..., 2]


def pictures(robot: Robot, boxes: Sequence[Box], qpos: Array, size: tuple[int, int]) -> Iterator[Array]:
    """A (height, width, 3) picture of each pose of qpos (T, 19), the camera following the trunk."""
    walls = bricks(boxes)
    for pose, centre in zip(qpos, _smoothed(qpos[:, :2], 15), strict=True):
        target = np.array([*centre, 0.25])
        camera = Camera(target + OFFSET, target, (size[0] * SMOOTH, size[1] * SMOOTH))
        image = Image.new("RGB", camera.size, SKY)
        draw = ImageDraw.Draw(image, "RGBA")
        _floor(draw, camera, centre)
        _paint(draw, camera, walls + robot_solids(robot, pose))
        yield np.asarray(image.resize(size, Image.Resampling.BOX))


def bricks(boxes: Sequence[Box], piece: float = PIECE) -> Solids:
    """Boxes as pieces of at most `piece` metres each way."""
    corners, outside = np.zeros((0, 8, 3)), np.zeros((0, 6), bool)
    for box in boxes:
        counts = np.maximum(np.ceil(2 * np.array(box.half) / piece), 1).astype(int)
        places = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), axis=-1).reshape(-1, 3)
        c, s = math.cos(box.yaw), math.sin(box.yaw)
        turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        local = np.array(box.half) / counts * (2 * places[:, None] + 1 + CORNERS) - box.half
        corners = np.concatenate([corners, local @ turn + box.centre])
        ends = np.stack([places == 0, places == counts - 1], axis=2).reshape(-1, 6)
        outside = np.concatenate([outside, ends])
    return Solids(corners, np.tile(np.array(WALL, float), (len(corners), 1)), outside)


def robot_solids(robot: Robot, pose: Array) -> Solids:
    """Trunk, thighs, shanks and feet at one pose (19,)."""
    rotation, legs = trunk_rotation(pose), leg_points(robot, pose)
    parts = [(CORNERS * np.array(robot.trunk_half) @ rotation.T + pose[:3], TRUNK)]
    tip = np.array([0.0, 0.0, robot.foot_radius])
    for leg, (_, hip, knee, foot) in enumerate(legs):
        colour = FRONT if leg < 2 else REAR
        parts += [
            (_beam(hip, knee, robot.thigh_radius), colour),
            (_beam(knee, foot, robot.shank_radius), colour),
            (_beam(foot - tip, foot + tip, robot.foot_radius), TRUNK),
        ]
    corners, colours = (np.array(column, float) for column in zip(*parts, strict=True))
    return Solids(corners, colours, np.ones((len(parts), 6), bool))


def _beam(first: Array, second: Array, radius: float) -> Array:
    """(8, 3) corners of a square beam along a link."""
    length = float(np.linalg.norm(second - first))
    along = (second - first) / max(length, 1e-9)
    side = np.cross(along, [1.0, 0.0, 0.0] if abs(along[0]) < 0.9 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    frame = np.array([side, np.cross(along, side), along])
    corners: Array = CORNERS * [radius, radius, length / 2] @ frame + (first + second) / 2
    return corners


def _smoothed(track: Array, width: int) -> Array:
    """A camera that does not shake: the mean over some pictures on either side."""
    padded = np.pad(track, ((width // 2, width // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, np.ones(width) / width, mode="valid") for column in padded.T], axis=1)


def _floor(draw: ImageDraw.ImageDraw, camera: Camera, centre: Array, tile: float = 0.5, reach: int = 9) -> None:
    """Tiles around the robot."""
    first = np.floor(centre / tile).astype(int) - reach
    places = np.stack(np.meshgrid(*(np.arange(2 * reach),) * 2, indexing="ij"), axis=-1).reshape(-1, 2) + first
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners = np.zeros((len(places), 4, 3))
    corners[..., :2] = (places[:, None] + square) * tile
    pixels, ahead = camera.see(corners)
    for place, outline in zip(places[ahead.min(axis=1) > NEAR], pixels[ahead.min(axis=1) > NEAR], strict=True):
        draw.polygon(outline.ravel().tolist(), TILES[int(place.sum()) % 2])


def _paint(draw: ImageDraw.ImageDraw, camera: Camera, solids: Solids) -> None:
    """Far bricks first; of each the faces that look at the eye."""
    pixels, ahead = camera.see(solids.corners)
    centres = solids.corners.mean(axis=1)
    looks = solids.corners[:, FACES].mean(axis=2) - centres[:, None]  # (n, 6, 3): outwards, as bricks are right-angled
    looks /= np.linalg.norm(looks, axis=2, keepdims=True)
    seen = ((camera.eye - solids.corners[:, FACES[:, 0]]) * looks).sum(axis=2) > 0
    seen &= solids.outside
    shade = 0.55 + 0.45 * np.maximum(looks @ LIGHT, 0.0)
    fills = np.repeat(solids.colours[:, None], 6, axis=1)
    fills[..., :3] *= shade[:, :, None]
    for k in np.argsort(-np.linalg.norm(centres - camera.eye, axis=1)):
        if ahead[k].min() < NEAR:
            continue
        for face in np.flatnonzero(seen[k]):
            draw.polygon(pixels[k, FACES[face]].ravel().tolist(), tuple(fills[k, face].astype(int).tolist()))
