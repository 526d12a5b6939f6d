"""`multilingual.word_align`: links between the words of translated sentences."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Param
from colonnade.job import Job
from colonnade.multilingual.services.common import (
    SOFTWARE,
    AlignedFile,
    AlignedInputs,
    multilingual_service,
    rounded,
    told,
)
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table
from colonnade.service import Resources

if TYPE_CHECKING:
    from colonnade.multilingual.align.gold import Gold
    from colonnade.multilingual.align.words import Links


def _check_gold(path: Path) -> None:
    from colonnade.multilingual.align import read_gold

    read_gold(path)


class WordAlignInputs(AlignedInputs):
    """Pairs of sentences, an encoder, and a method."""

    text: AlignedFile = Param(
        title="Pairs of sentences",
        help="A .tsv with two columns, its header the two languages; words are what stands between blanks.",
    )
    method: Literal["argmax", "itermax", "entropic"] = Param(
        "itermax",
        title="Method",
        help="argmax: links that are best both ways, most precise; itermax: more of them; entropic: optimal transport.",
    )
    layer: int = Param(8, title="Layer", ge=0, le=100, level="expert", help="Middle layers align best as a rule.")
    level: Literal["subword", "word"] = Param("subword", title="Compare", level="expert")
    gold: Annotated[InputFile, Accept(".gold", ".txt", ".tsv", limit="20 MB", check=_check_gold)] | None = Param(
        None, title="Gold links", help="Lines such as 0<tab>0-0 1-2 3p4 (p: possible); gives the error rate."
    )
    gold_first: Literal[0, 1] = Param(0, title="Gold counts words from", level="expert")
    shown: int = Param(1, title="Pair drawn", ge=1, le=100_000, level="expert", help="Number of the pair to draw.")

    @model_validator(mode="after")
    def _words(self) -> WordAlignInputs:
        if self.model == "use" and self.own_model is None:
            raise ValueError("model: model is 'use', which gives vectors of sentences only; take e5 or ngrams")
        return self


class WordAlignOutputs(Outputs):
    """Links, and their quality where there is gold."""

    verdict: str = Param(title="Verdict")
    view: Figure
    quality: Table | None = None
    aer: Estimate | None = None
    links: Artifact
    table: Table
    notes: str = Param(title="Notes")


@multilingual_service(
    "multilingual.word_align",
    title="Align the words of translations",
    summary="Links words of translated sentences by an encoder's vectors, without training; AER where there is gold.",
    resources=Resources(cores=2, memory="6 GiB", walltime=timedelta(hours=2)),
    examples={
        "Five sentences of Europarl with gold": {
            "text": "example:multilingual.word_align/europarl5.tsv",
            "gold": "example:multilingual.word_align/europarl5.gold",
        }
    },
    software=SOFTWARE,
)
def word_align(inputs: WordAlignInputs, job: Job) -> WordAlignOutputs:
    """Align words by the similarity of their vectors in context (Jalili Sabet et al. 2020).

    Links come in the Pharaoh format, words counted from 0. AER = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|) with sure
    links S and possible ones P. Five sentences are enough to see that it works, and far too few to rank methods.
    """
    import numpy as np

    from colonnade.multilingual import plots
    from colonnade.multilingual.align import aer, pharaoh, read_gold, word_links

    text = inputs.pair()
    encoder = inputs.encoder(job)
    layer = min(inputs.layer, encoder.depth)
    notes = [*text.notes]
    if layer != inputs.layer:
        notes.append(f"layer {inputs.layer} does not exist; the last, {layer}, was taken")
    words = [[line.split() for line in text.sentences[code]] for code in text.codes]
    found: list[Links] = []
    with_words = [encoder.words(side, [layer])[layer] for side in job.track(words, "Encoding")]
    for source, target in zip(*with_words, strict=True):
        found.append(
            word_links(source.vectors, target.vectors, source.words, target.words, inputs.method, inputs.level)
        )
    gold = read_gold(inputs.gold.path, inputs.gold_first) if inputs.gold else None
    shown = min(inputs.shown, len(text)) - 1
    view = plots.alignment(
        words[0][shown], words[1][shown], _grid(found[shown], words, shown), _gold_grid(gold, words, shown)
    )
    quality = aer(found, gold) if gold else None
    kept = range(min(len(text), 2000))
    said = f"{sum(map(len, found))} links in {len(text)} pairs by {inputs.method} on layer {layer} of {encoder.name}"
    return WordAlignOutputs(
        verdict=said + (f"; AER {quality.aer:.3f} on {quality.sentences} sentences." if quality else "."),
        view=Figure.of(view, title=f"Pair {shown + 1}"),
        quality=None
        if quality is None
        else Table.of(
            {
                "measure": ["precision", "recall", "F1", "AER"],
                "value": [rounded(float(v)) for v in (quality.precision, quality.recall, quality.f1, quality.aer)],
            },
            title="Quality",
            caption="Precision counts possible links as right, recall asks for the sure ones.",
        ),
        aer=None if quality is None else Estimate(value=rounded(quality.aer) or 0.0, title="AER"),
        links=job.artifact(
            "links.pharaoh", "\n".join(map(pharaoh, found)) + "\n", title="Links (Pharaoh)", media_type="text/plain"
        ),
        table=Table.of(
            {
                "pair": [i + 1 for i in kept],
                text.codes[0]: [" ".join(words[0][i]) for i in kept],
                text.codes[1]: [" ".join(words[1][i]) for i in kept],
                "links": [pharaoh(found[i]) for i in kept],
                "aligned": [
                    rounded(float(np.mean([len({s for s, _ in found[i]}) / len(words[0][i])])), 3) for i in kept
                ],
            },
            title="Pairs",
            caption="aligned: share of the first language's words that have a link.",
        ),
        notes=told([*notes, *encoder.notes]),
    )


def _grid(links: Links, words: list[list[list[str]]], shown: int):  # type: ignore[no-untyped-def]
    import numpy as np

    found = np.zeros((len(words[0][shown]), len(words[1][shown])), bool)
    for i, j in links:
        if i < found.shape[0] and j < found.shape[1]:
            found[i, j] = True
    return found


def _gold_grid(gold: Gold | None, words: list[list[list[str]]], shown: int):  # type: ignore[no-untyped-def]
    return _grid(gold.possible[shown], words, shown) if gold and shown in gold.possible else None
