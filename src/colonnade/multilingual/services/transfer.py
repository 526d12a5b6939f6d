"""`multilingual.transfer`: zero-shot transfer by a probe or by tuning, with gaps, intervals, layers and factors."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Param
from colonnade.job import Job
from colonnade.multilingual.services.common import (
    SOFTWARE,
    ModelInputs,
    chosen_layers,
    multilingual_service,
    rounded,
    told,
)
from colonnade.results import Figure, Outputs, Table
from colonnade.service import Resources

if TYPE_CHECKING:
    from colonnade.multilingual.encoders import Encoder
    from colonnade.multilingual.evaluate import Transfer

Task = Literal["tags", "entities", "classes", "pairs", "questions"]
MEASURES = {"entities": "F1 of spans", "questions": "F1 of words"}


class TransferInputs(ModelInputs):
    """A task's training file in one language, and its tests in many."""

    task: Task = Param(
        "tags",
        title="Task",
        help="tags: a tag for each word (CoNLL-U, or lines of word and tag), scored by accuracy; entities: names in "
        "BIO, IOB1 or BIOES (WikiANN's layout), scored by the F1 of spans; classes: sentences with a class (SIB-200's "
        "layout); pairs: two sentences with a class (XNLI's layout); questions: answers in a text (SQuAD's layout), "
        "scored by the F1 of their words.",
    )
    mode: Literal["probe", "adapter", "fine-tune"] = Param(
        "probe",
        title="How it is learnt",
        help="probe: a linear classifier on the frozen encoder, layer by layer; adapter: small modules in a frozen "
        "encoder; fine-tune: all weights but the word vectors. The latter two at the last layer, for transformers.",
    )
    source: str = Param("eng", title="Source language", max_length=60, help="The language of the training file.")
    train: Annotated[InputFile, Accept(".conllu", ".tsv", ".txt", ".json", limit="100 MB")] = Param(
        title="Training file"
    )
    tests: Annotated[InputFile, Accept(".zip", limit="100 MB")] = Param(
        title="Test files", help="A .zip of files named by language (deu.conllu, fin.conllu), the source among them."
    )
    layers: str = Param("all", title="Layers", max_length=100, help="all, last, or numbers such as 0,6,12.")
    train_sentences: int = Param(1000, title="Training sentences", ge=10, le=100_000, help="The first so many.")
    test_sentences: int = Param(500, title="Test sentences a language", ge=10, le=100_000, help="The first so many.")
    epochs: int = Param(3, title="Epochs", ge=1, le=100, level="expert", help="Of adapter, fine-tune and questions.")
    rate: float = Param(
        0.0, title="Learning rate", ge=0, le=0.1, level="expert", help="0: 0.001 for adapters, 0.0001 for fine-tune."
    )

    @model_validator(mode="after")
    def _fits(self) -> TransferInputs:
        from colonnade.multilingual.languages import language

        language(self.source)
        if self.task in ("tags", "entities") and self.model == "use" and self.own_model is None:
            raise ValueError(
                "model: model is 'use', which gives vectors of sentences only; take e5 or ngrams for words"
            )
        trained = self.mode != "probe" or self.task == "questions"
        if trained and self.model != "e5" and self.own_model is None:
            asked = f"mode: mode {self.mode}" if self.mode != "probe" else "task: task questions"
            raise ValueError(
                f"{asked} trains by steps on a transformer, which {self.model} is not; take e5 or your own"
            )
        return self


class TransferOutputs(Outputs):
    """The table of transfer, and what explains it."""

    verdict: str = Param(title="Verdict")
    table: Table
    scores: Figure
    curve: Figure | None = None
    training: Figure | None = None
    factors: Table | None = None
    notes: str = Param(title="Notes")


