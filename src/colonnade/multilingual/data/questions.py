"""Extractive question answering in SQuAD's format: XQuAD, MLQA, TyDiQA-GoldP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colonnade.multilingual.errors import MultilingualError


@dataclass(frozen=True)
class Question:
    """A question on a context; `answers` are (text, start in characters of the context)."""

    id: str
    question: str
    context: str
    answers: Sequence[tuple[str, int]]


def read_squad(path: Path, *, shift: int = 2) -> tuple[list[Question], tuple[str, ...]]:
    """Questions of a SQuAD 1.1 file, and notes on what was put right.

    An answer that stands up to `shift` characters beside its stated start (as tools that count bytes or normalise
    text leave it) is moved there and noted.

    Raises:
        MultilingualError: the file has another layout, an answer is not where it says, or an id occurs twice.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        articles = content["data"] if isinstance(content, dict) else content
        found = [
            (entry, paragraph["context"])
            for article in articles
            for paragraph in article["paragraphs"]
            for entry in paragraph["qas"]
        ]
        questions, moved = [], 0
        for entry, context in found:
            answers = []
            for answer in entry["answers"]:
                start = _place(path, entry["id"], context, answer["text"], int(answer["answer_start"]), shift)
                moved += start != int(answer["answer_start"])
                answers.append((str(answer["text"]), start))
            questions.append(Question(str(entry["id"]), entry["question"], context, answers))
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError):
        raise MultilingualError(f"{path.name!r} is not in SQuAD's format (data, paragraphs, qas, answers)") from None
    ids = [item.id for item in questions]
    if len(set(ids)) < len(ids):
        twice = next(item for item in ids if ids.count(item) > 1)
        raise MultilingualError(f"{path.name!r} has question id {twice!r} more than once")
    return questions, (f"{moved} answers stood beside their stated start and were moved",) if moved else ()


def _place(path: Path, key: str, context: str, text: str, start: int, shift: int) -> int:
    for offset in sorted(range(-shift, shift + 1), key=abs):
        if start + offset >= 0 and context[start + offset : start + offset + len(text)] == text:
            return start + offset
    raise MultilingualError(f"question {key!r} of {path.name!r}: its answer {text[:40]!r} is not at character {start}")
