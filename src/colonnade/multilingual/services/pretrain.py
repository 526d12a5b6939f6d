"""`multilingual.pretrain`: a small multilingual model from your text, or a controlled experiment with Fake-English."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.multilingual.services.common import (
    SOFTWARE,
    TextsFile,
    multilingual_service,
    rounded,
    told,
)
from colonnade.results import Figure, Model, Outputs, Table
from colonnade.service import Resources

if TYPE_CHECKING:
    from colonnade.multilingual.data import Parallel
    from colonnade.multilingual.pretrain import Plan, Trained

SETTING_NAMES = (
    "original, own special pieces, own positions, no random replacement, all three, inverted order, a quarter shared, "
    "not parallel, monolingual"
)


class PretrainInputs(Inputs):
    """Text, an architecture, objectives, and how languages are mixed."""

    text: TextsFile = Param(
        title="Text",
        help="A .tsv whose header names the languages (its rows are translations), or a .zip of files of lines named "
        "by language.",
    )
    aligned: bool = Param(
        False, title="The files of the .zip are translations line by line", help="A .tsv always holds translations."
    )
    kind: Literal["model", "controlled"] = Param(
        "model",
        title="What to train",
        help="model: one model on all languages; controlled: the first language beside copies of itself "
        "(Fake-English), one model a setting, to see what makes it multilingual.",
    )
    settings: str = Param(
        "original, all three, monolingual", title="Settings", max_length=400, group="Controlled",
        help=f"Of controlled, separated by commas: {SETTING_NAMES}.",
    )  # fmt: skip
    runs: int = Param(1, title="Seeds a setting", ge=1, le=10, group="Controlled")
    vocabulary: int = Param(2000, title="Vocabulary", unit="pieces", ge=300, le=64_000, help="Byte-level BPE.")
    steps: int = Param(300, title="Steps", ge=1, le=200_000)
    tokens: int = Param(2048, title="Pieces a step", ge=256, le=65_536, level="expert")
    layers: int = Param(4, title="Layers", ge=1, le=24)
    hidden: int = Param(64, title="Width of the layers", ge=16, le=1024)
    heads: int = Param(2, title="Heads", ge=1, le=16, level="expert")
    longest: int = Param(128, title="Longest sentence", unit="pieces", ge=16, le=512, level="expert")
    rate: float = Param(2e-3, title="Learning rate", ge=1e-6, le=0.1, level="expert")
    mlm: float = Param(1, title="Masked language model", ge=0, le=100, group="Objectives", help="Share of the steps.")
    tlm: float = Param(
        0, title="Translation language model", ge=0, le=100, group="Objectives", help="Needs translations."
    )
    clm: float = Param(0, title="Causal language model", ge=0, le=100, group="Objectives", level="expert")
    contrastive: float = Param(0, title="Contrast of translations", ge=0, le=100, group="Objectives", level="expert")
    sampling: Literal["exponent", "unimax"] = Param(
        "exponent", title="Mixing of languages", group="Sampling",
        help="exponent: by size to the power alpha; unimax: all alike, but no language more than so many epochs.",
    )  # fmt: skip
    alpha: float = Param(0.3, title="alpha", ge=0, le=1, group="Sampling", help="1: by size; 0: all languages alike.")
    epochs: float = Param(10, title="Most epochs of UniMax", ge=0.01, le=10_000, group="Sampling", level="expert")

    @model_validator(mode="after")
    def _fits(self) -> PretrainInputs:
        if self.hidden % self.heads:
            raise ValueError(f"heads: heads is {self.heads}, which does not divide hidden ({self.hidden})")
        if self.mlm + self.tlm + self.clm + self.contrastive <= 0:
            raise ValueError("mlm: no objective has a weight; give one a weight above 0")
        if self.kind == "controlled":
            names = [name.strip() for name in self.settings.split(",") if name.strip()]
            unknown = [name for name in names if name not in SETTING_NAMES.split(", ")]
            if unknown or not names:
                raise ValueError(f"settings: {', '.join(unknown) or 'nothing'} is no setting; known: {SETTING_NAMES}")
        return self

    def plan(self, seed: int) -> Plan:
        """The library's plan."""
        from colonnade.multilingual.pretrain import Plan

        return Plan(
            layers=self.layers,
            hidden=self.hidden,
            heads=self.heads,
            feedforward=4 * self.hidden,
            width=self.longest,
            tokens=max(self.tokens, self.longest),
            steps=self.steps,
            rate=self.rate,
            alpha=self.alpha,
            unimax=self.epochs if self.sampling == "unimax" else None,
            objectives={"mlm": self.mlm, "tlm": self.tlm, "clm": self.clm, "contrastive": self.contrastive},
            seed=seed,
        )


