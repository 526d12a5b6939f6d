"""Controlled experiments: settings x seeds, each beside the same model untrained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from colonnade.multilingual.errors import enough
from colonnade.multilingual.pretrain.copies import Setting, controlled
from colonnade.multilingual.pretrain.corpus import Specials
from colonnade.multilingual.pretrain.judging import Multilinguality, judge
from colonnade.multilingual.pretrain.model import PackedBert
from colonnade.multilingual.pretrain.plan import Plan
from colonnade.multilingual.pretrain.training import held_out_loss, train


@dataclass(frozen=True)
class Row:
    """One run: how multilingual the model became, and was before training; held-out losses of language and copy."""

    setting: str
    seed: int
    after: Multilinguality
    before: Multilinguality
    loss: tuple[float, float]
    tokens: int


def experiment(
    lines: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    vocabulary: int,
    specials: Specials,
    settings: Sequence[Setting],
    plan: Plan,
    *,
    seeds: Sequence[int] = (0,),
    progress: Callable[[int, float], None] = lambda done, loss: None,
) -> list[Row]:
    """Train and judge a model for each setting and seed.

    Args:
        lines, held_out: ids of the language.
        vocabulary, specials: of its tokenizer.
        settings: how the copies differ.
        plan: of every run; the seed is put in.
        seeds: of weights, data order and shared pieces.
        progress: told steps done in all, and the loss.

    Raises:
        MultilingualError: fewer than 10 held-out sentences of three pieces.
    """
    enough("settings", len(settings), 1, "an experiment")
    rows: list[Row] = []
    for setting in settings:
        for seed in seeds:
            made = controlled(lines, held_out, vocabulary, specials, setting, width=plan.width, seed=seed)
            own = made.plan(replace(plan, seed=seed))
            positions = own.width + max(one.offset for one in (*made.corpus.languages, *made.held_out))
            model = PackedBert(own, made.corpus.vocabulary, positions)
            before, done = judge(model.eval(), made), len(rows) * plan.steps
            found = train(own, made.corpus, model=model, progress=_later(progress, done))
            losses = [held_out_loss(model, one, own, made.corpus.alphabet) for one in made.held_out]
            rows.append(Row(setting.name, seed, judge(model, made), before, (losses[0], losses[1]), found.tokens))
    return rows


def _later(progress: Callable[[int, float], None], done: int) -> Callable[[int, float], None]:
    return lambda step, loss: progress(done + step, loss)
