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


def measured_table(found: dict[str, Measured], title: str) -> Table:
    names = list(found)
    return Table.of(
        {
            "observable": names,
            "value": [found[n].value for n in names],
            "error": [found[n].error if math.isfinite(found[n].error) else None for n in names],
            "tau_int": [found[n].tau_int for n in names],
            "status": [found[n].status for n in names],
        },
        title=title,
        caption="Errors and autocorrelation times by the Gamma method, in lattice units; "
        "'not converged' marks fewer than 50 tau_int samples.",
    )


def exact_table(exact: Exact | None) -> Table | None:
    if exact is None:
        return None
    names = ["log Z", "phi2", "phi4", "chi2"]
    values = [exact.log_z, exact.phi2, exact.phi4, exact.chi2]
    errors = [exact.log_z_error, *(exact.errors.get(n) for n in names[1:])]
    rows = [(n, v, e) for n, v, e in zip(names, values, errors, strict=True) if v is not None]
    columns = {"quantity": [r[0] for r in rows], "value": [r[1] for r in rows], "error": [r[2] for r in rows]}
    return Table.of(
        columns,
        title=f"Exact values ({exact.method})",
        caption="The error is the change of the result with the bond dimension.",
    )


def run_results(run: Ensemble) -> dict[str, Any]:
    """The outputs that every run has."""
    from colonnade.lattice import plots

    return {
        "verdict": " ".join(filter(None, [f"{run.verdict.status}: {run.verdict.reason}.", run.advice()])),
        "observables": measured_table(run.estimates, "Observables"),
        "acceptance": Table.of({"kernel": list(run.acceptance), "mean": list(run.acceptance.values())}),
        "tunnelling": Estimate(
            value=run.tunnelling, title="Sign changes of M per call", caption="A rate counted over all chains."
        ),
        "history": Figure.of(plots.magnetisation(run), title="Magnetisation"),
        "correlator": Figure.of(plots.correlator(run), title="Correlator of slices"),
    }


class RunOutputs(Outputs):
    """What was measured."""

    verdict: str = Param(title="Verdict")
    observables: Table
    acceptance: Table
    tunnelling: Estimate
    history: Figure
    correlator: Figure
    exact: Table | None = None
    configurations: Artifact | None = None