class PretrainOutputs(Outputs):
    """What was learnt, beside the controls."""

    verdict: str = Param(title="Verdict")
    curve: Figure | None = None
    table: Table
    mixing: Table | None = None
    layers: Figure | None = None
    model: Model | None = None
    notes: str = Param(title="Notes")


@multilingual_service(
    "multilingual.pretrain",
    title="Pretrain a small multilingual model",
    summary="Trains a small BERT on your languages (MLM, TLM, CLM, contrast), or runs controlled experiments.",
    resources=Resources(cores=1, memory="6 GiB", walltime=timedelta(hours=12)),
    examples={
        "English and German, masked and translation objectives": {
            "text": "example:multilingual.pretrain/flores-eng-deu.tsv",
            "tlm": 1,
            "steps": 150,
        },
        "What makes a model multilingual: English and Fake-English": {
            "text": "example:multilingual.pretrain/flores-eng-deu.tsv",
            "kind": "controlled",
            "vocabulary": 800,
            "steps": 50,
            "layers": 2,
        },
    },
    software=SOFTWARE,
)
def pretrain(inputs: PretrainInputs, job: Job) -> PretrainOutputs:
    """Train a vocabulary and a BERT from nothing, and say what it knows that an untrained one does not.

    The last tenth of the lines (at most 200) is held out: masked-language-model losses on it, and, where lines are
    translations, retrieval beside the same model untrained and a bag of n-grams. Small models trained for minutes are
    often no better than these: the table says so. The model comes as a folder that Hugging Face's programs read, and
    that the other services take as your own encoder. A run that is interrupted goes on from its last checkpoint.
    """
    from colonnade.multilingual.data import Parallel, read_aligned, read_texts

    parallel = inputs.aligned or inputs.text.name.lower().endswith(".tsv")
    text: Any = read_aligned(inputs.text.path) if parallel else read_texts(inputs.text.path)
    lines = dict(text.sentences) if isinstance(text, Parallel) else text
    return _controlled(inputs, job, lines) if inputs.kind == "controlled" else _model(inputs, job, lines, parallel)


