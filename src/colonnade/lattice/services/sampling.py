"""Classical sampling: `lattice.ensemble` and `lattice.scan`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.lattice.services.common import (
    MAX_UPDATES,
    PAPER,
    SOFTWARE,
    ActionInputs,
    RunOutputs,
    exact_table,
    run_results,
)
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.lattice import Ensemble

Algorithm = Literal["hmc", "hmc_flip", "fourier_hmc", "wolff", "metropolis", "annealed"]


def _configurations(run: Ensemble, job: Job) -> Artifact | None:
    import numpy as np

    if run.fields is None:
        return None
    np.savez_compressed(job.files / "configurations.npz", phi=run.fields.astype(np.float32))
    return job.artifact(
        "configurations.npz", title="Configurations (kept, chains, ...), float32", media_type="application/zip"
    )


def _kernel(algorithm: Algorithm, inputs: EnsembleInputs) -> Any:
    from colonnade.lattice import HMC, Annealing, Composite, Flip, FourierHMC, Independence, Metropolis, Wolff

    action = inputs.action()
    hmc = HMC(action, steps=inputs.steps, scheme=inputs.integrator)
    if algorithm == "hmc":
        return hmc
    if algorithm == "hmc_flip":
        return Composite([hmc, Flip(action)])
    if algorithm == "fourier_hmc":
        return Composite([FourierHMC(action, steps=inputs.steps, scheme=inputs.integrator), Flip(action)])
    if algorithm == "wolff":
        return Composite([Wolff(action), hmc])
    if algorithm == "metropolis":
        return Composite([Metropolis(action), Flip(action)])
    return Composite([Independence(action, Annealing(action, tuple(inputs.shape), stages=40), 1, "annealed"), hmc])


class EnsembleInputs(ActionInputs):
    """A run of a classical sampler."""

    algorithm: Algorithm = Param(
        "hmc_flip",
        title="Sampler",
        help="hmc alone cannot change vacuum in the broken phase; hmc_flip, wolff and annealed can.",
    )
    n: int = Param(2000, title="Measurements", ge=100, le=10_000_000, help="Per chain, one a sampler call.")
    chains: int = Param(32, title="Chains", ge=1, le=1024)
    steps: int = Param(10, title="Integrator steps", ge=1, le=1000, level="expert")
    integrator: Literal["leapfrog", "omf2", "omf4"] = Param("leapfrog", title="Integrator", level="expert")
    start: Literal["vacua", "plus", "hot"] = Param(
        "vacua", title="Start", level="expert", help="vacua: half of the chains near each vacuum."
    )
    keep: int = Param(0, title="Keep every", ge=0, level="expert", help="Store every k-th configuration; 0: none.")

    @model_validator(mode="after")
    def _affordable(self) -> EnsembleInputs:
        updates = float(self.sites) * self.n * self.chains * self.steps
        if updates > MAX_UPDATES:
            raise ValueError(
                f"n = {self.n} measurements of {self.chains} chains on {self.sites} sites are {updates:.1e} site "
                f"updates, about {updates / 5e8 / 3600:.1f} hours; at most {MAX_UPDATES:.0e} are allowed in one job"
            )
        if 8.0 * self.n * self.chains * (4 + self.shape[0] // 2) > 2**31:
            raise ValueError(f"n = {self.n} with {self.chains} chains records more than 2 GiB; lower one of them")
        if self.keep and 4.0 * self.sites * self.chains * self.components * self.n / self.keep > 2**29:
            raise ValueError(f"keep = {self.keep} would store more than 512 MiB of configurations; raise it")
        return self


@service(
    "lattice.ensemble",
    title="Sample a lattice scalar field",
    summary="Runs HMC, cluster, Metropolis or annealed chains and measures with Gamma-method errors and a verdict.",
    paper=PAPER,
    resources=Resources(cores=1, memory="6 GiB", walltime=timedelta(hours=2)),
    examples={
        "Symmetric phase, 8 x 8": {"m2": -4, "lam": 6.008, "shape": [8, 8]},
        "Broken phase, clusters": {"m2": -4, "lam": 4.0, "shape": [8, 8], "algorithm": "wolff"},
    },
    software=SOFTWARE,
)
def ensemble(inputs: EnsembleInputs, job: Job) -> RunOutputs:
    """Sample a scalar lattice field with a classical Markov chain and measure the standard observables."""
    from colonnade.lattice import sample
    from colonnade.lattice.advise import exact_for

    run = sample(
        inputs.action(),
        inputs.shape,
        _kernel(inputs.algorithm, inputs),
        inputs.n,
        chains=inputs.chains,
        seed=job.rng(),
        start=inputs.start,
        keep=inputs.keep,
        track=lambda items: job.track(items, "Sampling"),
    )
    job.log(f"{run.verdict.status}: {run.verdict.reason}")
    return RunOutputs(
        exact=exact_table(exact_for(run.action, run.shape)),
        configurations=_configurations(run, job),
        **run_results(run),
    )


class ScanInputs(Inputs):
    """A line of couplings on lattices of several sizes."""

    m2: float = Param(-4.0, title="Mass squared m²", ge=-1000, le=1000)
    lam_from: float = Param(3.0, title="λ from", gt=0, le=10_000)
    lam_to: float = Param(6.0, title="λ to", gt=0, le=10_000)
    points: int = Param(7, title="Points", ge=2, le=100)
    sides: list[int] = Param(
        [8, 12], title="Lattice sides", min_length=1, max_length=8, help="Square lattices, 3 to 128."
    )
    n: int = Param(1000, title="Measurements", ge=100, le=100_000)
    chains: int = Param(32, title="Chains", ge=1, le=512)

    @model_validator(mode="after")
    def _line(self) -> ScanInputs:
        if min(self.sides) < 3 or max(self.sides) > 128:
            raise ValueError(f"sides is {self.sides}; every side must be 3 to 128")
        if self.lam_from >= self.lam_to:
            raise ValueError(f"lam_from is {self.lam_from}; it must be below lam_to = {self.lam_to}")
        updates = 10.0 * self.n * self.chains * self.points * sum(s * s for s in self.sides)
        if updates > MAX_UPDATES:
            raise ValueError(
                f"the scan is {updates:.1e} site updates, about {updates / 5e8 / 3600:.1f} core hours; "
                f"at most {MAX_UPDATES:.0e} are allowed in one job"
            )
        return self


class ScanOutputs(Outputs):
    """Observables along the line."""

    table: Table
    chi2: Figure
    binder: Figure


def scan_point(task: dict[str, Any]) -> dict[str, Any]:
    """One point of a scan, on whatever process or node it lands."""
    from colonnade.lattice import HMC, Composite, ScalarAction, Wolff, sample

    action = ScalarAction.from_albergo(task["m2"], task["lam"])
    kernel = Composite([Wolff(action), HMC(action)])
    side = task["side"]
    run = sample(action, (side, side), kernel, task["n"], chains=task["chains"], seed=task["seed"])
    row: dict[str, Any] = {"L": side, "lambda": task["lam"]}
    for name in ("chi2", "binder", "xi2", "phi2", "abs_m"):
        e = run.estimates[name]
        row |= {name: e.value, f"{name} error": e.error}
    return row | {"tau_int": run.estimates["chi2"].tau_int, "status": run.verdict.status}


@service(
    "lattice.scan",
    title="Scan a coupling",
    summary="Susceptibility, Binder cumulant and correlation length along a line of λ for several lattice sizes.",
    paper=PAPER,
    resources=Resources(cores=2, memory="4 GiB", walltime=timedelta(hours=6)),
    examples={"Transition at m² = -4": {"lam_from": 3.5, "lam_to": 5.0, "points": 4, "sides": [4, 8], "n": 300}},
    software=SOFTWARE,
)
def scan(inputs: ScanInputs, job: Job) -> ScanOutputs:
    """Run cluster-and-HMC chains at every point; the points are independent and fan out over the cluster."""
    import numpy as np

    from colonnade.lattice import plots

    line = [float(v) for v in np.linspace(inputs.lam_from, inputs.lam_to, inputs.points)]
    pairs = [(side, lam) for side in inputs.sides for lam in line]
    seeds = job.seeds(len(pairs))
    common = {"m2": inputs.m2, "n": inputs.n, "chains": inputs.chains}
    tasks = [common | {"side": s, "lam": lam, "seed": seed} for (s, lam), seed in zip(pairs, seeds, strict=True)]
    rows = job.map(scan_point, tasks, "Points")

    def figure(name: str, label: str) -> Figure:
        curves = {
            f"L = {side}": [(r[name], r[f"{name} error"]) for r in rows if r["L"] == side] for side in inputs.sides
        }
        return Figure.of(plots.scan(line, curves, "λ", label), title=label)

    table = Table.of({key: [row[key] for row in rows] for key in rows[0]}, title="All points")
    return ScanOutputs(table=table, chi2=figure("chi2", "susceptibility χ₂"), binder=figure("binder", "Binder U₄"))
