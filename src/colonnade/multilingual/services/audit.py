"""`multilingual.audit`: what a vocabulary does to each language."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.multilingual.services.common import (
    TextsFile,
    multilingual_service,
    rounded,
    told,
)
from colonnade.results import Figure, Outputs, Table
from colonnade.service import Resources


def _check_tokenizer(path: Path) -> None:
    from colonnade.multilingual.tokens import load_tokenizer

    load_tokenizer(path)


class AuditInputs(Inputs):
    """A vocabulary, and text in the languages it is to serve."""

    tokenizer: Annotated[InputFile, Accept(".json", ".model", limit="100 MB", check=_check_tokenizer)] = Param(
        title="Tokenizer", help="tokenizer.json of any Hugging Face model, or a SentencePiece .model."
    )
    text: TextsFile = Param(
        title="Text",
        help="A .tsv whose header names the languages, or a .zip of files of lines named by language. In a .tsv the "
        "rows are taken as translations, and parity is given.",
    )


class AuditOutputs(Outputs):
    """Figures by language."""

    verdict: str = Param(title="Verdict")
    table: Table
    pieces: Figure
    overlap: Figure


@multilingual_service(
    "multilingual.audit",
    title="Audit a tokenizer by language",
    summary="Fertility, continued words, parity, unknown pieces and log probability of a vocabulary by language.",
    resources=Resources(walltime=timedelta(minutes=30)),
    examples={
        "A vocabulary of English and German on twelve languages": {
            "tokenizer": "example:multilingual.audit/eng-deu.json",
            "text": "example:multilingual.audit/flores12.tsv",
        }
    },
    software=("tokenizers", "sentencepiece", "numpy"),
)
def audit(inputs: AuditInputs, job: Job) -> AuditOutputs:
    """Cut text of each language by a vocabulary and compare: pieces a word (fertility), words cut (continued), pieces
    beside the first language's for the same sentences (parity), what is unknown, and ln p of the pieces.

    Scripts without blanks between words have no fertility; characters a piece tell of those.
    """
    import plotly.graph_objects as go

    from colonnade.multilingual import plots
    from colonnade.multilingual.data import read_aligned, read_texts
    from colonnade.multilingual.tokens import load_tokenizer
    from colonnade.multilingual.tokens.audit import audit as run

    aligned = inputs.text.name.lower().endswith(".tsv")
    text = read_aligned(inputs.text.path) if aligned else read_texts(inputs.text.path)
    found = run(load_tokenizer(inputs.tokenizer.path, inputs.tokenizer.name), text)
    rows = found.rows
    names = [row.language for row in rows]
    chart = go.Figure(go.Bar(x=[row.characters for row in rows], y=names, orientation="h", marker_color=plots.INK))
    chart.update_layout(xaxis_title="characters a piece (more is better)", height=max(320, 26 * len(rows) + 130))
    chart.update_yaxes(autorange="reversed")
    worst = max(rows, key=lambda row: row.parity or -row.characters)
    best = f"{len(found.warnings)} of {len(rows)} languages are not well covered. " if found.warnings else ""
    price = f"{worst.language} pays most: {worst.characters:.2f} characters a piece"
    price += f", {worst.parity:.2f} times the pieces of {names[0]}." if worst.parity else "."
    return AuditOutputs(
        verdict=best + price + (" " + told(found.warnings) if found.warnings else ""),
        table=Table.of(
            {
                "language": names,
                "script": [row.script.title() for row in rows],
                "fertility": [None if row.fertility is None else rounded(row.fertility) for row in rows],
                "continued": [None if row.continued is None else rounded(row.continued) for row in rows],
                "characters a piece": [rounded(row.characters) for row in rows],
                "parity": [None if row.parity is None else rounded(row.parity) for row in rows],
                "unknown": [rounded(row.unknown) for row in rows],
                "ln p": [rounded(row.log_probability) for row in rows],
                "used": [rounded(row.used) for row in rows],
                "pieces": [row.pieces for row in rows],
            },
            title=f"{found.tokenizer}: {found.size} pieces",
            caption="continued: share of words of two pieces and more; unknown: share of pieces; used: share of the "
            f"vocabulary; parity: pieces over those of {names[0]}.",
        ),
        pieces=Figure.of(chart, title="Characters a piece"),
        overlap=Figure.of(plots.heat_map(found.overlap, names), title="Pieces that two languages share (Jaccard)"),
    )
