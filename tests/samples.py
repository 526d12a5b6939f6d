"""Small services for the tests: every kind of input and result, and every way to end.

A real package would name this module in its entry point; `samples` of `conftest.py` registers it.
"""

from __future__ import annotations

import enum
import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from colonnade.errors import ColonnadeError
from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import (
    Artifact,
    Estimate,
    Figure,
    Model,
    Outputs,
    Selection,
    Structure3D,
    Table,
    Video,
)
from colonnade.service import Resources, service

HOSTILE = "<script>document.title='taken'</script>&\"'`</textarea>"


class Shape(enum.StrEnum):
    SQUARE = "square"
    ROUND = "round"


class Window(BaseModel):
    """A nested group."""

    start: float = Param(0.0, title="Start", help="First time.", unit="s", ge=0, le=10)
    points: list[int] = Param([1, 2], title="Points", level="expert", max_length=4)


class EveryInput(Inputs):
    count: int = Param(3, title="Count", help="How many steps.", ge=1, le=500)
    temperature: float = Param(25.0, title="Temperature", help="Of the bath.", unit="°C", ge=-20, le=80)
    label: str = Param("a run", title="Label", max_length=200)
    careful: bool = Param(True, title="Careful")
    shape: Shape = Param(Shape.SQUARE, title="Shape")
    method: Literal["fast", "exact"] = Param("fast", title="Method", level="expert")
    chains: list[str] = Param(default_factory=lambda: ["A", "B"], title="Chains", level="expert", max_length=8)
    window: Window = Param(default_factory=Window, title="Window", level="guru")
    ratio: float | None = Param(None, title="Ratio", gt=0, lt=1, level="guru")


class Numbers(Outputs):
    total: Estimate
    values: Table
    plot: Figure
    note: str = Field("", title="Note")


@service(
    "sample.numbers",
    title="Sum of squares with noise",
    summary="Adds squares and a little noise, as a service for tests.",
    paper="none",
    resources=Resources(cores=2),
    examples={"small": {"count": 4}, "warm": {"count": 8, "temperature": 60.0}},
)
def numbers(inputs: EveryInput, job: Job) -> Numbers:
    """Adds the squares of 0 to count-1, and noise from the seed.

    Further text of the description.
    """
    import numpy as np

    noise = job.rng().normal(size=inputs.count)
    squares = []
    for step in job.track(range(inputs.count), "Adding"):
        squares.append(float(step * step))
    job.log(f"careful: {inputs.careful}")
    data = {"step": np.arange(inputs.count), "square": squares, "noise": noise}
    return Numbers(
        total=Estimate(value=float(sum(squares) + noise.sum()), error=0.25, unit="m²", title="Total"),
        values=Table.of(data, units={"square": "m²"}, title="Squares"),
        plot=Figure(
            spec={
                "data": [{"type": "scatter", "x": list(range(inputs.count)), "y": squares, "name": "square"}],
                "layout": {"xaxis": {"title": {"text": "step"}}, "yaxis": {"title": {"text": "square (m²)"}}},
            },
            title="Squares by step",
        ),
        note=inputs.label,
    )


def looks_like_text(path: Path) -> None:
    if b"\0" in path.read_bytes():
        raise ValueError("the file holds binary data, not text")


class FileInput(Inputs):
    document: Annotated[InputFile, Accept(".txt", limit="1 kB", check=looks_like_text)] = Param(title="Document")
    others: list[Annotated[InputFile, Accept(".txt", limit="1 kB")]] = Param(
        default_factory=list, title="Others", max_length=3
    )


class Words(Outputs):
    words: int = Field(title="Words")
    copy_of: Artifact


@service("sample.words", title="Count words", summary="Counts the words of text files.", paper="none")
def words(inputs: FileInput, job: Job) -> Words:
    """Counts words."""
    text = " ".join(file.path.read_text() for file in (inputs.document, *inputs.others))
    return Words(words=len(text.split()), copy_of=job.artifact("copy.txt", text, title="Copy", media_type="text/plain"))


class Nothing(Inputs):
    pass


class EveryKind(Outputs):
    estimate: Estimate
    exact: Estimate
    table: Table
    long: Table
    figures: list[Figure]
    artifact: Artifact
    structure: Structure3D
    video: Video
    model: Model
    named: dict[str, Estimate]
    flag: bool
    text: str


