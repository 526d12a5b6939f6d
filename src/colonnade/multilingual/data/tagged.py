"""Sentences with a tag for every word, and trees where there are any: CoNLL-U, WikiANN, plain two-column files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colonnade.multilingual.data.lines import read_text
from colonnade.multilingual.errors import MultilingualError


@dataclass(frozen=True)
class TaggedSentence:
    """Words and a tag each. `heads` holds the index of each word's head (-1: the root), or is empty."""

    words: Sequence[str]
    tags: Sequence[str]
    heads: Sequence[int] = ()

    def __post_init__(self) -> None:
        if len(self.words) != len(self.tags):
            raise MultilingualError(
                f"a sentence has {len(self.words)} words but {len(self.tags)} tags: {self.words[:5]}"
            )


def read_conllu(path: Path) -> list[TaggedSentence]:
    """Universal Dependencies: words, UPOS and heads. Multiword ranges (1-2) and empty nodes (1.1) are skipped.

    Raises:
        MultilingualError: the file is no CoNLL-U, or its words carry no UPOS.
    """
    import conllu

    try:
        parsed = conllu.parse(read_text(path))
    except (conllu.exceptions.ParseException, ValueError) as error:
        if isinstance(error, MultilingualError):
            raise
        raise MultilingualError(f"{path.name!r} is no CoNLL-U: {error}") from None
    found = []
    for tokens in parsed:
        words = [token for token in tokens if isinstance(token["id"], int)]
        if not words or "upos" not in words[0]:
            raise MultilingualError(f"{path.name!r} is no CoNLL-U: its lines need ten tab-separated fields")
        places = {token["id"]: index for index, token in enumerate(words)}
        heads = [-1 if not token["head"] else places.get(token["head"], -1) for token in words]
        found.append(TaggedSentence([t["form"] for t in words], [t["upos"] or "_" for t in words], heads))
    if not found:
        raise MultilingualError(f"{path.name!r} holds no sentence")
    if all(tag == "_" for sentence in found for tag in sentence.tags):
        raise MultilingualError(f"{path.name!r} has no part of speech: every UPOS is _")
    return found


def read_tagged(path: Path) -> list[TaggedSentence]:
    """`word<tab or blank>tag` lines, a blank line between sentences; the last column is the tag.

    Raises:
        MultilingualError: a line has no tag.
    """
    found: list[TaggedSentence] = []
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*read_text(path).split("\n"), ""], 1):
        if line.startswith("-DOCSTART-"):
            continue
        if not line.strip():
            if words:
                found.append(TaggedSentence(words, tags))
                words, tags = [], []
            continue
        cells = line.strip().split("\t") if "\t" in line.strip() else line.split()
        if len(cells) < 2:
            raise MultilingualError(f"line {number} of {path.name!r} has a word but no tag: {line.strip()[:40]!r}")
        words.append(cells[0].strip())
        tags.append(cells[-1].strip())
    if not found:
        raise MultilingualError(f"{path.name!r} holds no sentence")
    return found


def read_words(path: Path) -> list[TaggedSentence]:
    """CoNLL-U or lines of word and tag, whichever the file holds: ten tab-separated cells in a line make it CoNLL-U.

    Raises:
        MultilingualError: as the two readers.
    """
    first = next((line for line in read_text(path).split("\n") if line.strip() and not line.startswith("#")), "")
    return read_conllu(path) if first.count("\t") >= 9 else read_tagged(path)


def read_wikiann(path: Path) -> tuple[list[TaggedSentence], tuple[str, ...]]:
    """WikiANN (PAN-X): `lang:word<tab>tag`; spans as BIO whatever they came as, with a note when they were changed.

    Raises:
        MultilingualError: as `read_tagged`, or a tag is no span tag.
    """
    sentences = read_tagged(path)
    prefix = re.compile(r"^[a-z]{2,3}(-[a-z]+)*:(?=.)")
    prefixed = all(prefix.match(word) for sentence in sentences for word in sentence.words)
    scheme = span_scheme([sentence.tags for sentence in sentences])
    found = [
        TaggedSentence(
            [prefix.sub("", word) for word in sentence.words] if prefixed else list(sentence.words),
            to_bio(sentence.tags),
        )
        for sentence in sentences
    ]
    return found, () if scheme == "BIO" else (f"tags came as {scheme} and were read as BIO",)


_SPAN = re.compile(r"^([BIESLU])-(.+)$")


def span_scheme(sequences: Sequence[Sequence[str]]) -> str:
    """How spans are written: "BIO", "IOB1" (B only between touching spans) or "BIOES".

    Raises:
        MultilingualError: a tag is neither O nor PREFIX-TYPE.
    """
    tags = {tag for sequence in sequences for tag in sequence}
    for tag in sorted(tags):
        if tag != "O" and not _SPAN.match(tag):
            raise MultilingualError(f"tag {tag!r} is no span tag; spans are written O, B-TYPE, I-TYPE")
    if any(tag[0] in "ESLU" for tag in tags if tag != "O"):
        return "BIOES"
    for sequence in sequences:
        before = "O"
        for tag in sequence:
            if tag.startswith("I-") and (before == "O" or before[2:] != tag[2:]):
                return "IOB1"
            before = tag
    return "BIO"


def to_bio(tags: Sequence[str]) -> list[str]:
    """One sentence's tags, in whichever of the three schemes, as BIO."""
    found: list[str] = []
    open_type = ""
    for tag in tags:
        match = _SPAN.match(tag)
        if match is None:
            found.append("O")
            open_type = ""
            continue
        kind, name = match.groups()
        begins = kind in "BSU" or open_type != name
        found.append(f"{'B' if begins else 'I'}-{name}")
        open_type = "" if kind in "ESLU" else name
    return found