@multilingual_service(
    "multilingual.transfer",
    title="Zero-shot transfer to other languages",
    summary="Trains a task on one language, tests it on others: scores, gaps, intervals, layers, factors.",
    resources=Resources(cores=2, memory="6 GiB", walltime=timedelta(hours=3)),
    examples={
        "Parts of speech from English to five languages": {
            "train": "example:multilingual.transfer/upos-eng-train.tsv",
            "tests": "example:multilingual.transfer/upos-tests.zip",
            "layers": "0,3,6,9,12",
        },
        "The control: tags from shared n-grams": {
            "train": "example:multilingual.transfer/upos-eng-train.tsv",
            "tests": "example:multilingual.transfer/upos-tests.zip",
            "model": "ngrams",
        },
        "Parts of speech by an adapter": {
            "train": "example:multilingual.transfer/upos-eng-train.tsv",
            "tests": "example:multilingual.transfer/upos-tests.zip",
            "mode": "adapter",
            "train_sentences": 300,
            "test_sentences": 100,
        },
    },
    software=(*SOFTWARE, "conllu", "lang2vec"),
)
def transfer(inputs: TransferInputs, job: Job) -> TransferOutputs:
    """Learn a task from the source language, and test it on every language.

    A probe is a linear classifier on the frozen encoder; adapter and fine-tune begin there and train inside of it.

    The gap of a language is the source's score minus its own; intervals are 95 % by the bootstrap over test sentences,
    p-values of gaps are corrected by Holm. With six target languages and more, the gap at the best layer is related to
    distances between languages. Test sentences that stand in the training file, cut words and unseen labels are said.
    The test sets of different languages should be translations of each other; else a gap is also one of difficulty.
    """
    from colonnade.multilingual import plots
    from colonnade.multilingual.languages import language

    source = str(language(inputs.source))
    train, tests = _read(inputs)
    encoder = inputs.encoder(job)
    found = _transferred(inputs, job, encoder, train, tests, source)
    measure = MEASURES.get(inputs.task, "accuracy")
    layers, best = found.layers, found.best
    rows = found.at(best)
    targets = [row for row in rows if row.language != source]
    notes = list(found.notes)
    factors = _factors(found, source, notes)
    curves = {
        row.language: [next(r.score.value for r in found.at(layer) if r.language == row.language) for layer in layers]
        for row in rows
    }
    mean_gap = sum(row.gap.value for row in targets) / max(len(targets), 1)
    said = f"At the best layer, {best}" if len(layers) > 1 else f"By {inputs.mode} at layer {best}"
    said += f": {source} {rows[0].score.value:.3f}, mean gap {mean_gap:.3f} over "
    said += f"{len(targets)} languages."
    if targets:
        widest = max(targets, key=lambda row: row.gap.value)
        said += f" Widest: {widest.language}, {widest.gap.value:.3f} ({widest.gap.low:.3f} to {widest.gap.high:.3f})."
    return TransferOutputs(
        verdict=said,
        table=Table.of(
            {
                "language": [row.language for row in rows],
                "score": [rounded(row.score.value) for row in rows],
                "from": [rounded(row.score.low) for row in rows],
                "to": [rounded(row.score.high) for row in rows],
                "gap": [rounded(row.gap.value) for row in rows],
                "gap from": [rounded(row.gap.low) for row in rows],
                "gap to": [rounded(row.gap.high) for row in rows],
                "p (Holm)": [rounded(row.p_value) for row in rows],
                "majority": [rounded(row.majority) for row in rows],
                "items": [row.items for row in rows],
            }
            | ({"exact match": [rounded(row.exact or 0.0) for row in rows]} if inputs.task == "questions" else {}),
            title=f"Transfer from {source}, layer {best}",
            caption=f"{measure[0].upper()}{measure[1:]}"
            + ("; the layer is the best on the mean of the targets, so they are slightly too good" * (len(layers) > 1))
            + ". majority: the score of always answering the most frequent label.",
        ),
        scores=Figure.of(
            plots.bars(
                {row.language: row.score for row in rows},
                measure,
                {row.language: row.majority for row in rows},
                "majority",
            ),
            title="Scores, and the majority's as a mark",
        ),
        curve=Figure.of(plots.curves(layers, curves, measure), title="Transfer by layer") if len(layers) > 1 else None,
        training=Figure.of(plots.losses(found.losses), title="Loss of the training") if found.losses else None,
        factors=factors,
        notes=told(notes),
    )


