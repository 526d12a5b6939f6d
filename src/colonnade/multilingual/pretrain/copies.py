"""Controlled languages: a language beside a copy of itself, of which every difference is known.

Fake-English (K et al. 2020, arXiv:1912.07840; Dufter and Schütze 2020, arXiv:2005.00396) is English with every id moved
to a place of its own: same structure, no shared piece. What makes a model multilingual is then found by taking one
thing away at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from colonnade.multilingual._types import IntArray
from colonnade.multilingual.errors import MultilingualError, between
from colonnade.multilingual.pretrain.corpus import Corpus, Specials, Written
from colonnade.multilingual.pretrain.plan import Plan


@dataclass(frozen=True)
class Setting:
    """How the copy differs from the language.

    Attributes:
        name: shown.
        shared: share of pieces that both languages have in common.
        inverted: the copy's sentences run backwards.
        own_specials: the copy has special pieces of its own.
        own_positions: the copy has position embeddings of its own.
        random: pieces to predict may be replaced with random ones, of either language.
        parallel: both have all lines; else each has one half of them.
        copy: False leaves the copy out of the training: the monolingual control.
    """

    name: str
    shared: float = 0.0
    inverted: bool = False
    own_specials: bool = False
    own_positions: bool = False
    random: bool = True
    parallel: bool = True
    copy: bool = True


SETTINGS: dict[str, Setting] = {
    one.name: one
    for one in (
        Setting("original"),
        Setting("own special pieces", own_specials=True),
        Setting("own positions", own_positions=True),
        Setting("no random replacement", random=False),
        Setting("all three", own_specials=True, own_positions=True, random=False),
        Setting("inverted order", inverted=True),
        Setting("a quarter shared", shared=0.25),
        Setting("not parallel", parallel=False),
        Setting("monolingual", copy=False),
    )
}


@dataclass(frozen=True)
class Controlled:
    """The training corpus, held-out lines of both languages, and the copy's id of each id."""

    setting: Setting
    corpus: Corpus
    held_out: tuple[Written, Written]
    table: IntArray

    def plan(self, plan: Plan) -> Plan:
        """The plan as the setting wants it."""
        return plan if self.setting.random else replace(plan, replace=(1.0, 0.0, 0.0))


def controlled(
    lines: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    vocabulary: int,
    specials: Specials,
    setting: Setting,
    *,
    width: int = 128,
    seed: int = 0,
) -> Controlled:
    """Make the copy of a language.

    Args:
        lines, held_out: ids, special pieces not among them.
        vocabulary: ids of the language; the copy's lie behind them.
        specials: of the language.
        setting: how the copy differs.
        width: of the plan; own positions begin there.
        seed: of the choice of shared pieces.

    Raises:
        MultilingualError: a share outside of [0, 1], or fewer than two lines for two halves.
    """
    between("shared", setting.shared, 0, 1)
    if not setting.parallel and len(lines) < 2:
        raise MultilingualError(f"there are {len(lines)} lines; two halves need two")
    special = set(vars(specials).values())
    plain = np.array([index for index in range(vocabulary) if index not in special], np.int64)
    table = np.arange(vocabulary, dtype=np.int64) + vocabulary
    common = np.random.default_rng([seed, 6]).permutation(plain)[: round(setting.shared * len(plain))]
    table[common] = common
    if not setting.own_specials:
        table[list(special)] = list(special)
    theirs = Specials(*(int(table[index]) for index in vars(specials).values()))
    offset = width if setting.own_positions else 0

    def copied(line: Sequence[int]) -> list[int]:
        moved = table[np.asarray(line, np.int64)]
        return [int(index) for index in (moved[::-1] if setting.inverted else moved)]

    mine, other = (lines, lines) if setting.parallel else (lines[0::2], lines[1::2])
    language = Written.of("language", mine, specials)
    copy = Written.of("copy", [copied(line) for line in other], theirs, offset)
    alphabet = np.unique(np.concatenate([plain, table[plain]])) if setting.copy else plain
    languages = (language, copy) if setting.copy else (language,)
    pairs = ((0, 1),) if setting.copy and setting.parallel else ()
    held = (
        Written.of("language", held_out, specials),
        Written.of("copy", [copied(line) for line in held_out], theirs, offset),
    )
    # Position embeddings come to the largest offset of the languages trained on: the monolingual copy shares them.
    return Controlled(setting, Corpus(languages, 2 * vocabulary, alphabet, pairs), held, table)
