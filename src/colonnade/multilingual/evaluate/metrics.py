"""XTREME's metrics, in per cent, as its published scorer computes them (Hu et al. 2020, arXiv:2003.11080)."""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from colonnade.multilingual.data.questions import Question
from colonnade.multilingual.errors import MultilingualError, enough, one_of

Scores = dict[str, float]


def accuracy(labels: Sequence[object], predictions: Sequence[object]) -> Scores:
    """Share of equal labels.

    Raises:
        MultilingualError: unequal numbers of labels and predictions.
    """
    _same(labels, predictions)
    right = sum(a == b for a, b in zip(labels, predictions, strict=True))
    return {"accuracy": 100 * right / len(predictions)}


def span_f1(labels: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> Scores:
    """F1, precision and recall of spans by seqeval; of part-of-speech tags too, which it reads as spans.

    Raises:
        MultilingualError: unequal numbers of sentences, or of tags in one.
    """
    import warnings

    from seqeval.metrics import f1_score, precision_score, recall_score

    _same(labels, predictions)
    for number, (a, b) in enumerate(zip(labels, predictions, strict=True), 1):
        if len(a) != len(b):
            raise MultilingualError(f"sentence {number} has {len(a)} gold tags but {len(b)} predicted ones")
    gold, found = [list(one) for one in labels], [list(one) for one in predictions]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval warns of every tag that has no prefix
        return {
            "f1": 100 * float(f1_score(gold, found)),
            "precision": 100 * float(precision_score(gold, found)),
            "recall": 100 * float(recall_score(gold, found)),
        }


def bucc_f1(gold: Sequence[tuple[str, str]], mined: Sequence[tuple[str, str]]) -> Scores:
    """F1, precision and recall of mined pairs of sentence ids."""
    true, found = set(gold), set(mined)
    hits = len(true & found)
    precision, recall = (hits / len(found), hits / len(true)) if hits else (0.0, 0.0)
    both = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"f1": 100 * both, "precision": 100 * precision, "recall": 100 * recall}


def mean_reciprocal_rank(gold: Mapping[str, str], ranked: Mapping[str, Sequence[str]], k: int = 20) -> Scores:
    """Mean of 1 / rank of the right answer among the first k, 0 where it is not (mAP@20 of Mewsli-X)."""
    enough("questions", len(gold), 1, "a mean")
    total = 0.0
    for key, answer in gold.items():
        first = list(ranked.get(key, ()))[:k]
        total += 1 / (first.index(answer) + 1) if answer in first else 0.0
    return {f"map@{k}": 100 * total / len(gold)}


def squad_scores(questions: Sequence[Question], answers: Mapping[str, str]) -> Scores:
    """Exact match and F1 of words after lower case, without ASCII punctuation and English articles (SQuAD 1.1)."""
    return _answer_scores(questions, answers, _squad_words)


def mlqa_scores(questions: Sequence[Question], answers: Mapping[str, str], language: str) -> Scores:
    """The same with the punctuation of all scripts, each language's articles, and Chinese by characters (MLQA).

    Raises:
        MultilingualError: MLQA does not have the language.
    """
    one_of("language", language, _ARTICLES)
    return _answer_scores(questions, answers, lambda text: _mlqa_words(text, language))


def _same(labels: Sequence[object], predictions: Sequence[object]) -> None:
    if len(labels) != len(predictions):
        raise MultilingualError(f"there are {len(labels)} labels but {len(predictions)} predictions")
    enough("predictions", len(labels), 1, "a score")


def _answer_scores(
    questions: Sequence[Question], answers: Mapping[str, str], words: Callable[[str], list[str]]
) -> Scores:
    """An unanswered question counts as wrong."""
    enough("questions", len(questions), 1, "a score")
    exact = overlap = 0.0
    for question in questions:
        if question.id not in answers:
            continue
        given = words(answers[question.id])
        true = [words(text) for text, _ in question.answers]
        exact += max(given == one for one in true)
        overlap += max(_overlap(given, one) for one in true)
    return {"exact_match": 100 * exact / len(questions), "f1": 100 * overlap / len(questions)}


def _overlap(given: Sequence[str], true: Sequence[str]) -> float:
    shared = sum((Counter(given) & Counter(true)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(given), shared / len(true)
    return 2 * precision * recall / (precision + recall)


def _squad_words(text: str) -> list[str]:
    bare = "".join(char for char in text.lower() if char not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


# MLQA's scorer leaves the Arabic article only where it stands alone in this pattern; equal scores need the same one.
_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "hi": "",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": r"\sال^|ال",
    "zh": "",
}
_HAN = re.compile(r"([\u4e00-\u9fa5])")


def _mlqa_words(text: str, language: str) -> list[str]:
    bare = "".join(char for char in text.lower() if char not in _punctuation())
    if _ARTICLES[language]:
        bare = re.sub(_ARTICLES[language], " ", bare)
    return (_HAN.sub(r" \1 ", bare) if language == "zh" else bare).split()


@cache
def _punctuation() -> frozenset[str]:
    marks = (chr(i) for i in range(sys.maxunicode) if unicodedata.category(chr(i)).startswith("P"))
    return frozenset(marks) | frozenset(string.punctuation)
