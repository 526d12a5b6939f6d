"""A folder of predictions in XTREME's layout, scored as its leaderboard does: task/test-LANGUAGE.tsv or .json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from colonnade.multilingual.data.questions import Question
from colonnade.multilingual.errors import MultilingualError
from colonnade.multilingual.evaluate.metrics import (
    Scores,
    accuracy,
    bucc_f1,
    mean_reciprocal_rank,
    mlqa_scores,
    span_f1,
    squad_scores,
)

_QA = ("xquad", "tydiqa", "mlqa")
_MAIN = {"udpos": "f1", "panx": "f1", "bucc2018": "f1", "mewslix": "map@20"}


def score_folder(predictions: Path, labels: Path) -> dict[str, dict[str, Any]]:
    """Scores of every task that both folders have, over the languages that the labels have.

    Returns:
        task -> {"languages": {code: scores}, "average": scores, "metric": the number XTREME ranks by}.

    Raises:
        MultilingualError: a language's predictions are missing or do not fit its labels, or nothing is shared.
    """
    shared = [path for path in sorted(labels.iterdir()) if path.name in _TASKS and (predictions / path.name).is_dir()]
    if not shared:
        raise MultilingualError(f"{predictions.name!r} and {labels.name!r} share no task; known: {', '.join(_TASKS)}")
    return {path.name: _task(path.name, predictions / path.name, path) for path in shared}


def _task(task: str, predictions: Path, labels: Path) -> dict[str, Any]:
    scored: dict[str, Scores] = {}
    for gold in sorted(labels.glob("test-*")):
        given = predictions / gold.name
        if not given.exists():
            raise MultilingualError(f"task {task} has no predictions {gold.name!r}")
        code = gold.stem.removeprefix("test-")
        try:
            scored[code] = _TASKS[task](gold, given, code)
        except MultilingualError as error:
            raise MultilingualError(f"{task}/{gold.name}: {error}") from None
    names = list(next(iter(scored.values())))
    average = {name: sum(one[name] for one in scored.values()) / len(scored) for name in names}
    main = (average["exact_match"] + average["f1"]) / 2 if task in _QA else average[_MAIN.get(task, "accuracy")]
    return {"languages": scored, "average": average, "metric": main}


def _labels(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").split("\n")[: _count(path)]]


def _count(path: Path) -> int:
    """Lines of a file, the last with or without its line end."""
    text = path.read_text(encoding="utf-8")
    return text.count("\n") + (not text.endswith("\n"))


def _tags(path: Path) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in _labels(path):
        if line:
            blocks[-1].append(line)
        else:
            blocks.append([])
    return blocks if blocks[-1] else blocks[:-1]


def _answers(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["data"] if isinstance(content, dict) and "data" in content else content


def _questions(path: Path) -> list[Question]:
    return [
        Question(entry["id"], entry.get("question", ""), "", [(answer["text"], 0) for answer in entry["answers"]])
        for article in _answers(path)
        for paragraph in article["paragraphs"]
        for entry in paragraph["qas"]
    ]


def _pairs(path: Path) -> list[tuple[str, str]]:
    found = []
    for line in _labels(path):
        left, _, right = line.partition("\t")
        found.append((left, right))
    return found


def _mewsli(gold: Path, given: Path, code: str) -> Scores:
    first = {key: values[0].strip() for key, values in _answers(gold).items()}
    return mean_reciprocal_rank(first, _answers(given))


_TASKS: dict[str, Callable[[Path, Path, str], Scores]] = {
    "xnli": lambda gold, given, code: accuracy(_labels(gold), _labels(given)),
    "pawsx": lambda gold, given, code: accuracy(_labels(gold), _labels(given)),
    "tatoeba": lambda gold, given, code: accuracy(_labels(gold), _labels(given)),
    "udpos": lambda gold, given, code: span_f1(_tags(gold), _tags(given)),
    "panx": lambda gold, given, code: span_f1(_tags(gold), _tags(given)),
    "bucc2018": lambda gold, given, code: bucc_f1(_pairs(gold), _pairs(given)),
    "xquad": lambda gold, given, code: squad_scores(_questions(gold), _answers(given)),
    "tydiqa": lambda gold, given, code: squad_scores(_questions(gold), _answers(given)),
    "mlqa": lambda gold, given, code: mlqa_scores(_questions(gold), _answers(given), code),
    "mewslix": _mewsli,
}
