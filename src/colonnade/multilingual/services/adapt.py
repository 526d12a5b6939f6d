"""`multilingual.adapt`: diagnose a language in a model, recommend, adapt, evaluate again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.multilingual.services.common import (
    ALIGNED_HELP,
    SOFTWARE,
    AlignedFile,
    AlignedInputs,
    multilingual_service,
    rounded,
    told,
)
from colonnade.results import Figure, Model, Outputs, Table
from colonnade.service import Resources

if TYPE_CHECKING:
    from colonnade.multilingual.adapt.methods import Outcome
    from colonnade.multilingual.adapt.pipeline import Diagnosis
    from colonnade.multilingual.data import Parallel
    from colonnade.multilingual.encoders import Encoder

LEARNING = ("adapter", "continued", "vocabulary")


class AdaptInputs(AlignedInputs):
    """Translations between a language the model knows and a new one, and how to bring it in."""

    text: AlignedFile = Param(
        title="Translations", help=ALIGNED_HELP + " The first language is one the model knows, the second the new one."
    )
    method: Literal["recommended", "procrustes", "contrast", "lora", "adapter", "continued", "vocabulary"] = Param(
        "recommended",
        title="Method",
        help="procrustes: a rotation of sentence vectors; contrast, lora: an adapter or LoRA trained on translations; "
        "adapter (MAD-X), continued, vocabulary (FOCUS): masked language modelling, for your own model with its head.",
    )
    romanise: bool = Param(False, title="Romanise the new language", help="For a script the vocabulary lacks.")
    held_out: int = Param(100, title="Held-out sentences", ge=10, le=5000, help="The last so many; at most a half.")
    epochs: int = Param(3, title="Epochs", ge=1, le=100, level="expert", help="Of contrast and lora.")
    steps: int = Param(200, title="Steps", ge=1, le=100_000, level="expert", help="Of masked language modelling.")
    rate: float = Param(1e-3, title="Learning rate", ge=1e-6, le=0.1, level="expert")

    @model_validator(mode="after")
    def _can(self) -> AdaptInputs:
        if self.method in LEARNING and self.own_model is None:
            raise ValueError(
                f"method: {self.method} needs a masked language model of your own (multilingual.pretrain makes one); "
                f"encoder {self.model} has no head"
            )
        if self.method in ("contrast", "lora") and self.own_model is None and self.model != "e5":
            raise ValueError(f"method: {self.method} trains a transformer, which {self.model} is not; take procrustes")
        return self


class AdaptOutputs(Outputs):
    """The new language before and after."""

    verdict: str = Param(title="Verdict")
    table: Table
    diagnosis: Table
    advice: Table
    scores: Figure
    curve: Figure | None = None
    model: Model
    notes: str = Param(title="Notes")


@multilingual_service(
    "multilingual.adapt",
    title="Bring a new language into a model",
    summary="Diagnoses a language in an encoder, recommends a method, adapts, and compares before with after.",
    resources=Resources(cores=1, memory="8 GiB", walltime=timedelta(hours=12)),
    examples={
        "Kabyle into e5 by a rotation": {
            "text": "example:multilingual.adapt/flores-eng-kab.tsv",
            "method": "procrustes",
        },
        "Kabyle into the control by a rotation": {
            "text": "example:multilingual.adapt/flores-eng-kab.tsv",
            "method": "procrustes",
            "model": "ngrams",
        },
    },
    software=(*SOFTWARE, "peft", "uroman"),
)
def adapt(inputs: AdaptInputs, job: Job) -> AdaptOutputs:
    """Measure how a model serves a language, choose a remedy, apply it, and measure on sentences it was not shown.

    P@1 is retrieval between the new language and the one the model knows, both directions; the p-value is of a paired
    test over held-out sentences. Vectors of the known language stay what they were. For a masked language model of your
    own the loss a character is compared too, which vocabularies of different size can be.
    """
    from colonnade.multilingual.adapt import diagnose, recommend, romanise
    from colonnade.multilingual.data import Parallel

    text = inputs.pair()
    known, new = text.codes
    if inputs.romanise:
        text = Parallel({known: text.sentences[known], new: romanise(text.sentences[new], new[:3])}, text.notes)
    cut = len(text) - min(inputs.held_out, len(text) // 2)
    train, held = (
        Parallel({code: list(lines[part]) for code, lines in text.sentences.items()})
        for part in (slice(cut), slice(cut, None))
    )
    encoder = inputs.encoder(job)
    found = diagnose(encoder, held, known, new)
    head = inputs.own_model is not None and _has_head(job.directory / "model")
    advice = recommend(found, pairs=len(train), lines=len(train) if head else 0, head=head)
    method = inputs.method if inputs.method != "recommended" else _first(advice, encoder.name, inputs.own_model is None)
    job.log(f"{new}: {method}")
    done = _run(inputs, job, encoder, train, held, method)
    return _outputs(inputs, job, found, advice, done, [*text.notes, *encoder.notes, *done.notes])


def _has_head(folder: Path) -> bool:
    import json

    config = next(folder.rglob("config.json"))
    return "MaskedLM" in str(json.loads(config.read_text(encoding="utf-8")).get("architectures"))


def _first(advice: list[tuple[str, str]], name: str, named: bool) -> str:
    """The first step that is a method; n-grams and USE can only be rotated."""
    steps = [step for step, _ in advice if step not in ("romanise", "nothing")]
    if named and name != "multilingual-e5-small":
        return "procrustes"
    return steps[0] if steps else "procrustes"


def _run(inputs: AdaptInputs, job: Job, encoder: Encoder, train: Parallel, held: Parallel, method: str) -> Outcome:
    from colonnade.multilingual.adapt.methods import align_language, learn_language

    known, new = train.codes
    judged = (held.sentences[known], held.sentences[new])
    seed = job.seed % 2**31
    if method in LEARNING:
        bar = job.bar("Learning", inputs.steps)
        folder = next((job.directory / "model").rglob("config.json")).parent
        return learn_language(
            folder,
            train.sentences[new],
            judged,
            method,
            steps=inputs.steps,
            rate=inputs.rate,
            seed=seed,
            out=job.directory / "adapted",
            progress=lambda k, loss: bar(k),
        )
    bar = job.bar("Aligning", inputs.epochs * (-(-len(train) // 16)))
    return align_language(
        encoder,
        (train.sentences[known], train.sentences[new]),
        judged,
        method,
        epochs=inputs.epochs,
        rate=inputs.rate,
        seed=seed,
        progress=lambda k, loss: bar(k),
    )


def _outputs(
    inputs: AdaptInputs,
    job: Job,
    found: Diagnosis,
    advice: list[tuple[str, str]],
    done: Outcome,
    notes: list[str],
) -> AdaptOutputs:
    from colonnade.multilingual import plots
    from colonnade.multilingual.evaluate import bootstrap, paired_test

    before, after = bootstrap(done.before), bootstrap(done.after)
    p = paired_test(done.before, done.after)
    said = (
        f"{found.language} from {found.reference} by {done.method}: P@1 {before.value:.3f} before, {after.value:.3f} "
    )
    said += f"({after.low:.3f} to {after.high:.3f}) after, on {len(done.after)} held-out sentences (p = {p:.4f}). "
    gain = after.value - before.value
    said += "It helped." if gain > 0 and p < 0.05 else "It harmed." if gain < 0 and p < 0.05 else "No clear difference."
    table = {
        "": ["before", "after"],
        "P@1": [rounded(before.value), rounded(after.value)],
        "from": [rounded(before.low), rounded(after.low)],
        "to": [rounded(before.high), rounded(after.high)],
    }
    if done.loss is not None:
        table["loss a character"] = [rounded(value) for value in done.loss]
    row = found.audit
    facts: dict[str, object] = {"P@1 of n-grams": rounded(found.control), "chance": rounded(found.chance)}
    if row is not None:
        facts |= {
            "script": row.script.title(), f"pieces beside {found.reference}": rounded(row.parity or 0.0),
            "unknown pieces": rounded(row.unknown), "characters a piece": rounded(row.characters),
        }  # fmt: skip
    return AdaptOutputs(
        verdict=said,
        table=Table.of(table, title=f"{found.language} before and after"),
        diagnosis=Table.of({"what": list(facts), "value": [str(value) for value in facts.values()]}, title="Diagnosis"),
        advice=Table.of({"step": [a for a, _ in advice], "why": [b for _, b in advice]}, title="Recommended"),
        scores=Figure.of(
            plots.bars(
                {"before": before, "after": after}, "P@1", dict.fromkeys(("before", "after"), found.control), "n-grams"
            ),
            title="Retrieval, and n-grams as a mark",
        ),
        curve=Figure.of(plots.losses(done.losses), title="Loss of the training") if len(done.losses) else None,
        model=_saved(job, done),
        notes=told(notes),
    )


def _saved(job: Job, done: Outcome) -> Model:
    from colonnade.archives import pack

    if done.weights:
        from safetensors.numpy import save_file

        save_file({name: value.copy() for name, value in done.weights.items()}, job.files / "adapter.safetensors")
        count = sum(value.size for value in done.weights.values())
        return Model(
            file="adapter.safetensors", title="What was learnt", parameters=count, details={"method": done.method}
        )
    pack(job.directory / "adapted", job.files / "model.zip")
    return Model(file="model.zip", title="The adapted model as a Hugging Face folder", details={"method": done.method})
