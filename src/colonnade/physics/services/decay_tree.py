"""`physics.decay_tree`: decay trees and branching fractions of B mesons."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.physics.services.common import NPZ, PAPER, SOFTWARE, unavailable
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service

SHOWN = 50  # decays in the table


class DecayTreeInputs(Inputs):
    """Which decays."""

    pair: Literal["neutral", "charged"] = Param("neutral", title="B mesons")
    n: int = Param(2000, title="Events", ge=1, le=100_000)
    boost: float = Param(0.28, title="Boost βγ of the Υ(4S)", ge=0, le=2, level="expert")
    table: Annotated[InputFile, Accept(".dec", limit="5 MB")] | None = Param(
        None,
        title="Decay file",
        level="expert",
        help="Your own decay file in EvtGen's format; without one, the Belle II table.",
    )


class DecayTreeOutputs(Outputs):
    """Trees, and how often each decay of the B came."""

    tree: Figure
    branching: Table
    trees: Artifact


@service(
    "physics.decay_tree",
    title="Decay trees of B mesons",
    summary="Draws decay trees of Υ(4S) events from the Belle II decay table and counts the decays of the B.",
    paper=PAPER,
    resources=Resources(cores=1, memory="3 GiB", walltime=timedelta(minutes=30)),
    examples={"neutral B mesons": {"pair": "neutral", "n": 2000}},
    software=SOFTWARE,
    unavailable=unavailable,
)
def decay_tree(inputs: DecayTreeInputs, job: Job) -> DecayTreeOutputs:
    """Let pairs of B mesons decay by phase space along the exclusive modes of a decay table.

    Branching fractions are scaled up to make up for the inclusive modes that are left out, about half in the Belle II
    table.
    """
    import io

    import numpy as np

    from colonnade.physics import DecaySettings, plots, table_trees
    from colonnade.physics.decay_table import belle2_table, read_decay_table
    from colonnade.physics.decays import B_PDG, count_decays

    table = read_decay_table(inputs.table.path) if inputs.table else belle2_table()
    trees = table_trees(inputs.n, job.rng(), DecaySettings(pair=inputs.pair, boost=inputs.boost), table)
    rows = count_decays(trees, B_PDG[inputs.pair], table)[:SHOWN]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, values=trees.values.astype(np.float32), pdg=trees.pdg, mother=trees.mother.astype(np.int16)
    )
    return DecayTreeOutputs(
        tree=Figure.of(plots.decay_graph(trees.pdg[0], trees.mother[0]), title="The first event"),
        branching=Table.of(
            {
                "decay": [" ".join(plots.particle_name(p) for p in daughters) for daughters, _, _ in rows],
                "table": [round(expected, 6) for _, expected, _ in rows],
                "found": [round(found, 6) for _, _, found in rows],
                "error": [round((expected * (1 - expected) / inputs.n) ** 0.5, 6) for _, expected, _ in rows],
            },
            title="Most frequent decays",
            caption="Fractions of the exclusive modes; the error is the one expected for this number of events.",
        ),
        trees=job.artifact("trees.npz", buffer.getvalue(), title="Trees", media_type=NPZ),
    )