PDB = "\n".join(
    [
        f"ATOM  {index:5d}  CA  ALA {chain}{index % 40 + 1:4d}    "
        f"{20 * (chain == 'B') + 3.8 * (index % 40) * 0.4:8.3f}{6 * ((index % 7) / 7):8.3f}{5 * ((index % 5) / 5):8.3f}"
        f"  1.00 20.00           C"
        for chain in "AB"
        for index in range(40)
    ]
    + ["END", ""]
)


@service("sample.kinds", title=f"Every kind {HOSTILE}", summary=f"All kinds. {HOSTILE}", paper="none")
def kinds(inputs: Nothing, job: Job) -> EveryKind:
    """Gives one of each kind of result back, all texts hostile."""
    (job.files / "complex.pdb").write_text(PDB)
    (job.files / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42 not a real film")
    (job.files / "weights.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    job.log(HOSTILE)
    spec = {"data": [{"type": "bar", "x": [HOSTILE, "b"], "y": [1, 2], "name": HOSTILE}], "layout": {"title": HOSTILE}}
    return EveryKind(
        estimate=Estimate(value=-9.43, error=1.89, unit="kcal/mol", title=HOSTILE, caption=HOSTILE),
        exact=Estimate(value=1.3e-7, unit="M", title="Exact"),
        table=Table.of({HOSTILE: [HOSTILE, "b"], "number": [1.5, None], "ok": [True, False]}, title=HOSTILE),
        long=Table.of({"i": list(range(1000))}, title="Long"),
        figures=[Figure(spec=spec, title=HOSTILE), Figure(spec={"data": [{"type": "sankey"}]}, title="Unusual")],
        artifact=job.artifact("note.txt", HOSTILE, title=HOSTILE, media_type="text/plain"),
        structure=Structure3D(
            file="complex.pdb",
            title="Complex",
            selections=[
                Selection(chain="A", color="#3366cc", label=HOSTILE),
                Selection(chain="B", color="#cc6633"),
                Selection(chain="B", residues=[3, 4], color="#ff0000", style="ball_and_stick", label="interface"),
            ],
        ),
        video=Video(file="film.mp4", title="Film"),
        model=Model(file="weights.safetensors", title="Weights", parameters=1234567, details={HOSTILE: HOSTILE}),
        named={"a.b": Estimate(value=1.0, error=0.1), "c": Estimate(value=2.0, error=0.1)},
        flag=True,
        text=HOSTILE,
    )


class Ending(Inputs):
    how: Literal["value", "bug", "memory", "lying", "own", "slow"] = Param("value", title="How")


class Nothing2(Outputs):
    done: bool = True


@service("sample.fails", title="Fail", summary="Ends in the way that is asked for.", paper="none")
def fails(inputs: Ending, job: Job) -> Nothing2:
    """Fails."""
    match inputs.how:
        case "value":
            raise ValueError("The chains A and B do not touch.")
        case "own":
            raise ColonnadeError("The chains are too far apart.")
        case "memory":
            raise MemoryError
        case "lying":
            return job  # type: ignore[return-value]
        case "slow":
            for _ in job.track(range(600), "Waiting"):
                time.sleep(0.1)
            return Nothing2()
    raise ZeroDivisionError("division by zero")


class Steps(Inputs):
    steps: int = Param(10, title="Steps", ge=1, le=100)
    stop_at: int = Param(-1, title="Stop at", ge=-1)


class Path2(Outputs):
    walk: list[float]


@service("sample.walk", title="Walk", summary="A random walk that checkpoints.", paper="none")
def walk(inputs: Steps, job: Job) -> Path2:
    """A walk whose every step is checkpointed; the first attempt may be stopped on the way."""
    import numpy as np

    generator = job.rng()
    state = job.resume() or {"done": 0, "walk": np.zeros(0), "generator": generator.bit_generator.state}
    generator.bit_generator.state = state["generator"]
    places = list(state["walk"])
    for step in range(state["done"], inputs.steps):
        if step == inputs.stop_at and not (job.directory / "stopped").exists():
            (job.directory / "stopped").touch()
            raise KeyboardInterrupt
        places.append(float(generator.normal()))
        job.checkpoint({"done": step + 1, "walk": np.array(places), "generator": generator.bit_generator.state})
    return Path2(walk=places)
