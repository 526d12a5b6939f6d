"""`pruning.calibrate`: thresholds from unlabelled texts, and a promise on agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.pruning.services.common import (
    PAPER,
    SOFTWARE,
    ModelInputs,
    TextsFile,
    layers_table,
    percent,
    unavailable,
)
from colonnade.results import Estimate, Figure, Model, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.pruning.texts import Encoded
    from colonnade.pruning.zoo import Opened

ROWS = 40
DIALS = (0.0, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)


class CalibrateInputs(ModelInputs):
    """A model, texts like those to come, and what is wanted."""

    texts: TextsFile = Param(
        title="Texts", help="At least 40; one a line, or a TSV or CSV file with a column text. Labels are not needed."
    )
    target_speedup: float = Param(
        1.5, title="Wanted saving", unit="times fewer FLOPs", ge=1, le=10, help="Met on the first half of the texts."
    )
    learned: bool = Param(
        False,
        title="Keep the learned thresholds",
        help="Scale those of the model by one factor, in place of new ones from the scores.",
    )
    disagreement: float = Param(
        0.05,
        title="Promised disagreement",
        ge=0.001,
        le=0.5,
        help="Share of answers that may differ from the dense model's.",
    )
    confidence: float = Param(0.95, title="Confidence of the promise", ge=0.5, le=0.999, level="expert")
    max_tokens: int = Param(256, title="Cut texts at", unit="tokens", ge=8, le=512, level="expert")


class CalibrateOutputs(Outputs):
    """The calibrated model and what it promises."""

    agreement: Estimate
    saved: Estimate
    promise: str
    layers: Table
    sweep: Figure
    left: Figure
    bundle: Model


@service(
    "pruning.calibrate",
    title="Calibrate pruning without training",
    summary="Sets thresholds from unlabelled texts for a wanted saving, and finds when to ask the dense model.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB"),
    examples={
        "1.5 times fewer FLOPs": {"texts": "example:pruning.calibrate/unlabelled.txt", "disagreement": 0.1},
        "the learned thresholds, scaled to 2.5 times": {
            "texts": "example:pruning.calibrate/unlabelled.txt",
            "learned": True,
            "target_speedup": 2.5,
            "disagreement": 0.1,
        },
    },
    software=SOFTWARE,
    unavailable=unavailable,
)
def calibrate(inputs: CalibrateInputs, job: Job) -> CalibrateOutputs:
    """Find thresholds on one half of the texts, and measure on the other.

    Layer by layer the threshold is the quantile of the scores that leaves the wanted share of tokens. On the other half
    the answers are compared with the dense model's, and the smallest margin is sought for which, with the confidence
    asked for, answers that are not asked again differ less often than promised (exact binomial bounds, fixed sequence).
    """
    from colonnade.pruning import calibrate as find
    from colonnade.pruning import encode, fit_dial, plots, read_texts, save_bundle
    from colonnade.pruning.evaluation import pareto_sweep

    opened = inputs.opened()
    texts = read_texts(inputs.texts.path)
    if len(texts) < ROWS:
        raise ValueError(f"texts: at least {ROWS} texts are needed, but the file holds {len(texts)}.")
    order = job.rng().permutation(len(texts)).tolist()
    ids = encode(opened.tokenizer, texts, inputs.max_tokens)
    half = len(order) // 2
    seen, held = ids.take(order[:half]), ids.take(order[half:])
    model = opened.model
    model.set_dial(1.0)
    job.log(f"Thresholds from {len(seen)} texts")
    found = (fit_dial if inputs.learned else find)(model, seen, inputs.target_speedup)
    sweep = pareto_sweep(model, held, None, DIALS)
    at_one = next(point for point in sweep if point[0] == 1.0)
    facts, promise = _promise(inputs, opened, held)
    save_bundle(job.files / "model.zip", model, opened.tokenizer, facts)
    return CalibrateOutputs(
        agreement=percent(at_one[2], title="Held-out texts with the dense model's answer"),
        saved=Estimate(value=round(at_one[1], 3), title="Dense FLOPs / pruned FLOPs, held-out texts"),
        promise=promise,
        layers=layers_table(found.rates, found.thresholds),
        sweep=Figure.of(
            plots.pareto(sweep, "agreement with dense", at_one[1:]), title="Agreement and FLOPs along the dial"
        ),
        left=Figure.of(plots.survivors({"texts": found.rates}), title="Tokens left after each layer"),
        bundle=Model(
            file="model.zip",
            title="Calibrated model with its tokenizer",
            parameters=sum(p.numel() for p in model.parameters()),
            details={"model": opened.name, "margin": facts.get("margin")},
        ),
    )


def _promise(inputs: CalibrateInputs, opened: Opened, held: Encoded) -> tuple[dict[str, Any], str]:
    from colonnade.pruning import PruningError, guarantee, predict

    logits = predict(opened.model, held)
    with opened.model.encoder.set(dial=0):
        dense = predict(opened.model, held)
    facts: dict[str, Any] = {"calibrated for": inputs.target_speedup}
    try:
        found = guarantee(logits, dense, inputs.disagreement, inputs.confidence)
    except PruningError as error:
        return facts, str(error)
    facts |= {"margin": found.margin, "disagreement": found.disagreement, "confidence": found.confidence}
    if found.margin > 1:
        return facts, (
            f"No margin keeps disagreement below {found.disagreement:.1%} with {found.confidence:.0%} confidence on "
            f"these {found.texts} texts: the dense model would be asked about all. Prune less, or give more texts."
        )
    return facts, (
        f"When the dense model is asked about texts with a margin below {found.margin:.3f} ({found.asked:.1%} of the "
        f"held-out ones), at most {found.disagreement:.1%} of the answers differ from the dense model's, with "
        f"{found.confidence:.0%} confidence for texts like these; on the held-out ones {found.seen:.2%} did."
    )
