"""Lines of couplings: `lattice.scan`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.lattice.services.common import MAX_UPDATES, PAPER, SOFTWARE, rounded
from colonnade.results import Figure, Outputs, Table
from colonnade.service import Resources, service

OBSERVABLES = ("chi2", "binder", "xi2", "phi2", "abs_m")


class ScanInputs(Inputs):
    """A line of couplings on square lattices of several sizes."""

    vary: Literal["lam", "kappa"] = Param(
        "lam",
        title="Coupling to vary",
        help="lam: λ of the action Σ[(∂φ)² + m²φ² + λφ⁴] at fixed m²; "
        "kappa: κ of the action Σ[-2κ φΣφ + (1-2λ)φ² + λφ⁴] at fixed λ.",
    )
    low: float = Param(3.0, title="From", gt=0, le=10_000)
    high: float = Param(6.0, title="To", gt=0, le=10_000)
    points: int = Param(7, title="Points", ge=2, le=100)
    m2: float | None = Param(
        None, title="Mass squared m²", ge=-1000, le=1000, help="Needed where λ varies; default -4."
    )
    lam: float | None = Param(None, title="Quartic coupling λ", gt=0, le=10_000, help="Needed where κ varies.")
    sides: list[int] = Param(
        [8, 12], title="Lattice sides", min_length=1, max_length=8, help="Square lattices, 3 to 128."
    )
    n: int = Param(1000, title="Measurements", ge=100, le=100_000)
    chains: int = Param(32, title="Chains", ge=1, le=512)

    @model_validator(mode="after")
    def _line(self) -> ScanInputs:
        if min(self.sides) < 3 or max(self.sides) > 128:
            raise ValueError(f"sides is {self.sides}; every side must be 3 to 128")
        if self.low >= self.high:
            raise ValueError(f"low is {self.low}; it must be below high = {self.high}")
        if self.vary == "kappa" and (self.lam is None or self.m2 is not None):
            raise ValueError(f"vary is kappa: give lam and no m2 (they are {self.lam} and {self.m2})")
        if self.vary == "lam" and self.lam is not None:
            raise ValueError(f"vary is lam: the line gives λ, so lam = {self.lam} must be left out")
        updates = 10.0 * self.n * self.chains * self.points * sum(s * s for s in self.sides)
        if updates > MAX_UPDATES:
            raise ValueError(
                f"the scan is {updates:.1e} site updates, about {updates / 5e8 / 3600:.1f} core hours; "
                f"at most {MAX_UPDATES:.0e} are allowed in one job"
            )
        return self

    def couplings(self, value: float) -> dict[str, float]:
        """The couplings at one point of the line."""
        if self.vary == "kappa":
            return {"kappa": value, "lam": float(self.lam or 0)}
        return {"m2": -4.0 if self.m2 is None else self.m2, "lam": value}


class ScanOutputs(Outputs):
    """Observables along the line."""

    table: Table
    crossings: Table | None
    binder: Figure
    chi2: Figure
    xi2: Figure


def scan_point(task: dict[str, Any]) -> dict[str, Any]:
    """One point of a scan, on whatever process or node it lands."""
    from colonnade.lattice import HMC, Composite, ScalarAction, Wolff, sample

    action = ScalarAction.from_couplings(**task["couplings"])
    kernel = Composite([Wolff(action), HMC(action)])
    side = task["side"]
    run = sample(action, (side, side), kernel, task["n"], chains=task["chains"], seed=task["seed"])
    row: dict[str, Any] = {"L": side, task["vary"]: task["couplings"][task["vary"]]}
    for name in OBSERVABLES:
        e = run.estimates[name]
        row |= {name: e.value, f"{name} error": e.error}
    return row | {"tau_int": round(run.estimates["chi2"].tau_int, 3), "status": run.verdict.status}


@service(
    "lattice.scan",
    title="Scan a coupling",
    summary="Susceptibility, Binder cumulant and correlation length along a line of λ or κ for several lattice sizes.",
    paper=PAPER,
    resources=Resources(cores=2, memory="4 GiB", walltime=timedelta(hours=6)),
    examples={
        "Transition at m² = -4": {"low": 3.5, "high": 5.0, "points": 4, "sides": [4, 8], "n": 300},
        "Critical hopping at λ = 0.022": {
            "vary": "kappa",
            "lam": 0.022,
            "low": 0.264,
            "high": 0.278,
            "points": 5,
            "sides": [8, 16],
            "n": 400,
        },
    },
    software=SOFTWARE,
)
def scan(inputs: ScanInputs, job: Job) -> ScanOutputs:
    """Run cluster-and-HMC chains at every point; the points are independent and fan out over the cluster.

    Where the Binder cumulants of two sizes cross is an estimate of the critical coupling.
    """
    from itertools import pairwise

    import numpy as np

    from colonnade.lattice import plots
    from colonnade.lattice.observe import crossing

    line = [float(v) for v in np.linspace(inputs.low, inputs.high, inputs.points)]
    pairs = [(side, value) for side in inputs.sides for value in line]
    common = {"vary": inputs.vary, "n": inputs.n, "chains": inputs.chains}
    tasks = [
        common | {"side": side, "couplings": inputs.couplings(value), "seed": seed}
        for (side, value), seed in zip(pairs, job.seeds(len(pairs)), strict=True)
    ]
    rows = job.map(scan_point, tasks, "Points")

    def curve(name: str, side: int) -> list[tuple[float, float]]:
        return [(r[name], r[f"{name} error"]) for r in rows if r["L"] == side]

    def shown(row: dict[str, Any]) -> dict[str, Any]:
        pairs = {n: rounded(row[n], row[f"{n} error"]) for n in OBSERVABLES}
        return row | {n: v for n, (v, _) in pairs.items()} | {f"{n} error": e for n, (_, e) in pairs.items()}

    def figure(name: str, label: str) -> Figure:
        curves = {f"L = {side}": curve(name, side) for side in inputs.sides}
        return Figure.of(plots.scan(line, curves, {"lam": "λ", "kappa": "κ"}[inputs.vary], label), title=label)

    sides = sorted(set(inputs.sides))
    found = [
        (small, large, *place)
        for small, large in pairwise(sides)
        for place in crossing(line, curve("binder", small), curve("binder", large))
    ]
    columns = zip(*found, strict=True) if found else None
    names = ("L", "and L", inputs.vary, "error")
    return ScanOutputs(
        table=Table.of({key: [shown(row)[key] for row in rows] for key in rows[0]}, title="All points"),
        crossings=columns
        and Table.of(
            dict(zip(names, map(list, columns), strict=True)),
            title="Crossings of the Binder cumulants",
            caption="By straight lines between neighbouring points; the error is statistical.",
        ),
        chi2=figure("chi2", "Susceptibility χ₂"),
        binder=figure("binder", "Binder cumulant U₄"),
        xi2=figure("xi2", "Second-moment correlation length ξ₂"),
    )