def _transferred(
    inputs: TransferInputs, job: Job, encoder: Encoder, train: Any, tests: dict[str, Any], source: str
) -> Transfer:
    from colonnade.multilingual.evaluate import Tuning, answer_transfer, classify_transfer, tag_transfer
    from colonnade.multilingual.evaluate.tuning import steps_of

    seed = job.seed % 2**31
    how: dict[str, Any] = {"source": source, "seed": seed}
    if inputs.mode != "probe" or inputs.task == "questions":
        how["tuning"] = tuning = Tuning(inputs.mode, inputs.epochs, inputs.rate, seed=seed)
        # how many windows the contexts of questions fill is not known before they are cut
        bar = job.bar("Training", None if inputs.task == "questions" else steps_of(len(train), tuning))
        how["progress"] = lambda step, loss: bar(step)
    if inputs.task == "questions":
        return answer_transfer(encoder, train, tests, **how)
    layers = chosen_layers(inputs.layers if inputs.mode == "probe" else "last", encoder)
    job.log(f"{encoder.name}: {inputs.mode}, {len(tests)} languages")
    if inputs.task in ("classes", "pairs"):
        return classify_transfer(encoder, train, tests, layers=layers, **how)
    return tag_transfer(encoder, train, tests, layers=layers, spans=inputs.task == "entities", **how)


def _read(inputs: TransferInputs) -> tuple[Any, dict[str, Any]]:
    from colonnade.multilingual.data import read_sib, read_squad, read_wikiann, read_words, read_xnli
    from colonnade.multilingual.data.bundle import from_zip
    from colonnade.multilingual.data.classes import Labelled
    from colonnade.multilingual.errors import MultilingualError

    def head(one: Any, n: int) -> Any:
        if isinstance(one, Labelled):
            return Labelled(one.texts[:n], one.labels[:n], None if one.pairs is None else one.pairs[:n])
        return one[:n]

    read: Any = {
        "tags": read_words,
        "entities": lambda path: read_wikiann(path)[0],
        "classes": read_sib,
        "pairs": read_xnli,
        "questions": lambda path: read_squad(path)[0],
    }[inputs.task]
    try:
        train = read(inputs.train.path)
    except MultilingualError as error:  # the file is stored under another name than its owner's
        raise MultilingualError(f"train: {error}".replace(inputs.train.path.name, inputs.train.name)) from None
    tests = from_zip(inputs.tests.path, lambda files: {code: read(path) for code, path in files.items()})
    return head(train, inputs.train_sentences), {c: head(one, inputs.test_sentences) for c, one in tests.items()}


def _factors(found: Transfer, source: str, notes: list[str]) -> Table | None:
    """Distances beside the gap; too few languages are said, not guessed from."""
    from colonnade.multilingual import MultilingualError
    from colonnade.multilingual.analyse import DISTANCES, distance, explain_gap

    gaps = {row.language: row.gap.value for row in found.at(found.best) if row.language != source}
    try:
        kinds = {kind: {code: distance(source, code, kind) for code in gaps} for kind in DISTANCES}
        kinds = {kind: values for kind, values in kinds.items() if len(set(values.values())) > 1}
        report = explain_gap(gaps, kinds)
    except MultilingualError as error:
        notes.append(f"factors are not analysed: {error}")
        return None
    return Table.of(
        {
            "distance": list(report.factors),
            "correlation with the gap": [rounded(value, 3) for value in report.correlation],
            "p (Holm)": [rounded(value) for value in report.p_value],
            "coefficient": [rounded(value) for value in report.coefficient],
        },
        title="What the gap goes with",
        caption=f"Spearman's correlations, and ridge coefficients per standard deviation, over {report.languages} "
        f"languages. Leaving one language out, all distances together explain {max(report.r2, 0):.0%} of the variance.",
    )
