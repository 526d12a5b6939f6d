"""Training an encoder for a task: what is learnt, what comes back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colonnade.multilingual import MultilingualError, data, evaluate, pretrain, tokens
from colonnade.multilingual.data.questions import Question
from colonnade.multilingual.encoders import NgramEncoder, TransformerEncoder
from colonnade.multilingual.evaluate.answers import answers, windows
from colonnade.multilingual.evaluate.tuning import Tuning

NOUNS = [f"{a}{b}" for a in ("mal", "ter", "sil", "ron", "gap", "lud") for b in ("o", "um", "ek", "ist")]
VERBS = [f"{a}{b}" for a in ("bra", "fle", "gri", "plo", "stu", "kwe") for b in ("s", "t", "p", "n")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TransformerEncoder:
    """Random weights: whatever is known afterwards was learnt from the task."""
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice([*NOUNS, *VERBS], 6)) for _ in range(200)]
    tokenizer = tokens.train_bpe([*lines, "the colour of is red green blue what ?"], 384)
    plan = pretrain.Plan(layers=2, hidden=32, heads=2, feedforward=64, width=256, tokens=256)
    model = pretrain.PackedBert(plan, tokenizer.get_vocab_size())
    folder = pretrain.save_folder(model, tokenizer, tmp_path_factory.mktemp("tuned") / "model")
    return TransformerEncoder.from_folder(folder)


def weights(encoder: TransformerEncoder) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in encoder.model.state_dict().items()}


def pairs(count: int, seed: int) -> data.Labelled:
    """Whether the first word of one text comes again in the other: nothing that a probe of means sees at once."""
    rng = np.random.default_rng(seed)
    texts, second, labels = [], [], []
    for k in range(count):
        words = rng.choice(NOUNS, 4, replace=False)
        other = rng.choice(VERBS, 3, replace=False).tolist()
        texts.append(" ".join(words))
        second.append(" ".join([str(words[0]) if k % 2 else "bras", *other]))
        labels.append(str(k % 2))
    return data.Labelled(texts, labels, second)


@pytest.mark.parametrize("mode", ["adapter", "fine-tune"])
def test_tuning_learns_the_task_and_gives_the_encoder_back(encoder: TransformerEncoder, mode: str) -> None:
    rng = np.random.default_rng(1)

    def sentences(count: int) -> list[data.TaggedSentence]:
        """A word's tag depends on the one before it, which vectors of words without context do not hold."""
        found = []
        for _ in range(count):
            words = [str(w) for w in rng.choice([*NOUNS, *VERBS], 5)]
            tags = ["X", *("N" if before in NOUNS else "V" for before in words[:-1])]
            found.append(data.TaggedSentence(words, tags))
        return found

    train, tests = sentences(300), {"eng": sentences(60), "deu": sentences(60)}
    before, vectors = weights(encoder), encoder.sentences(["malo bras"])[2]
    probed = evaluate.tag_transfer(encoder, train, tests, source="eng")
    tuning = Tuning(mode, epochs=12, rate=2e-3, seed=3)
    told: list[int] = []
    found = evaluate.tag_transfer(
        encoder, train, tests, source="eng", tuning=tuning, progress=lambda step, loss: told.append(step)
    )
    assert weights(encoder) == before and np.array_equal(encoder.sentences(["malo bras"])[2], vectors)
    assert not any(value.grad is not None for value in encoder.model.parameters())
    assert all(value.requires_grad for value in encoder.model.parameters())
    assert told == list(range(1, 12 * 19 + 1)) and len(found.losses) == len(told)
    # in random layers only the attention can learn to look at the word before, and adapters leave it as it is
    gain = found.rows[0].score.value - probed.rows[0].score.value
    assert gain > 0.3 if mode == "fine-tune" else abs(gain) < 0.1
    again = evaluate.tag_transfer(encoder, train, tests, source="eng", tuning=tuning)
    assert again.losses == found.losses and again.rows == found.rows


def test_pairs_are_tuned_too(encoder: TransformerEncoder) -> None:
    tuning = Tuning("fine-tune", epochs=4, rate=3e-3)
    found = evaluate.classify_transfer(
        encoder, pairs(200, 1), {"eng": pairs(80, 2), "fra": pairs(80, 3)}, source="eng", tuning=tuning
    )
    assert {row.layer for row in found.rows} == {encoder.depth} and found.rows[1].score.value > 0.8


