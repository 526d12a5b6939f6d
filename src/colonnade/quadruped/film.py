"""Films of recorded runs: drawn by MuJoCo off screen and written as MP4 or GIF in a process of its own.

A process of its own, because the graphics backend is chosen when MuJoCo is imported and because a graphics driver that
crashes must not take the run with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.quadruped.mjcf import Box, mjcf
from colonnade.quadruped.robot import Array, Robot

BACKENDS = ("egl", "osmesa")
RATE = 20  # frames a second
SIZE = (480, 270)
TIMEOUT = 300.0


@dataclass(frozen=True)
class Film:
    """Where the film is, or in one sentence why there is none."""

    path: Path | None
    reason: str = ""


def film(
    robot: Robot, boxes: Sequence[Box], t: Array, qpos: Array, path: Path, backends: Sequence[str] = BACKENDS
) -> Film:
    """Draw a run and write it beside `path`, as .mp4 when ffmpeg is there, else as .gif.

    Args:
        t: (T,) s; qpos: (T, 19); path: file name without ending.

    Returns:
        Never raises for missing graphics or encoders: the reason says what is missing.
    """
    if len(t) < 2:
        return Film(None, "No film: nothing was recorded.")
    times = np.arange(t[0], t[-1], 1 / RATE)
    pick = np.searchsorted(t, times).clip(0, len(t) - 1)
    reason = "no backend was tried"
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.npz"
        np.savez(scene, xml=mjcf(robot, boxes), qpos=qpos[pick])
        for backend in backends:
            reason = _draw(scene, path, backend)
            for ending in (".mp4", ".gif"):
                if not reason and path.with_suffix(ending).exists():
                    return Film(path.with_suffix(ending))
    return Film(None, f"No film: off-screen drawing is not available here ({reason}).")


def _draw(scene: Path, path: Path, backend: str) -> str:
    """Run this module on the scene; the answer is empty when it went well, else the last line it said."""
    environment = os.environ | {"MUJOCO_GL": backend}
    command = [sys.executable, "-m", "colonnade.quadruped.film", str(scene), str(path)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{backend}: {type(error).__name__}"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return f"{backend}: {lines[-1][:200] if lines else f'stopped with code {done.returncode}'}"


def _main(scene: Path, path: Path) -> None:
    import mujoco

    with np.load(scene, allow_pickle=False) as stored:
        model, qpos = mujoco.MjModel.from_xml_string(str(stored["xml"])), stored["qpos"]
    data, images = mujoco.MjData(model), []
    with mujoco.Renderer(model, SIZE[1], SIZE[0]) as renderer:
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            renderer.scene.flags[flag] = False
        for pose in qpos:
            data.qpos[:] = pose
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera="chase")
            images.append(renderer.render().copy())
    _write(images, path)


def _write(images: list[Array], path: Path) -> None:
    """MP4 by imageio's ffmpeg; without it a GIF by Pillow."""
    try:
        import imageio.v2 as imageio
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        from PIL import Image

        frames = [Image.fromarray(image).quantize(64) for image in images[::2]]
        frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:], duration=2000 // RATE, loop=0)
        return
    writer: Any = imageio.get_writer(path.with_suffix(".mp4"), fps=RATE, macro_block_size=2)
    with writer:
        for image in images:
            writer.append_data(image)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
