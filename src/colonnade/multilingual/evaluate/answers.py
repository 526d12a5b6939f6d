"""Zero-shot transfer of extractive question answering: where in the context the answer begins and where it ends.

A linear head scores every piece of the context as a beginning and as an end (Devlin et al. 2019, sec. 4.2). A context
longer than the encoder takes is read through windows that overlap by `STRIDE` pieces; a window without the answer
points at its first piece, in training, and is outvoted by the others in prediction. Scores are SQuAD's, as XTREME has
them: F1 of words, and exact matches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from colonnade.multilingual.data.questions import Question
from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.encoders.transformer import TransformerEncoder, batches, cut, padded
from colonnade.multilingual.errors import MultilingualError
from colonnade.multilingual.evaluate.gaps import Scored, Transfer, rows, warnings, with_source
from colonnade.multilingual.evaluate.metrics import squad_scores
from colonnade.multilingual.evaluate.tuning import Progress, Tuning, descend, unlocked

STRIDE = 128  # pieces that neighbouring windows share
QUESTION = 64  # pieces of a question; longer ones are cut
LONGEST_ANSWER = 30  # pieces


@dataclass(frozen=True)
class Window:
    """A question with a part of its context.

    Attributes:
        question: its index.
        ids: [begin] question [end] context [end].
        start: place of the context's first piece.
        spans: (pieces, 2) characters of each piece of the context.
        answer: places of the answer's first and last piece; (0, 0) where it does not lie in this window.
    """

    question: int
    ids: Sequence[int]
    start: int
    spans: Any
    answer: tuple[int, int]


def answer_transfer(
    encoder: Encoder,
    train: Sequence[Question],
    tests: Mapping[str, Sequence[Question]],
    *,
    source: str,
    tuning: Tuning | None = None,
    seed: int = 0,
    progress: Progress = lambda step, loss: None,
) -> Transfer:
    """Train on one language's questions, and answer those of others.

    Args:
        encoder: a transformer; it comes back as it was.
        train: questions of the source language, with answers.
        tests: questions by language, the source among them.
        source: its code in `tests`.
        tuning: how; None: a head on the frozen encoder.
        seed: of the bootstrap.
        progress: told step and loss.

    Raises:
        MultilingualError: the encoder is no transformer, too few questions, one without an answer, or no test in the
            source language.
    """
    import torch

    tuning = tuning or Tuning("probe")
    with_source(tests, source)
    notes = warnings([_said(q) for q in train], {name: [_said(q) for q in one] for name, one in tests.items()})
    for name, one in {"the training file": train, **tests}.items():
        for question in one:
            if not question.answers:
                raise MultilingualError(f"question {question.id!r} of {name} has no answer; each needs one (SQuAD 1.1)")
    with unlocked(encoder, tuning) as (opened, parameters):
        given = windows(opened, train, min(opened.longest, max(tuning.longest, QUESTION + STRIDE + 64)))
        weight = torch.zeros((opened.dimension, 2), requires_grad=True)

        def loss(chosen: Sequence[int]) -> Any:
            part = [given[i] for i in chosen]
            logits = _logits(opened, part, weight)
            truth = torch.tensor([one.answer for one in part])
            entropy = torch.nn.functional.cross_entropy
            return (entropy(logits[..., 0], truth[:, 0]) + entropy(logits[..., 1], truth[:, 1])) / 2

        losses = descend(opened, parameters, [weight], [len(one.ids) for one in given], loss, tuning, progress)
        scored = {name: _score(one, answers(opened, one, weight)) for name, one in tests.items()}
    found = rows(scored, source, encoder.depth, seed)
    return Transfer(source, tuple(found), (*notes, *encoder.notes), tuple(losses))


def windows(encoder: TransformerEncoder, questions: Sequence[Question], longest: int) -> list[Window]:
    """All windows of all questions.

    Args:
        encoder: whose tokenizer cuts.
        questions: with contexts.
        longest: pieces of a window.
    """
    asked = [cut(one.ids, QUESTION) for one in encoder.encode([q.question for q in questions])]
    read = encoder.tokenizer.encode_batch([q.context for q in questions])
    found = []
    for index, (ask, context) in enumerate(zip(asked, read, strict=True)):
        plain = [k for k, special in enumerate(context.special_tokens_mask) if not special]
        ids, spans = [context.ids[k] for k in plain], np.array([context.offsets[k] for k in plain]).reshape(-1, 2)
        end, room = ask[-1], longest - len(ask) - 1
        step = max(1, room - STRIDE)
        answer = _pieces(questions[index], spans)
        for start in range(0, max(1, len(ids) - room + step), step):
            stop = min(start + room, len(ids))
            inside = answer is not None and start <= answer[0] and answer[1] < stop
            shift = len(ask) - start
            places = (answer[0] + shift, answer[1] + shift) if inside and answer is not None else (0, 0)
            found.append(Window(index, [*ask, *ids[start:stop], end], len(ask), spans[start:stop], places))
    return found


def answers(encoder: TransformerEncoder, questions: Sequence[Question], weight: Any) -> dict[str, str]:
    """The best span of each question, by the sum of its two scores over those of "not here" in the same window.

    Args:
        encoder: as it was trained.
        questions: with contexts.
        weight: (d, 2), the head.
    """
    import torch

    given = windows(encoder, questions, encoder.longest)
    best: dict[int, tuple[float, str]] = {}
    with torch.inference_mode():
        for group in batches([len(one.ids) for one in given], 4096):
            part = [given[i] for i in group]
            logits = _logits(encoder, part, weight).numpy()
            for one, values in zip(part, logits, strict=True):
                score, first, last = _span(values[one.start : one.start + len(one.spans)])
                score -= float(values[0].sum())
                if one.question not in best or score > best[one.question][0]:
                    said = questions[one.question].context[one.spans[first][0] : one.spans[last][1]]
                    best[one.question] = (score, said.strip())
    return {questions[index].id: said for index, (_, said) in best.items()}


def _said(question: Question) -> str:
    return f"{question.question} {question.context}"


def _pieces(question: Question, spans: Any) -> tuple[int, int] | None:
    """The first and last piece that the first answer touches."""
    if not question.answers:
        return None
    text, start = question.answers[0]
    there = np.flatnonzero((spans[:, 1] > start) & (spans[:, 0] < start + len(text)))
    return (int(there[0]), int(there[-1])) if len(there) else None


def _logits(encoder: TransformerEncoder, part: Sequence[Window], weight: Any) -> Any:
    """(n, longest, 2); only the first piece and the context's can be chosen."""
    import torch

    block, mask = padded([one.ids for one in part], encoder.pad)
    logits = encoder.model(input_ids=block, attention_mask=mask).last_hidden_state @ weight
    closed = torch.ones(block.shape, dtype=torch.bool)
    for row, one in enumerate(part):
        closed[row, 0] = False
        closed[row, one.start : one.start + len(one.spans)] = False
    return logits.masked_fill(closed.unsqueeze(-1), -1e4)


def _span(values: Any) -> tuple[float, int, int]:
    """The best sum of a beginning and an end that does not lie before it, nor too far behind."""
    n = len(values)
    sums = values[:, None, 0] + values[None, :, 1]
    apart = np.arange(n)[None, :] - np.arange(n)[:, None]
    sums = np.where((apart >= 0) & (apart < LONGEST_ANSWER), sums, -np.inf)
    first, last = divmod(int(sums.argmax()), n)
    return float(sums[first, last]), first, last


def _score(questions: Sequence[Question], given: Mapping[str, str]) -> Scored:
    each = [squad_scores([one], given) for one in questions]
    f1 = np.array([one["f1"] / 100 for one in each])
    exact = float(np.mean([one["exact_match"] / 100 for one in each]))
    return Scored(f1, np.ones(len(each)), 0.0, len(each), exact)
