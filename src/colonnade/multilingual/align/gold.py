"""Gold alignments and the alignment error rate.

AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), S the sure links and P the possible ones, S among P (Och and Ney 2003).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from colonnade.multilingual.align.words import Links
from colonnade.multilingual.data.lines import read_text
from colonnade.multilingual.errors import MultilingualError


@dataclass(frozen=True)
class Gold:
    """Links by number of the sentence; every sure link is a possible one."""

    sure: Mapping[int, Links]
    possible: Mapping[int, Links]


@dataclass(frozen=True)
class Quality:
    """Precision (of the possible), recall (of the sure), F1 of both, and AER, over all sentences with gold."""

    precision: float
    recall: float
    f1: float
    aer: float
    sentences: int


_LINK = re.compile(r"^(\d+)([-p])(\d+)$")


def read_gold(path: Path, first: int = 0) -> Gold:
    """Gold links: `number<tab>0-0 1-2 3p4` a line (p: possible), or lines of links without numbers.

    Args:
        path: the file.
        first: the number of the first word, 0 or 1 (some sets count words from 1).

    Raises:
        MultilingualError: something is no link.
    """
    sure: dict[int, Links] = {}
    possible: dict[int, Links] = {}
    for number, line in enumerate(read_text(path).rstrip("\n").split("\n")):
        head, tab, rest = line.partition("\t")
        if tab and not head.strip().isdigit():
            raise MultilingualError(f"line {number + 1} of {path.name!r} begins with {head!r}, which is no number")
        key, body = (int(head), rest) if tab else (number, head)
        sure[key], possible[key] = set(), set()
        for text in body.split():
            match = _LINK.match(text)
            if match is None or min(int(match[1]), int(match[3])) < first:
                raise MultilingualError(
                    f"line {number + 1} of {path.name!r}: {text!r} is no link such as 0-1 or 0p1, words from {first}"
                )
            link = (int(match[1]) - first, int(match[3]) - first)
            possible[key].add(link)
            if match[2] == "-":
                sure[key].add(link)
    return Gold(sure, possible)


def aer(found: Sequence[Links], gold: Gold) -> Quality:
    """Score alignments: `found[i]` are the links of sentence i.

    Raises:
        MultilingualError: the gold names a sentence that was not aligned, or names none.
    """
    keys = sorted(gold.sure)
    if not keys or keys[-1] >= len(found):
        raise MultilingualError(f"the gold names {len(keys)} sentences up to {keys[-1:]}, but {len(found)} are aligned")
    links = sum(len(found[key]) for key in keys)
    sure = sum(len(gold.sure[key]) for key in keys)
    hit_sure = sum(len(found[key] & gold.sure[key]) for key in keys)
    hit_possible = sum(len(found[key] & gold.possible[key]) for key in keys)
    precision, recall = hit_possible / max(links, 1), hit_sure / max(sure, 1)
    both = precision + recall
    error = 1 - (hit_sure + hit_possible) / max(links + sure, 1)
    return Quality(precision, recall, 2 * precision * recall / both if both else 0.0, error, len(keys))


def pharaoh(found: Links) -> str:
    """Links in the Pharaoh format, "0-0 1-2"."""
    return " ".join(f"{i}-{j}" for i, j in sorted(found))