def questions(count: int, seed: int, filler: int = 2) -> list[Question]:
    """'flet gris malo bran red': which thing? malo. Which colour? red."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        noun, colour = str(rng.choice(NOUNS)), str(rng.choice(["red", "green", "blue"]))
        parts = [*rng.choice(VERBS, filler), noun, *rng.choice(VERBS, filler), colour, *rng.choice(VERBS, filler)]
        context, answer = " ".join(map(str, parts)), (noun, colour)[k % 2]
        place = len(" ".join(map(str, parts[: parts.index(answer)]))) + 1
        found.append(Question(f"q{k}", ("what is ?", "colour of ?")[k % 2], context, [(answer, place)]))
    return found


def test_questions_are_answered_from_where_the_answer_stands(encoder: TransformerEncoder) -> None:
    before = weights(encoder)
    tests = {"eng": questions(60, 2), "fin": questions(60, 3)}
    tuning = Tuning("fine-tune", epochs=12, rate=2e-3)
    tuned = evaluate.answer_transfer(encoder, questions(300, 1), tests, source="eng", tuning=tuning)
    probed = evaluate.answer_transfer(encoder, questions(300, 1), tests, source="eng", tuning=Tuning("probe", epochs=2))
    # frozen random states do not tell the two questions apart: the better half of the answers is the most they give
    exact, guessed = (found.rows[0].exact or 0.0 for found in (tuned, probed))
    assert exact > 0.8 and guessed < 0.6 and tuned.rows[0].score.value >= exact
    assert weights(encoder) == before


def test_an_adapter_learns_beside_its_head(encoder: TransformerEncoder) -> None:
    tests = {"eng": questions(20, 2), "fin": questions(20, 3)}
    head, both = (
        evaluate.answer_transfer(encoder, questions(200, 1), tests, source="eng", tuning=Tuning(mode, 12, 1e-2))
        for mode in ("probe", "adapter")
    )
    assert both.losses[0] == pytest.approx(head.losses[0])  # an adapter changes nothing until it is trained
    assert np.mean(both.losses[-13:]) < 0.9 * np.mean(head.losses[-13:])


def test_windows_cover_a_long_context_and_point_at_the_answer(encoder: TransformerEncoder) -> None:
    (question,) = questions(1, 5, filler=200)
    found = windows(encoder, [question], 256)
    assert len(found) > 2 and max(len(one.ids) for one in found) <= 256
    spans = {tuple(span) for one in found for span in one.spans.tolist()}
    everything = encoder.tokenizer.encode(question.context, add_special_tokens=False).offsets
    assert spans == set(everything)
    text, _ = question.answers[0]
    pointing = [one for one in found if one.answer != (0, 0)]
    assert pointing
    for one in pointing:
        first, last = (place - one.start for place in one.answer)
        assert question.context[one.spans[first][0] : one.spans[last][1]].strip() == text


def test_answers_are_the_best_span_of_any_window(encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that knows the places finds every answer."""
    import torch

    from colonnade.multilingual.evaluate import answers as module

    given = questions(5, 6, filler=30)

    def knowing(encoder: Any, part: Any, weight: Any) -> Any:
        logits = torch.zeros((len(part), max(len(one.ids) for one in part), 2))
        for row, one in enumerate(part):
            for side, place in enumerate(one.answer):
                logits[row, place, side] = 9
        return logits

    monkeypatch.setattr(module, "_logits", knowing)
    assert evaluate.squad_scores(given, answers(encoder, given, None)) == {"exact_match": 100, "f1": 100}


def test_what_cannot_be_tuned_is_said(encoder: TransformerEncoder, tmp_path: Path) -> None:
    train, tests = pairs(20, 1), {"eng": pairs(20, 2)}
    with pytest.raises(MultilingualError, match="'ngrams' has no weights to train; take mode probe"):
        evaluate.classify_transfer(NgramEncoder(), train, tests, source="eng", tuning=Tuning("adapter"))
    with pytest.raises(MultilingualError, match="mode is 'finetune'; it must be one of probe, adapter, fine-tune"):
        Tuning("finetune")
    with pytest.raises(MultilingualError, match="epochs is 0; it must be between 1 and 1000"):
        Tuning(epochs=0)
    unanswered = [*questions(12, 1), Question("lost", "what?", "nothing", [])]
    with pytest.raises(MultilingualError, match="question 'lost' of the training file has no answer"):
        evaluate.answer_transfer(encoder, unanswered, {"eng": questions(5, 2)}, source="eng")
    with pytest.raises(MultilingualError, match="no test in the source language deu"):
        evaluate.answer_transfer(encoder, questions(12, 1), {"eng": questions(5, 2)}, source="deu")
    path = tmp_path / "eng.json"
    path.write_text(json.dumps({"data": []}))
    assert data.read_squad(path) == ([], ())
