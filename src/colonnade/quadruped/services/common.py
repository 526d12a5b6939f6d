"""What the services of this column share: how they describe themselves, worlds as inputs, films as results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.results import Artifact, Video

if TYPE_CHECKING:
    from colonnade.job import Job
    from colonnade.quadruped.mjcf import Box
    from colonnade.quadruped.robot import Array, Robot
    from colonnade.quadruped.world import World

RobotName = Literal["Mini Cheetah", "Go1"]
ENGINES = ("casadi", "mujoco", "quadprog", "numba", "scipy")


def missing() -> str | None:
    """Which engine is not installed, in one sentence."""
    from importlib.util import find_spec

    absent = [name for name in ENGINES if find_spec(name) is None]
    return f"The extra 'quadruped' is not installed ({', '.join(absent)} missing)." if absent else None


COLUMN: dict[str, Any] = {"paper": "arXiv:2107.00773", "software": ENGINES, "unavailable": missing}


# --- worlds ---------------------------------------------------------------------------------------


def check_world(path: Path) -> object:
    from colonnade.quadruped.world import World

    return World.from_json(path.read_text(encoding="utf-8", errors="replace"))


WorldFile = Annotated[InputFile, Accept(".json", limit="1 MB", check=check_world)]


class WorldInput(Inputs):
    """A world from a file, or a random one from the job's seed."""

    world: WorldFile | None = Param(
        None, title="World", help="JSON: bounds, obstacles, walls with windows, start, goal."
    )
    kind: Literal["any", "window", "detour", "clutter", "two windows"] = Param(
        "any", title="Random world", help="Used when no file is given: what stands in the way."
    )
    jumps: bool = Param(True, title="Allow jumps", help="Off: walk round or not at all.")

    def chosen(self, job: Job) -> World:
        """The world of the file, or the one that the job's seed draws."""
        from colonnade.quadruped.world import World, random_world

        if self.world is not None:
            return World.from_json(self.world.path.read_text(encoding="utf-8"))
        return random_world(job.rng(), None if self.kind == "any" else self.kind)


# --- files ----------------------------------------------------------------------------------------


def filmed(
    job: Job, robot: Robot, boxes: list[Box], t: Array, qpos: Array
) -> tuple[Video | None, Artifact | None, str]:
    """A recorded run as a film, or as an animated picture where no encoder is; and what the user should know of it."""
    from colonnade.quadruped.film import film

    job.log("Drawing the film.")
    made = film(robot, boxes, t, qpos, job.files / "run")
    if made.path is None:
        return None, None, made.remark
    if made.path.suffix == ".mp4":
        return Video(file=made.path.name, media_type="video/mp4"), None, made.remark
    return None, job.artifact(made.path.name, media_type="image/gif"), made.remark


def packed(**arrays: Array) -> bytes:
    """Arrays as one npz file."""
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
