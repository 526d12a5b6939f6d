"""Films of recorded runs, as MP4, or as an animated GIF where there is no encoder.

Pictures are MuJoCo's where off-screen OpenGL works (EGL or OSMesa), else those of `sketch`. MuJoCo draws in a process
of its own, because the graphics backend is chosen when it is imported and because a graphics driver that crashes must
not take the run with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.quadruped.mjcf import Box, mjcf
from colonnade.quadruped.robot import Array, Robot

BACKENDS = ("egl", "osmesa")
RATE = 20  # frames a second
GIF_EVERY = 2  # a GIF keeps one frame of so many
SIZE = (480, 270)
TIMEOUT = 300.0
LARGEST = 2400  # frames: of longer runs the film is faster than the run


@dataclass(frozen=True)
class Film:
    """Where the film is (None: there is none), and in one sentence what is less than it might be."""

    path: Path | None
    remark: str = ""


def film(
    robot: Robot, boxes: Sequence[Box], t: Array, qpos: Array, path: Path, backends: Sequence[str] = BACKENDS
) -> Film:
    """Draw a run and write it beside `path`, as .mp4 when ffmpeg is there, else as .gif.

    Args:
        t: (T,) s; qpos: (T, 19); path: file name without ending.
        backends: MuJoCo's, in the order they are tried.

    Returns:
        Never raises for missing graphics or encoders: the remark says what is missing.
    """
    if len(t) < 2:
        return Film(None, "No film: nothing was recorded.")
    times = np.linspace(t[0], t[-1], min(max(int((t[-1] - t[0]) * RATE), 2), LARGEST))
    poses = qpos[np.searchsorted(t, times).clip(0, len(t) - 1)]
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.npz"
        np.savez(scene, xml=mjcf(robot, boxes), qpos=poses)
        said = []
        for backend in backends:
            reason = _elsewhere(scene, path, backend)
            if not reason:
                return _written(path, "")
            said.append(reason)
    remark = f"The film is a sketch, as OpenGL does not draw here ({'; '.join(said)})." if said else ""
    from colonnade.quadruped.sketch import pictures

    _write(pictures(robot, boxes, poses, SIZE), path)
    return _written(path, remark)


def _written(path: Path, remark: str) -> Film:
    if path.with_suffix(".mp4").exists():
        return Film(path.with_suffix(".mp4"), remark)
    return Film(path.with_suffix(".gif"), f"{remark} The film is a GIF, as ffmpeg is missing.".strip())


def _elsewhere(scene: Path, path: Path, backend: str) -> str:
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


def _rendered(xml: str, qpos: Array) -> Iterator[Array]:
    """MuJoCo's pictures of the poses."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    with mujoco.Renderer(model, SIZE[1], SIZE[0]) as renderer:
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            renderer.scene.flags[flag] = False
        for pose in qpos:
            data.qpos[:] = pose
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera="chase")
            yield renderer.render().copy()


def _write(images: Iterable[Array], path: Path) -> None:
    """MP4 by imageio's ffmpeg; without it a GIF by Pillow."""
    try:
        import imageio.v2 as imageio
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        _write_gif(images, path.with_suffix(".gif"))
        return
    writer: Any = imageio.get_writer(path.with_suffix(".mp4"), fps=RATE, macro_block_size=2)
    with writer:
        for image in images:
            writer.append_data(image)


def _write_gif(images: Iterable[Array], path: Path) -> None:
    from PIL import Image

    kept = [Image.fromarray(image).quantize(64) for index, image in enumerate(images) if index % GIF_EVERY == 0]
    duration = 1000 * GIF_EVERY // RATE
    kept[0].save(path, save_all=True, append_images=kept[1:], duration=duration, loop=0)


if __name__ == "__main__":
    with np.load(Path(sys.argv[1]), allow_pickle=False) as stored:
        _write(_rendered(str(stored["xml"]), stored["qpos"]), Path(sys.argv[2]))
