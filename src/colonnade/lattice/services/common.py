"""Inputs and results that several lattice services share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table

if TYPE_CHECKING:
    from colonnade.lattice import Ensemble, Exact, ScalarAction
    from colonnade.lattice import Estimate as Measured

PAPER = "arXiv:2107.00734"
SOFTWARE = ("torch", "numba", "numpy", "scipy", "pyerrors")
MAX_UPDATES = 2e12  # site updates of one job, about an hour of one core


def _check_weights(path: Path) -> None:
    from colonnade.lattice import load_weights

    load_weights(path)


WeightsFile = Annotated[InputFile, Accept(".safetensors", limit="20 MB", check=_check_weights)]


class ActionInputs(Inputs):
    """A scalar action in one of two normalisations, and a periodic lattice."""

    m2: float | None = Param(
        None,
        title="Mass squared m²",
        ge=-1000,
        le=1000,
        help="Action Σ[(∂φ)² + m²φ² + λφ⁴]. Give either m² or κ; the two normalisations also read λ differently.",
    )
    kappa: float | None = Param(
        None,
        title="Hopping parameter κ",
        ge=0,
        le=100,
        help="Action Σ[-2κ φΣφ + (1-2λ)φ² + λφ⁴]. Give either m² or κ.",
    )
    lam: float = Param(title="Quartic coupling λ", ge=0, le=10_000, help="At least 0; 0 is the free field.")
    h: float = Param(0.0, title="External field h", ge=-100, le=100, level="expert", help="Adds -hφ at every site.")
    components: Literal[1, 2] = Param(1, title="Components", level="expert", help="1: real field, 2: complex field.")
    shape: list[int] = Param(
        [8, 8],
        title="Lattice shape",
        min_length=1,
        max_length=3,
        help="One to three periodic sides, at most 65536 sites.",
    )

    def action(self) -> ScalarAction:
        """The action as the library takes it."""
        from colonnade.lattice import ScalarAction

        return ScalarAction.from_couplings(
            m2=self.m2, kappa=self.kappa, lam=self.lam, d=len(self.shape), h=self.h, components=self.components
        )

    @property
    def sites(self) -> int:
        return math.prod(self.shape)

    @model_validator(mode="after")
    def _action_exists(self) -> ActionInputs:
        if min(self.shape) < 1 or max(self.shape) > 256 or self.sites > 65536:
            raise ValueError(f"shape is {self.shape}; every side must be 1 to 256, with at most 65536 sites in all")
        self.action()
        return self


class FlowShape(ActionInputs):
    """An action on a lattice that a flow can live on."""

    @model_validator(mode="after")
    def _flow_exists(self) -> FlowShape:
        if any(n % 2 or n < 4 for n in self.shape) or not len(self.shape) >= 2 or self.sites > 1024:
            raise ValueError(
                f"shape is {self.shape}; flows need two or three even sides of at least 4 and at most 1024 sites "
                "(their checkerboard must close around the torus); lattice.ensemble takes any shape"
            )
        return self


MEANING = (
    "phi2, phi4: ⟨|φ|²⟩, ⟨|φ|⁴⟩; link: ⟨φ_x φ_{x+μ}⟩; energy: its connected part (the Ising energy); chi2: V⟨M²⟩; "
    "abs_m: ⟨|M|⟩; binder: 1 - ⟨M⁴⟩/(3⟨M²⟩²); xi2: second-moment correlation length; mass: gap of the odd channel "
    "(the pole mass in the symmetric phase)"
)


def quality_table(numbers: dict[str, float]) -> Table:
    """The numbers behind the verdict on a flow."""
    return Table.of(
        {"quantity": list(numbers), "value": [float(f"{v:.6g}") for v in numbers.values()]},
        title="The flow",
        caption="reverse_ess and log_z: on the flow's own fields; forward_ess and forward_log_z: on fields of the "
        "target, by HMC started in each vacuum; least_coverage: of a vacuum, relative to the one covered best; "
        "missed: share of the target's fields that the flow draws 20 times too rarely; median_gap: of log w between "
        "the two sets of fields.",
    )


def rounded(value: float, error: float | None) -> tuple[float, float | None]:
    """Value and error to two digits of the error: what the data can bear."""
    if error is None or not (math.isfinite(error) and error > 0):
        return value, None if error is None or not math.isfinite(error) else error
    digits = 1 - math.floor(math.log10(error))
    return round(value, digits), round(error, digits)


def concise(value: float, error: float) -> str:
    """Value with the error of its last digits in brackets, as 1.913(20)."""
    value, shown = rounded(value, error)
    if not shown:
        return f"{value:.6g}"
    digits = max(1 - math.floor(math.log10(shown)), 0)
    return f"{value:.{digits}f}({shown:.{digits}f})" if shown >= 1 else f"{value:.{digits}f}({shown * 10**digits:.0f})"


def measured_table(found: dict[str, Measured], exact: Exact | None) -> Table:
    """What was measured, with exact values beside it where there are any."""
    names, known = list(found), _exact_values(exact)
    pairs = [rounded(found[n].value, found[n].error) for n in names]
    columns: dict[str, list[Any]] = {
        "observable": names,
        "value": [v for v, _ in pairs],
        "error": [e for _, e in pairs],
    }
    if known:
        columns["exact"] = [rounded(*known[n])[0] if n in known else None for n in names]
    columns |= {
        "tau_int": [round(found[n].tau_int, 3) for n in names],
        "status": [found[n].status for n in names],
    }
    return Table.of(
        columns,
        title="Observables",
        caption=f"In lattice units. {MEANING}. Errors and autocorrelation times (in sampler calls) are by the Gamma "
        "method; 'not converged' marks fewer than 50 tau_int samples.",
    )


def _exact_values(exact: Exact | None) -> dict[str, tuple[float, float]]:
    """Exact values with their errors by the names of `measured_table`."""
    if exact is None:
        return {}
    values = {"phi2": exact.phi2, "phi4": exact.phi4, "chi2": exact.chi2}
    found = {name: (v, exact.errors.get(name, 0.0)) for name, v in values.items() if v is not None}
    if exact.two_point is not None:
        g = exact.two_point
        ahead = [g[tuple(int(k == mu) % n for k, n in enumerate(g.shape))] for mu in range(g.ndim)]
        found["link"] = (sum(map(float, ahead)) / g.ndim, exact.errors.get("two_point", 0.0))
    return found


def exact_table(exact: Exact | None) -> Table | None:
    """Exact values with the error of their truncation."""
    if exact is None:
        return None
    rows = {"log Z": (exact.log_z, exact.log_z_error)} | _exact_values(exact)
    pairs = [rounded(*pair) for pair in rows.values()]
    return Table.of(
        {"quantity": list(rows), "value": [v for v, _ in pairs], "error": [e for _, e in pairs]},
        title=f"Exact values ({exact.method})",
        caption="The error is the change of the result with the bond dimension; 0: closed form.",
    )


def run_results(run: Ensemble, exact: Exact | None) -> dict[str, Any]:
    """The outputs that every run has."""
    from colonnade.lattice import plots

    steps = [label.split(".") for label in run.acceptance]
    return {
        "verdict": " ".join(filter(None, [f"{run.verdict.status}: {run.verdict.reason}.", run.advice()])),
        "observables": measured_table(run.estimates, exact),
        "exact": exact_table(exact),
        "acceptance": Table.of(
            {
                "kernel": [s[-2] if len(s) > 1 else run.kernel.name for s in steps],
                "quantity": [s[-1].replace("_", " ") for s in steps],
                "mean": list(run.acceptance.values()),
            },
            title="Acceptance",
        ),
        "tunnelling": Estimate(
            value=run.tunnelling, title="Sign changes of M per call", caption="A rate counted over all chains."
        ),
        "history": Figure.of(plots.magnetisation(run), title="Magnetisation"),
        "correlator": Figure.of(plots.correlator(run), title="Correlator of slices and effective mass"),
    }


class RunOutputs(Outputs):
    """What was measured."""

    verdict: str = Param(title="Verdict")
    observables: Table
    exact: Table | None
    acceptance: Table
    tunnelling: Estimate
    history: Figure
    correlator: Figure
    configurations: Artifact | None = None
