"""`causal.simulate`: episodes of a world."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import model_validator

from colonnade.causal.services.common import PAPER, SOFTWARE, WorldInputs
from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.results import Artifact, Figure, Outputs, Table, Video
from colonnade.service import Resources, service

FILM_STEPS = 60


class SimulateInput(WorldInputs):
    """Episodes to simulate."""

    episodes: int = Param(1000, ge=1, le=100_000, title="Episodes")
    steps: int = Param(100, ge=1, le=1000, title="Steps", help="Actions in each episode.")
    policy: Literal["random", "interaction"] = Param(
        "random",
        title="Policy",
        level="expert",
        help="Uniform actions, or in physics half of them against a neighbour.",
    )
    counted_rows: int = Param(
        2000, ge=10, le=10**9, title="Rows for the certificate", level="expert",
        help="For which of the true edges so many interventional rows would be enough.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _affordable(self) -> SimulateInput:
        if self.episodes * self.steps > 20_000_000:
            raise ValueError(
                f"episodes x steps must be at most 20000000, but is {self.episodes * self.steps} "
                f"(about {self.episodes * self.steps / 1e6:.0f} MB)"
            )
        return self


class SimulateOutput(Outputs):
    """What was simulated."""

    film: Video
    graph: Figure
    edges: Table
    counts: Table
    data: Artifact
    animation: Artifact


@service(
    "causal.simulate",
    title="Simulate a world with a known causal graph",
    summary="Episodes of weighted blocks or colour chemistry, with the graph, the strength of its edges, and a film.",
    paper=PAPER,
    resources=Resources(cores=1, memory="3 GiB", walltime=timedelta(minutes=30)),
    examples={
        "Weighted blocks": {"world": "physics", "objects": 5, "episodes": 1000, "steps": 100},
        "A chain of five": {"world": "chemistry", "graph": "chain5", "episodes": 1000, "steps": 100},
        "Delayed edges": {"world": "chemistry", "graph": "0-[2]->1->2, 0->3", "episodes": 200, "steps": 100},
    },
    software=SOFTWARE,
)
def simulate(inputs: SimulateInput, job: Job) -> SimulateOutput:
    """Simulate episodes under a random policy.

    The data file holds latent states (a megabyte for 100,000 transitions); `colonnade.causal.Transitions.load` reads
    it and draws frames when they are needed. The table of edges says for each whether the asked number of rows could
    show it: an edge that no data can show should not count against a method.
    """
    import numpy as np

    from colonnade.causal import films, plots
    from colonnade.causal.data import counts
    from colonnade.causal.oracle import certificate, certificate_columns
    from colonnade.causal.world import graph_of

    world = inputs.make_world()
    data = world.collect(inputs.episodes, inputs.steps, policy=inputs.policy, seed=job.seed % 2**31)
    job.log(f"{len(data)} transitions, {data.actions.size - len(data)} invalid pushes left out.")
    data.save(job.files / "transitions.npz")
    shown, length = min(9, inputs.episodes), min(FILM_STEPS, inputs.steps + 1)
    frames = np.stack([data.draw(np.full(length, e), data.states[e, :length]) for e in range(shown)])
    films.mp4(frames, job.files / "episodes.mp4")
    films.gif(frames, job.files / "episodes.gif")
    edges, graph = certificate(world, inputs.counted_rows), graph_of(world)
    happened = counts(data)
    return SimulateOutput(
        data=job.artifact("transitions.npz", title="Transitions (latent states)"),
        film=Video(file="episodes.mp4", title=f"The first {shown} episodes" if shown > 1 else "The episode"),
        animation=job.artifact("episodes.gif", title="The same as a GIF", media_type="image/gif"),
        graph=Figure.of(plots.graph_figure(graph.adjacency), title="True causal graph"),
        edges=Table.of(
            certificate_columns(edges),
            units={"lag": "steps", "information": "nats"},
            title="Edges",
            caption=f"Identifiable with {inputs.counted_rows} rows at level 0.01 with power 0.9.",
        ),
        counts=Table.of({"step": list(happened), "count": list(happened.values())}, title="What the steps did"),
    )
