"""The pendulum as a service."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Estimate, Figure, Outputs, Table
from colonnade.service import service


def read_measurements(path: Path) -> tuple[list[float], list[float]]:
    """Amplitudes (degrees) and periods (s) from a CSV file with these two columns.

    Raises:
        ValueError: it does not hold two columns of numbers; the text names the line.
    """
    amplitudes, periods = [], []
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        for number, row in enumerate(csv.reader(stream), start=1):
            if number == 1 and row[:1] == ["amplitude"]:
                continue
            try:
                amplitude, time = (float(cell) for cell in row)
            except ValueError:
                raise ValueError(f"line {number} does not hold two numbers, an amplitude and a period") from None
            if not (0 <= amplitude < 180 and 0 < time < float("inf")):
                raise ValueError(f"line {number} holds an amplitude or a period that no pendulum has")
            amplitudes.append(amplitude)
            periods.append(time)
    return amplitudes, periods


class Pendulum(Inputs):
    length: float = Param(1.0, title="Length", unit="m", gt=0, le=1000)
    amplitude: float = Param(30.0, title="Amplitude", help="Largest angle from the vertical.", unit="°", ge=0, lt=180)
    measured: Annotated[InputFile, Accept(".csv", limit="1 MB", check=read_measurements)] | None = Param(
        None, title="Measured periods", help="A CSV file of amplitude (°) and period (s); gravity is fitted to it."
    )
    points: int = Param(60, title="Points of the curve", level="expert", ge=2, le=2000)


class Swing(Outputs):
    period: Estimate
    curve: Figure
    values: Table
    gravity: Estimate | None = None


@service(
    "hello.pendulum",
    title="Period of a pendulum",
    summary="The exact period of a pendulum at any amplitude, and gravity fitted to measured periods.",
    paper="doi:10.1119/1.2968864",
    examples={
        "a wide swing": {"amplitude": 120.0},
        "measure gravity": {"length": 1.0, "measured": "example:hello.pendulum/periods.csv"},
    },
)
def pendulum(inputs: Pendulum, job: Job) -> Swing:
    """The period by the arithmetic-geometric mean, exact to machine precision at every amplitude below 180°."""
    from hello_service.pendulum import fit_gravity, period

    angles = [170.0 * step / (inputs.points - 1) for step in range(inputs.points)]
    periods = [period(inputs.length, angle) for angle in job.track(angles, "Swinging")]
    data = [{"type": "scatter", "mode": "lines", "x": angles, "y": periods, "name": "exact"}]
    gravity = None
    if inputs.measured is not None:
        amplitudes, measured = read_measurements(inputs.measured.path)
        value, error = fit_gravity(inputs.length, amplitudes, measured)
        gravity = Estimate(value=value, error=error, unit="m/s²", title="Gravity from the measured periods")
        data.append({"type": "scatter", "mode": "markers", "x": amplitudes, "y": measured, "name": "measured"})
    layout = {"xaxis": {"title": {"text": "amplitude (°)"}}, "yaxis": {"title": {"text": "period (s)"}}}
    return Swing(
        period=Estimate(
            value=period(inputs.length, inputs.amplitude), unit="s", title="Period", caption="At standard gravity."
        ),
        curve=Figure(spec={"data": data, "layout": layout}, title="Period by amplitude"),
        values=Table.of({"amplitude": angles, "period": periods}, units={"amplitude": "°", "period": "s"}),
        gravity=gravity,
    )