def _split(lines: dict[str, Any]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    from colonnade.multilingual.errors import enough

    for name, one in lines.items():
        enough(f"lines of {name}", len(one), 20, "training with held-out lines")
    held = {name: min(200, max(10, len(one) // 10)) for name, one in lines.items()}
    return (
        {name: list(one[: -held[name]]) for name, one in lines.items()},
        {name: list(one[-held[name] :]) for name, one in lines.items()},
    )


def _model(inputs: PretrainInputs, job: Job, lines: dict[str, Any], parallel: bool) -> PretrainOutputs:
    from colonnade.archives import pack
    from colonnade.multilingual.data import Parallel
    from colonnade.multilingual.pretrain import PackedBert, encode, held_out_loss, save_folder, train
    from colonnade.multilingual.tokens import train_bpe

    kept, held = _split(lines)
    tokenizer = train_bpe([line for one in kept.values() for line in one], inputs.vocabulary)
    corpus = encode(tokenizer, Parallel(kept) if parallel and len(kept) > 1 else kept)
    tests = encode(tokenizer, held).languages
    plan = inputs.plan(job.seed % 2**31)
    bar = job.bar("Training", plan.steps)
    done = train(
        plan, corpus, resume=job.resume(), checkpoint=job.checkpoint, every=100, progress=lambda k, loss: bar(k)
    )
    fresh = PackedBert(plan, corpus.vocabulary).eval()
    losses = [[held_out_loss(one, test, plan, corpus.alphabet) for one in (fresh, done.model)] for test in tests]
    folder = save_folder(done.model, tokenizer, job.directory / "model")
    pack(folder, job.files / "model.zip")
    table = {
        "language": [test.name for test in tests],
        "held-out lines": [len(test) for test in tests],
        "loss untrained": [rounded(before) for before, _ in losses],
        "loss": [rounded(after) for _, after in losses],
    }
    said = f"{done.tokens:,} pieces in {plan.steps} steps: held-out loss "
    said += ", ".join(f"{test.name} {after:.2f}" for test, (_, after) in zip(tests, losses, strict=True))
    layers = None
    if parallel and len(held) > 1:
        found, more, layers = _retrieval(folder, Parallel(held))
        table |= found
        said += more
    return PretrainOutputs(
        verdict=said + ("" if said.endswith(".") else "."),
        curve=Figure.of(_curve(done), title="Loss of the training"),
        table=Table.of(
            table,
            title="What was learnt",
            caption="loss: nats a masked piece on held-out lines; P@1 (best layer): mean with all other languages, "
            "both directions, beside the same model untrained and a bag of n-grams.",
        ),
        mixing=_mixing(done),
        layers=layers,
        model=Model(
            file="model.zip",
            title="The model as a Hugging Face folder",
            parameters=sum(value.numel() for value in done.model.parameters()),
            details={"layers": plan.layers, "hidden": plan.hidden, "pieces": corpus.vocabulary, "steps": plan.steps},
        ),
        notes=told(done.notes),
    )


def _retrieval(folder: Any, text: Parallel) -> tuple[dict[str, list[Any]], str, Figure]:
    """Columns, a sentence and a figure: the model beside itself untrained, and n-grams."""
    from colonnade.multilingual import plots
    from colonnade.multilingual.encoders import NgramEncoder, TransformerEncoder, random_twin
    from colonnade.multilingual.evaluate import retrieval

    encoder = TransformerEncoder.from_folder(folder)
    layers = range(encoder.depth + 1)
    after, before = (retrieval(one, text, layers=layers, centred=True) for one in (encoder, random_twin(encoder)))
    grams = retrieval(NgramEncoder(), text)
    columns = {
        "P@1": [rounded(after.mean_to(code, after.best).value) for code in text.codes],
        "P@1 untrained": [rounded(before.mean_to(code, before.best).value) for code in text.codes],
        "P@1 n-grams": [rounded(grams.mean_to(code).value) for code in text.codes],
    }
    mine, control = after.curve[after.best], max(before.curve[before.best], grams.curve[0])
    said = f"; retrieval {mine:.3f} at layer {after.layers[after.best]} (untrained {before.curve[before.best]:.3f}, "
    said += f"n-grams {grams.curve[0]:.3f}, chance {after.chance:.3f}). "
    said += (
        "It finds more than its controls." if mine > control else "It knows no more of translation than its controls."
    )
    curves = {"trained": after.curve, "control: untrained": before.curve, "control: n-grams": grams.curve * len(layers)}
    figure = plots.curves(layers, curves, "mean P@1", top=max(0.1, 1.15 * max(map(max, curves.values()))))
    return columns, said, Figure.of(figure, title="Retrieval by layer")


def _curve(done: Trained) -> Any:
    """Losses by step, one line an objective, smoothed over the last twentieth of the steps."""
    import numpy as np
    import plotly.graph_objects as go

    from colonnade.multilingual import plots

    figure = go.Figure()
    for k, name in enumerate(sorted(set(done.objectives))):
        steps = np.array([i for i, one in enumerate(done.objectives) if one == name])
        window = max(1, len(steps) // 20)
        kernel = np.ones(window) / window
        smooth = np.convolve(done.losses[steps], kernel, "valid")
        shown = np.unique(np.linspace(0, len(smooth) - 1, min(400, len(smooth))).astype(int))
        x, y = steps[window - 1 :][shown] + 1, smooth[shown]
        figure.add_scatter(
            x=x.tolist(), y=[round(v, 4) for v in y.tolist()], name=name, line={"color": plots.PALETTE[k]}
        )
    figure.update_layout(xaxis_title="step", yaxis_title="loss (nats)", showlegend=True)
    return figure


def _mixing(done: Trained) -> Table:
    report = done.mixing
    return Table.of(
        {
            "language": list(report.languages),
            "lines": list(report.sizes),
            "share of lines": [rounded(value) for value in report.shares],
            "share of draws": [rounded(value) for value in report.drawn],
            "epochs": [rounded(value, 2) for value in report.epochs],
        },
        title="How languages are mixed",
    )


def _controlled(inputs: PretrainInputs, job: Job, lines: dict[str, Any]) -> PretrainOutputs:
    from dataclasses import replace

    from colonnade.multilingual import plots
    from colonnade.multilingual.pretrain import SETTINGS, Specials, experiment
    from colonnade.multilingual.tokens import train_bpe

    code = next(iter(lines))
    kept, held = _split({code: lines[code]})
    tokenizer = train_bpe(kept[code], inputs.vocabulary)
    text, tests = (
        [one.ids for one in tokenizer.encode_batch(part[code], add_special_tokens=False)] for part in (kept, held)
    )
    names = [name.strip() for name in inputs.settings.split(",") if name.strip()]
    plan = replace(inputs.plan(0), objectives={"mlm": 1.0})
    seeds = [seed % 2**31 for seed in job.seeds(inputs.runs)]
    bar = job.bar("Training", plan.steps * len(names) * len(seeds))
    rows = experiment(
        text,
        tests,
        tokenizer.get_vocab_size(),
        Specials.of(tokenizer),
        [SETTINGS[name] for name in names],
        plan,
        seeds=seeds,
        progress=lambda k, loss: bar(k),
    )
    scores = {name: [row for row in rows if row.setting == name] for name in names}
    mean = {name: sum(row.after.score for row in found) / len(found) for name, found in scores.items()}
    control = {name: sum(row.before.score for row in found) / len(found) for name, found in scores.items()}
    said = f"{code} and its copy, {rows[0].tokens:,} pieces a run. Score (untrained): "
    said += ", ".join(f"{name} {value:.3f} ({control[name]:.3f})" for name, value in mean.items()) + ". "
    above = [name for name in names if mean[name] > control[name]]
    said += (
        f"Above its own untrained model: {', '.join(above)}." if above else "No setting is above its untrained model."
    )
    depth = range(plan.layers + 1)
    curves = {
        name: [sum(row.after.retrieval[k] for row in found) / len(found) for k in depth]
        for name, found in scores.items()
    }
    curves["control: untrained"] = [sum(row.before.retrieval[k] for row in rows) / len(rows) for k in depth]
    return PretrainOutputs(
        verdict=said,
        table=Table.of(
            {
                "setting": [row.setting for row in rows],
                "seed": [k % len(seeds) + 1 for k in range(len(rows))],
                "score": [rounded(row.after.score) for row in rows],
                "score untrained": [rounded(row.before.score) for row in rows],
                "retrieval": [rounded(row.after.best_retrieval) for row in rows],
                "translation": [rounded(max(row.after.translation)) for row in rows],
                "alignment": [rounded(max(row.after.alignment)) for row in rows],
                "loss": [rounded(row.loss[0]) for row in rows],
                "loss of the copy": [rounded(row.loss[1]) for row in rows],
            },
            title="Controlled languages",
            caption="score: mean of retrieval, word translation (P@1) and word alignment (F1) at layers 0 and 2/3 of "
            "the depth; the three columns: at their best layer. Shared positions alone align many words: compare with "
            "the untrained score.",
        ),
        layers=Figure.of(plots.curves(depth, curves, "P@1", top=None), title="Retrieval by layer"),
        notes=told([f"chance: retrieval {rows[0].after.chance[0]:.3f}, translation {rows[0].after.chance[1]:.3f}"]),
    )
