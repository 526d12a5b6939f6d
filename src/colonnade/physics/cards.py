"""Data cards and model cards: what a file holds, how it was made, and what it must not be taken for."""

from __future__ import annotations

import json

from colonnade.physics.schema import spec
from colonnade.physics.shards import Dataset
from colonnade.physics.training import Report

_LIMITS = {
    "top": (
        "Generated with the processes and cuts of the public set; the detector is a fast energy flow of our own, not "
        "Delphes. No pile-up, no magnetic field, no forward calorimeter."
    ),
    "airshower": (
        "The published parametrisation, with equal shares of p, He, N and Fe unless set otherwise; the composition of "
        "the public set is not stated by its authors."
    ),
    "belle": (
        "The label is a stated parametric selection, not that of the Belle II software. With the generator 'table' "
        "half of all B decays (the inclusive ones) are left out, resonances have no width, decays follow phase space."
    ),
    "eos": (
        "A surrogate: 2+1-dimensional ideal hydrodynamics without viscosity or resonance decays. Its numbers must not "
        "be compared with those of the public set, which comes from CLVisc."
    ),
    "spinodal": (
        "A surrogate: a two-dimensional van der Waals fluid. Its numbers must not be compared with those of the public "
        "set, which comes from UrQMD."
    ),
}


def data_card(data: Dataset) -> str:
    """A Markdown page about a data set."""
    described, told = data.spec, data.metadata
    official = bool(told.get("official"))
    source = "the official file" if official else f"{described.origin}: {described.made_by}"
    lines = [
        f"# {described.title}",
        "",
        f"{len(data)} events; {source}.",
        "",
        "| column | shape | unit | meaning |",
        "|---|---|---|---|",
        *(f"| {c.name} | {c.shape} | {c.unit} | {c.meaning} |" for c in data.columns),
        "",
    ]
    if not official:
        lines += [_LIMITS[described.name], "", "## Made by", "", "```json"]
        lines += [
            json.dumps({k: told.get(k) for k in ("seed", "settings", "software")}, indent=1, sort_keys=True),
            "```",
            "",
        ]
    lines += [f"Licence of the official set: {described.licence}.", f"Cite: {described.citation}."]
    return "\n".join(lines) + "\n"


def model_card(report: Report, data: Dataset) -> str:
    """A Markdown page about a trained model."""
    described = spec(report.dataset)
    lines = [
        f"# {report.model} on {described.title.lower()}",
        "",
        f"{report.parameters} parameters; tested on {report.events} events that it was not trained on.",
        "",
        "| measure | value | 68 % interval |",
        "|---|---|---|",
        *(f"| {name} | {v.value:.4g} | {v.low:.4g} to {v.high:.4g} |" for name, v in report.measures.items()),
        "",
        "Trained on " + ("official events." if data.metadata.get("official") else _LIMITS[report.dataset]),
    ]
    return "\n".join(lines) + "\n"
