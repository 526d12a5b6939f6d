"""Sentences, or pairs of them, with a class: XNLI, PAWS-X, SIB-200."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colonnade.multilingual.data.lines import rows
from colonnade.multilingual.errors import MultilingualError

XNLI_LABELS = ("contradiction", "entailment", "neutral")


@dataclass(frozen=True)
class Labelled:
    """Texts with one label each; `pairs` holds the second text of each where the task has two."""

    texts: Sequence[str]
    labels: Sequence[str]
    pairs: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.labels) or (self.pairs is not None and len(self.pairs) != len(self.texts)):
            raise MultilingualError(
                f"there are {len(self.texts)} texts but {len(self.labels)} labels; each text has one label"
            )

    def __len__(self) -> int:
        return len(self.texts)


def read_xnli(path: Path, code: str = "") -> Labelled:
    """XNLI: XTREME's `premise<tab>hypothesis<tab>label`, or the original file with its header, of one language.

    Raises:
        MultilingualError: a label is not one of XNLI's, or the language has no line.
    """
    cells = rows(path, 3, "XNLI")
    head = cells[0]
    if "gold_label" in head and "sentence1" in head:
        where = {name: head.index(name) for name in ("gold_label", "sentence1", "sentence2")}
        own = head.index("language") if "language" in head else None
        chosen = [row for row in cells[1:] if own is None or not code or row[own] == code]
        triples = [(row[where["sentence1"]], row[where["sentence2"]], row[where["gold_label"]]) for row in chosen]
    else:
        triples = [(row[0], row[1], row[2]) for row in cells]
    triples = [
        (a, b, "contradiction" if c == "contradictory" else c) for a, b, c in triples
    ]  # as MNLI's Chinese has it
    if not triples:
        raise MultilingualError(f"{path.name!r} has no line of language {code!r}")
    return _checked(path, triples, XNLI_LABELS)


def read_pawsx(path: Path) -> Labelled:
    """PAWS-X: `id<tab>sentence1<tab>sentence2<tab>label` with its header, or XTREME's three columns without.

    Raises:
        MultilingualError: a label is neither 0 nor 1.
    """
    cells = rows(path, 3, "PAWS-X")
    if cells[0][-1] == "label":
        cells = cells[1:]
    return _checked(path, [(row[-3], row[-2], row[-1]) for row in cells], ("0", "1"))


def read_sib(path: Path) -> Labelled:
    """SIB-200: `index_id<tab>category<tab>text` with its header.

    Raises:
        MultilingualError: the header is another, or no sentence follows.
    """
    cells = rows(path, 2, "SIB-200")
    if cells[0][:3] != ["index_id", "category", "text"]:
        raise MultilingualError(f"{path.name!r} does not begin with index_id, category, text")
    kept = [row for row in cells[1:] if len(row) > 2 and row[2]]
    if not kept:
        raise MultilingualError(f"{path.name!r} has no sentence")
    return Labelled([row[2] for row in kept], [row[1] for row in kept])


def _checked(path: Path, triples: Sequence[tuple[str, str, str]], labels: Sequence[str]) -> Labelled:
    for number, (_, _, label) in enumerate(triples, 1):
        if label not in labels:
            raise MultilingualError(
                f"example {number} of {path.name!r} has label {label!r}; known: {', '.join(labels)}"
            )
    return Labelled([a for a, _, _ in triples], [c for _, _, c in triples], [b for _, b, _ in triples])
