"""Services that take every kind of input and give every kind of result, for the tests of pages and REST."""

from __future__ import annotations

import enum
import math
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Model, Outputs, Selection, Structure3D, Table, Video
from colonnade.service import Resources, service

QUICK = Resources(cores=1, memory="500 MiB", walltime=timedelta(minutes=5))


class Boundary(enum.StrEnum):
    PERIODIC = "periodic"
    OPEN = "open"


class Noise(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sigma: float = Param(0.1, title="Width", unit="K", help="Standard deviation.", ge=0, le=5)
    coloured: bool = Param(False, title="Coloured")


class Region(BaseModel):
    model_config = ConfigDict(extra="forbid")

    chain: str = Param(title="Chain", min_length=1, max_length=1)
    first: int = Param(1, title="First residue", ge=1)
    weights: list[float] = Param(default_factory=list, title="Weights", level="expert", max_length=5)


class Signal(Inputs):
    length: int = Param(60, title="Length", help="Number of samples.", ge=2, le=2000)
    temperature: float = Param(25.0, title="Temperature", help="Of the bath.", unit="°C", ge=-20, le=80)
    label: str = Param("", title="Label", help="Printed on the plot.", max_length=200)
    notes: str = Param("", title="Notes", multiline=True, max_length=2000)
    detrend: bool = Param(True, title="Remove the trend", help="Subtracts a straight line first.")
    boundary: Boundary = Param(Boundary.PERIODIC, title="Boundary", group="Model")
    window: Literal["none", "hann", "hamming", "blackman", "kaiser", "tukey", "flat"] = Param(
        "hann", title="Window", group="Model", level="expert"
    )
    harmonics: list[int] = Param(default_factory=lambda: [1, 3], title="Harmonics", group="Model", max_length=6)
    channels: list[Literal["red", "green", "blue"]] = Param(default_factory=lambda: ["red"], title="Channels")
    tags: list[str] = Param(default_factory=list, title="Tags", level="guru", max_length=5)
    noise: Noise | None = Param(None, title="Noise", help="Adds noise to the signal.", group="Model")
    regions: list[Region] = Param(default_factory=list, title="Region", level="expert", max_length=4)
    damping: float | None = Param(None, title="Damping", unit="1/s", gt=0, lt=1, level="guru", group="Model")
    pause: float = Param(0.0, title="Pause", unit="s", help="Between two steps.", ge=0, le=5, level="guru")


class Spectrum(Outputs):
    peak: Estimate
    mean: Estimate
    samples: Table
    plot: Figure
    note: str


def _wave(inputs: Signal, step: int) -> float:
    decay = math.exp(-(inputs.damping or 0.0) * step / 10)
    return decay * sum(math.sin(2 * math.pi * n * step / inputs.length) / n for n in inputs.harmonics or [1])


def _plot(inputs: Signal, values: list[float]) -> Figure:
    trace = {"type": "scatter", "mode": "lines", "y": values, "name": inputs.label or "signal"}
    layout = {"xaxis": {"title": {"text": "sample"}}, "yaxis": {"title": {"text": "signal (K)"}}}
    return Figure(spec={"data": [trace], "layout": layout}, title="Signal")


@service(
    "showcase.signal",
    title="Make a signal",
    summary="Adds harmonics, with noise when wanted, and finds the peak.",
    paper="arXiv:2107.01056",
    resources=QUICK,
    examples={
        "two harmonics": {"length": 120, "harmonics": [1, 2], "label": "two"},
        "noisy regions": {
            "noise": {"sigma": 0.5},
            "regions": [{"chain": "A", "first": 3, "weights": [0.5, 1.5]}, {"chain": "B"}],
            "window": "kaiser",
        },
    },
)
def signal(inputs: Signal, job: Job) -> Spectrum:
    """Adds the sines of the wanted harmonics and reports the largest value.

    The noise is drawn from the seed of the job, so that the same seed gives the same signal.
    """
    noise = job.rng().normal(size=inputs.length)
    job.log(f"{inputs.length} samples, label {inputs.label}")
    values: list[float] = []
    for step in job.track(range(inputs.length), "Sampling"):
        values.append(_wave(inputs, step) + (inputs.noise.sigma * float(noise[step]) if inputs.noise else 0.0))
        if inputs.pause:
            time.sleep(inputs.pause)
            job.preview(_plot(inputs, values), "signal so far")
    return Spectrum(
        peak=Estimate(value=max(values), error=0.02, unit="K", title="Peak"),
        mean=Estimate(value=sum(values) / len(values), unit="K", title="Mean", caption="Exact for this seed."),
        samples=Table.of(
            {"sample": list(range(len(values))), "signal": values, "positive": [value > 0 for value in values]},
            units={"signal": "K"},
            title="Samples",
        ),
        plot=_plot(inputs, values),
        note=inputs.notes or "nothing noted",
    )


def is_pdb(path: Path) -> None:
    """Raises ValueError when no line is an atom's."""
    with path.open(errors="replace") as stream:
        if not any(line.startswith(("ATOM  ", "HETATM")) for line in stream):
            raise ValueError("the file holds no atom, so it is no PDB file")


class Complex(Inputs):
    structure: Annotated[InputFile, Accept(".pdb", ".ent", limit="200 kB", check=is_pdb)] = Param(
        title="Complex", help="Coordinates of two chains."
    )
    extra: list[Annotated[InputFile, Accept(".txt", limit="10 kB")]] = Param(
        default_factory=list, title="Further notes", max_length=3, level="expert"
    )
    partners: str = Param("AB", title="Chains", pattern="^[A-Z]{2}$", help="The two partners, as in AB.")
    cutoff: float = Param(5.5, title="Cut-off", unit="Å", help="Largest distance of a contact.", gt=0, le=20)


class Everything(Outputs):
    affinity: Estimate
    contacts: Table
    map: Figure
    surface: Figure
    view: Structure3D
    film: Video
    weights: Model
    notes: Artifact


@service(
    "showcase.complex",
    title="Look at a complex",
    summary="Gives every kind of result back for a structure of two chains.",
    paper="doi:10.1038/s41586-021-03819-2",
    resources=QUICK,
    examples={"a small complex": {"structure": "example:showcase.complex/helices.pdb"}},
)
def look(inputs: Complex, job: Job) -> Everything:
    """Counts what is near what, and shows it."""
    text = inputs.structure.path.read_text()
    (job.files / "complex.pdb").write_text(text)
    (job.files / "film.webm").write_bytes((Path(__file__).parent / "examples" / "film.webm").read_bytes())
    (job.files / "weights.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    atoms = [line for line in text.splitlines() if line.startswith("ATOM")]
    table = Table.of(
        {"residue": [int(line[22:26]) for line in atoms], "chain": [line[21] for line in atoms],
         "x": [float(line[30:38]) for line in atoms]},
        units={"x": "Å"},
        title="Atoms",
        caption="In the order of the file.",
    )  # fmt: skip
    grid = [[math.sin(i / 3) * math.cos(j / 4) for j in range(24)] for i in range(24)]
    first, second = inputs.partners
    return Everything(
        affinity=Estimate(value=-9.43, error=1.89, unit="kcal/mol", title="Affinity", caption="For show."),
        contacts=table,
        map=Figure(spec={"data": [{"type": "heatmap", "z": grid}], "layout": {}}, title="Contact map"),
        surface=Figure(spec={"data": [{"type": "surface", "z": grid}], "layout": {}}, title="Surface"),
        view=Structure3D(
            file="complex.pdb",
            title="The complex",
            selections=[
                Selection(chain=first, color="#3b6ea5", label="first partner"),
                Selection(chain=second, color="#c4793a", label="second partner"),
                Selection(chain=second, residues=[3, 4, 7], color="#c0202f", style="ball_and_stick", label="interface"),
            ],
        ),
        film=Video(file="film.webm", title="Film", media_type="video/webm"),
        weights=Model(file="weights.safetensors", title="Weights", parameters=1_234_567, details={"layers": 4}),
        notes=job.artifact("notes.txt", "for show\n", title="Notes", media_type="text/plain"),
    )


class Nothing(Inputs):
    pass


class Markup(Outputs):
    page: Artifact
    picture: Artifact
    table: Table


@service("showcase.markup", title="Write markup", summary="Gives files back that hold scripts.", paper="none")
def markup(inputs: Nothing, job: Job) -> Markup:
    """Writes a page and a drawing with scripts in them, as a careless engine might."""
    script = "<script>document.title = 'taken'; window.taken = true</script>"
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg">{script}<rect width="9" height="9"/></svg>'
    return Markup(
        page=job.artifact("page.html", f"<html>{script}</html>", media_type="text/html"),
        picture=job.artifact("drawing.svg", drawing, media_type="image/svg+xml"),
        table=Table.of({"<b>bold</b>": ["<img src=x onerror=\"document.title='taken'\">"]}, title=script),
    )


@service(
    "showcase.missing",
    title="Needs an engine",
    summary="Its engine is never installed.",
    paper="none",
    unavailable=lambda: "the engine `imaginary` is not installed.",
)
def missing(inputs: Nothing, job: Job) -> Markup:
    """Cannot run."""
    raise AssertionError
