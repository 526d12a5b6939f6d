"""`pruning.profile`: how fast an encoder of a shape is on this machine, dense and pruned."""

from __future__ import annotations

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.pruning.services.common import PAPER, SOFTWARE, unavailable
from colonnade.results import Estimate, Figure, Outputs, Table
from colonnade.service import Resources, service

MAX_FLOPS = 4e11  # of one dense pass at the longest length
POINTS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class ProfileInputs(Inputs):
    """An encoder's shape, a batch, and how fast tokens leave."""

    layers: int = Param(6, title="Layers", ge=1, le=24)
    width: int = Param(384, title="Width d", ge=32, le=1024, help="A multiple of the heads.")
    heads: int = Param(12, title="Heads", ge=1, le=16)
    inner: int = Param(0, title="Inner width", ge=0, le=4096, level="expert", help="Of the feed-forward block; 0: 4 d.")
    tokens: int = Param(256, title="Longest text", unit="tokens", ge=16, le=2048)
    batch: int = Param(1, title="Texts at once", ge=1, le=64)
    left: float = Param(
        0.1, title="Tokens left at the end", ge=0.0, le=1.0, help="The share falls linearly from all to this."
    )
    rows: int = Param(
        64, title="Rows looked at", ge=1, le=2048, level="expert", help="Of the attention, for the scores."
    )
    rounds: int = Param(5, title="Rounds", ge=3, le=50, level="expert", help="Medians are taken over so many.")

    @model_validator(mode="after")
    def _affordable(self) -> ProfileInputs:
        if self.width % self.heads:
            raise ValueError(f"width: width must be a multiple of heads ({self.heads}), but is {self.width}")
        d, f = self.width, self.inner or 4 * self.width
        cost = 2 * self.layers * self.batch * self.tokens * (4 * d * d + 2 * d * self.tokens + 2 * d * f)
        if cost > MAX_FLOPS:
            raise ValueError(
                f"tokens: one dense pass would take {cost:.1e} FLOPs, but at most {MAX_FLOPS:.0e} are taken; "
                "lower tokens, batch, layers or width"
            )
        return self


class ProfileOutputs(Outputs):
    """Times and gains by length."""

    gain: Estimate
    bypass: Estimate
    speed: Estimate
    table: Table
    curve: Figure
    note: str


@service(
    "pruning.profile",
    title="Profile a pruned encoder on this machine",
    summary="Measures how much faster an encoder of a given shape runs here when tokens leave at a given rate.",
    paper=PAPER,
    resources=Resources(cores=1, memory="6 GiB"),
    examples={
        "six layers of 384, one text": {"tokens": 256},
        "the same, eight texts at once": {"tokens": 128, "batch": 8},
    },
    software=SOFTWARE,
    unavailable=unavailable,
    repeatable=False,
)
def profile(inputs: ProfileInputs, job: Job) -> ProfileOutputs:
    """Time random weights of the shape: dense, pruned, and transformers' own model, in turn on one thread.

    Tokens leave by a top-k cascade, so that the wanted share leaves whatever the weights. The dense and the pruned way
    share everything else, so that their ratio is what removal gains. From the times come the speed of this machine and
    the length below which pruning does not pay (a predicted gain below 1.05), the model's setting `bypass`.
    """
    from colonnade.pruning import plots
    from colonnade.pruning.profiling import profile_shape

    inner = inputs.inner or 4 * inputs.width
    lengths = [n for n in POINTS if n < inputs.tokens] + [inputs.tokens]
    bar = job.bar("Timing", len(lengths))
    found = profile_shape(
        layers=inputs.layers, width=inputs.width, heads=inputs.heads, inner=inner, lengths=lengths, batch=inputs.batch,
        left=inputs.left, rows=inputs.rows, rounds=inputs.rounds, seed=job.seed % 2**32, progress=bar,
    )  # fmt: skip
    last = found.points[-1]
    table = Table.of(
        {
            "tokens": [p.length for p in found.points],
            "transformers": [round(1000 * p.transformers, 3) for p in found.points],
            "dense": [round(1000 * p.dense, 3) for p in found.points],
            "scored": [round(1000 * p.scored, 3) for p in found.points],
            "pruned": [round(1000 * p.pruned, 3) for p in found.points],
            "gain": [round(p.gain, 3) for p in found.points],
            "FLOPs ratio": [round(p.ratio, 3) for p in found.points],
            "efficiency": [round(p.gain / p.ratio, 3) for p in found.points],
        },
        units=dict.fromkeys(("transformers", "dense", "scored", "pruned"), "ms"),
        title="Times of a batch",
        caption="dense: packed, all tokens; scored: all tokens kept, but scores computed in every layer; gain: dense "
        "over pruned; efficiency: gain over the ratio of the FLOPs that are executed.",
    )
    return ProfileOutputs(
        gain=Estimate(value=round(last.gain, 3), title=f"Gain at {last.length} tokens"),
        bypass=Estimate(
            value=found.bypass,
            unit="tokens",
            title="Shortest text worth pruning",
            caption="From the fitted speed and the price of scoring; the predicted gain is 1.05 there.",
        ),
        speed=Estimate(value=round(found.speed / 1e9, 2), unit="GFLOP/s", title="Speed when dense"),
        table=table,
        curve=Figure.of(
            plots.gains(
                lengths,
                {"pruned": [p.gain for p in found.points], "scored": [p.dense / p.scored for p in found.points]},
                [p.ratio for p in found.points],
            ),
            title="Gain by length",
        ),
        note=f"Scoring costs {1e3 * found.overhead:.3f} ms a layer and text at {last.length} tokens, "
        f"{found.overhead / (last.dense / inputs.layers / inputs.batch):.1%} of a dense layer.",
    )
