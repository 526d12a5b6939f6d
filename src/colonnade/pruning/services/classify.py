"""`pruning.classify`: labels for texts, and which words they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.pruning.services.common import (
    CSV,
    PAPER,
    SOFTWARE,
    ModelInputs,
    TextsFile,
    percent,
    timing_table,
    unavailable,
)
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from colonnade.pruning.evaluation import Timing
    from colonnade.pruning.texts import Encoded
    from colonnade.pruning.zoo import Opened

SHOWN = 500  # texts in the table; all are in the file
PICTURED = 3  # texts that get pictures
TIMED = 256  # texts that are timed

EXAMPLE = """\
a gripping , funny and deeply humane film whose quiet last scene stays with you for days .
the plot makes no sense , the jokes are stale and the leads look bored .
it starts well enough , but after twenty minutes of car chases i no longer cared who lived .
not a great film by any means , and yet i was never bored ; the cast is wonderful .
"""


class ClassifyInputs(ModelInputs):
    """Texts, and the model that reads them."""

    text: str = Param("", title="Texts", max_length=100_000, multiline=True, help="One text a line.")
    file: TextsFile | None = Param(
        None, title="File of texts", help="One text a line, or a TSV or CSV file with a column text; in place of Texts."
    )
    dial: float = Param(
        1.0,
        title="Dial",
        ge=0,
        le=4,
        help="Scales the thresholds: 0 keeps every token, 1 is as trained, more prunes harder.",
    )
    guaranteed: bool = Param(
        False,
        title="Ask the dense model where it is close",
        help="Texts whose margin is below the model's calibrated one are run again with every token.",
    )
    max_tokens: int = Param(512, title="Cut texts at", unit="tokens", ge=8, le=512, level="expert")

    @model_validator(mode="after")
    def _something(self) -> ClassifyInputs:
        if self.file is None and not self.text.strip():
            raise ValueError("text: at least one text is needed, in text or as file")
        return self

    def texts(self) -> list[str]:
        from colonnade.pruning.tables import read_texts

        if self.file is not None:
            return read_texts(self.file.path)
        return [line.strip() for line in self.text.splitlines() if line.strip()]


class ClassifyOutputs(Outputs):
    """Answers, what they cost, and what survived."""

    answers: Table
    agreement: Estimate
    saved: Estimate
    time: Table
    words: list[Figure]
    left: Figure
    note: str
    csv: Artifact


@service(
    "pruning.classify",
    title="Classify texts, dropping tokens",
    summary="Labels your texts with a classifier that drops tokens as it reads, and shows which words it kept.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB"),
    examples={
        "four film reviews": {"text": EXAMPLE},
        "the same, with the dense model asked where it is close": {"text": EXAMPLE, "guaranteed": True},
    },
    software=SOFTWARE,
    unavailable=unavailable,
    repeatable=False,
)
def classify(inputs: ClassifyInputs, job: Job) -> ClassifyOutputs:
    """Classify texts with learned token pruning, and beside it with every token.

    In each layer a token is dropped when the attention it receives, averaged over heads and sampled rows and divided by
    the average token's, is below the layer's threshold. Dropped tokens cost nothing in later layers. The pictures show
    how many layers each word outlives. Times are measured here, on one thread, on texts of like length together.
    """
    from colonnade.pruning import encode, plots
    from colonnade.pruning.words import survival

    opened = inputs.opened()
    opened.model.set_dial(inputs.dial)
    texts = inputs.texts()
    ids = encode(opened.tokenizer, texts, min(inputs.max_tokens, _limit(opened)))
    found = _answers(opened, ids, inputs.guaranteed, job)
    pictured = [survival(opened.model, opened.tokenizer, text, inputs.max_tokens) for text in texts[:PICTURED]]
    rates = (found.survivors.sum(0) / sum(ids.lengths)).tolist()
    columns = _columns(opened, texts, ids, found)
    rows = zip(*columns.values(), strict=True)
    return ClassifyOutputs(
        answers=Table.of({name: cells[:SHOWN] for name, cells in columns.items()}, title="Answers"),
        agreement=percent(float((found.best == found.dense).mean()), title="Texts with the dense model's answer"),
        saved=Estimate(
            value=round(float(found.before.sum() / found.after.sum()), 3),
            title="Dense FLOPs / pruned FLOPs",
            caption="Of all texts together; exact.",
        ),
        time=timing_table(_time(opened, ids), "dense", "The dense way, too, packs texts and skips padding."),
        words=[
            Figure.of(plots.words(one), title=f"Text {k}: which words live to which layer")
            for k, one in enumerate(pictured, 1)
        ],
        left=Figure.of(plots.survivors({opened.name: rates}), title="Tokens left after each layer"),
        note=_note(opened, ids, inputs, found),
        csv=job.artifact("answers.csv", _csv(list(columns), list(rows)), title="All answers", media_type=CSV),
    )


def _limit(opened: Opened) -> int:
    encoder = opened.model.encoder
    limit: int = encoder.family.max_tokens(encoder.body)
    return limit


@dataclass(frozen=True)
class _Found:
    """Answers and costs, by text."""

    probabilities: NDArray[np.float32]
    dense: NDArray[np.int64]
    asked: NDArray[np.bool_]
    survivors: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]

    @property
    def best(self) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.probabilities.argmax(1)
        return found


def _answers(opened: Opened, ids: Encoded, guaranteed: bool, job: Job) -> _Found:
    import numpy as np

    from colonnade.pruning import answer, count_survivors, predict
    from colonnade.pruning.cost import Shape, dense_flops, flops

    if guaranteed and "margin" not in opened.facts:
        raise ValueError("guaranteed: this model was bundled without a calibrated margin; pruning.calibrate finds one.")
    margin = float(opened.facts["margin"]) if guaranteed else 0.0
    logits, asked = answer(opened.model, ids, margin, job.bar("Pruned", len(ids)))
    with opened.model.encoder.set(dial=0):
        dense = predict(opened.model, ids, progress=job.bar("Dense", len(ids)))
    survivors = count_survivors(opened.model, ids).numpy()
    shape = Shape.of(opened.model.encoder.config)
    before = dense_flops(ids.lengths, shape)
    after = flops(survivors, ids.lengths, shape) + np.where(asked, before, 0)
    return _Found(logits.softmax(-1).numpy(), dense.argmax(1).numpy(), asked, survivors, before, after)


def _columns(opened: Opened, texts: list[str], ids: Encoded, found: _Found) -> dict[str, list[Any]]:
    classes, best = opened.classes, found.best
    # The last layer of a classifier keeps the first token only; what was decided stands before it.
    left = found.survivors[:, max(0, found.survivors.shape[1] - 2)]
    return {
        "text": [text if len(text) <= 80 else text[:79] + "…" for text in texts],
        "label": [classes[k] for k in best],
        "probability": [round(float(row[k]), 4) for row, k in zip(found.probabilities, best, strict=True)],
        "dense label": [classes[k] for k in found.dense],
        "asked dense": found.asked.tolist(),
        "tokens": ids.lengths,
        "tokens left": left.tolist(),
        "FLOPs saved": [round(float(value), 3) for value in found.before / found.after],
    }


def _time(opened: Opened, ids: Encoded) -> Timing:
    from colonnade.pruning.evaluation import race, runner

    few = ids.take(range(min(TIMED, len(ids))))
    ways = {"dense": runner(opened.model, few, 16, dial=0), "pruned": runner(opened.model, few, 16)}
    return race(ways, rounds=3 if sum(few.lengths) > 20_000 else 7)


def _note(opened: Opened, ids: Encoded, inputs: ClassifyInputs, found: _Found) -> str:
    said = [f"{len(ids)} texts of {sum(ids.lengths) / len(ids):.0f} tokens on average."]
    if ids.cut:
        said.append(f"{ids.cut} texts were longer than {inputs.max_tokens} tokens and were cut.")
    if inputs.guaranteed:
        facts = opened.facts
        said.append(
            f"The dense model was asked about {int(found.asked.sum())} texts: on held-out texts of its calibration "
            f"this kept disagreement below {facts['disagreement']:.1%} with {facts['confidence']:.0%} confidence."
        )
    return " ".join(said)


def _csv(header: list[str], rows: list[Any]) -> str:
    import csv
    import io

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
