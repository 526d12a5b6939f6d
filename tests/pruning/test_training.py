"""Training, calibration and guarantees on a task whose answer is a few marked tokens among many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from colonnade.pruning import (
    Encoded,
    Plan,
    PruningError,
    add_lora,
    answer,
    calibrate,
    count_survivors,
    evaluate,
    fit_dial,
    guarantee,
    load_adapter,
    merge_lora,
    predict,
    prune,
    save_adapter,
    take_lora,
    train,
)
from colonnade.pruning.cost import Shape, ratio
from colonnade.pruning.evaluation import mcnemar, paired_interval
from colonnade.pruning.texts import batches
from colonnade.pruning.training import UNKNOWN

from .conftest import KINDS, config, random_model

MARKS = 3  # tokens that tell the class


def needles(count: int, seed: int) -> tuple[Encoded, list[int]]:
    """Texts of 12 to 39 tokens; three of them, 10 or 11, are the class."""
    rng = np.random.default_rng(seed)
    ids, labels = [], []
    for _ in range(count):
        length, label = int(rng.integers(12, 40)), int(rng.integers(2))
        row = rng.integers(20, 99, length)
        row[rng.choice(np.arange(1, length), MARKS, replace=False)] = 10 + label
        row[0] = 2
        ids.append(row.tolist())
        labels.append(label)
    return Encoded(ids, 0, 0), labels


def fresh(seed: int = 0, layers: int = 3) -> Any:
    torch.manual_seed(seed)
    quiet = {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
    return prune(KINDS["text"].from_config(config("bert", layers, **quiet)))


@pytest.fixture(scope="module")
def trained() -> Any:
    """Dense, soft and hard: twice fewer FLOPs."""
    texts, labels = needles(800, 1)
    model = fresh()
    plan = Plan(epochs=(5, 2, 1), lr=(2e-3, 1e-3, 5e-4), target=2.0, threshold_lr=0.03, batch_size=32, temperature=0.1)
    trace = train(model, texts, labels, plan)
    return model, trace


def test_the_target_is_met_and_the_answers_stay_right(trained: Any) -> None:
    model, trace = trained
    texts, labels = needles(300, 2)
    found = evaluate(model, texts, labels)
    assert found.dense > 0.97
    assert found.pruned > found.dense - 0.02
    assert 1.85 < found.ratio < 2.3
    assert found.agreement > 0.97
    assert list(dict.fromkeys(trace.stage)) == ["dense", "soft", "hard"]
    share = [value for value in trace.share if np.isfinite(value)]
    assert 0.4 < np.mean(share[-10:]) < 0.6  # the soft gates hold the constraint, too
    assert (model.thresholds >= 0).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    texts, labels = needles(32, 1)
    found = []
    for _ in range(2):
        model = fresh(layers=2)
        train(model, texts, labels, Plan(epochs=(1, 1, 1), lr=(1e-3, 1e-3, 1e-3), target=1.5, batch_size=16))
        found.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(*found)


def test_texts_without_labels_are_learned_from_through_the_dense_model() -> None:
    texts, labels = needles(400, 1)
    known = [*labels[:200], *[UNKNOWN] * 200]
    model = fresh()
    seen: dict[str, int] = {}
    plan = Plan(epochs=(8, 2, 2), lr=(2e-3, 1e-3, 5e-4), target=1.6, threshold_lr=0.03, batch_size=20)
    train(model, texts, known, plan, lambda stage, step, steps, trace: seen.update({stage: steps}))
    assert seen == {"dense": 80, "soft": 40, "hard": 40}  # the dense stage has nothing to learn of the other half
    found = evaluate(model, *needles(200, 2))
    assert found.agreement > 0.9
    seen.clear()
    train(model, texts, known, replace(plan, distil=0.0), lambda stage, step, steps, trace: seen.update({stage: steps}))
    assert seen == {"dense": 80, "soft": 20, "hard": 20}
    with pytest.raises(PruningError, match="two texts of two different labels"):
        train(model, texts, [UNKNOWN] * 400, plan)


def test_the_l1_term_alone_prunes_too() -> None:
    texts, labels = needles(128, 1)
    kept = []
    for lam in (0.0, 0.5):
        model = fresh(layers=2)
        model.set_thresholds([0.5, 0.5])
        plan = Plan(("soft",), (2,), (1e-4,), target=None, lam=lam, threshold_lr=0.05, distil=0)
        train(model, texts, labels, plan)
        kept.append(int(count_survivors(model, texts)[:, 0].sum()))
    assert kept[0] > 0.9 * sum(texts.lengths) > 0.5 * sum(texts.lengths) > kept[1]


def test_calibration_meets_the_target_without_training() -> None:
    texts, _ = needles(100, 3)
    model = prune(random_model("bert"))
    for target in (1.2, 1.6, 2.2):
        found = calibrate(model, texts, target)
        shape = Shape.of(model.encoder.config)
        measured = ratio(count_survivors(model, texts).numpy(), texts.lengths, shape)
        assert abs(measured / target - 1) < 0.05 and abs(found.ratio - measured) < 1e-9
        assert found.rates == sorted(found.rates, reverse=True)
        assert found.thresholds == pytest.approx(model.thresholds.tolist())
    scaled = fit_dial(model, texts, 1.4)
    assert abs(scaled.ratio / 1.4 - 1) < 0.05
    before = model.thresholds.clone()
    with pytest.raises(PruningError, match=r"target_speedup must be from 1 to \d\.\d\d for these texts and 3 layers"):
        calibrate(model, texts, 9.0)
    assert torch.equal(model.thresholds, before)


def test_a_guarantee_holds_on_texts_it_has_not_seen() -> None:
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(200):
        margin = rng.uniform(-3, 3, 2000)
        dense = torch.tensor(np.stack([margin, -margin], 1))
        noisy = margin + rng.normal(0, 0.4, 2000)
        pruned = torch.tensor(np.stack([noisy, -noisy], 1))
        found = guarantee(pruned[:600], dense[:600], 0.02, 0.9)
        later = pruned[600:]
        size = later.softmax(-1).topk(2, -1).values
        kept = (size[:, 0] - size[:, 1]).numpy() >= found.margin
        broken += ((later.argmax(1) != dense[600:].argmax(1)).numpy() & kept).mean() > 0.02
        assert 0 < found.asked < 0.9
    assert broken <= 30  # 10 % of 200 may break it, and three standard errors


def test_a_promise_needs_texts() -> None:
    logits = torch.zeros(20, 2)
    with pytest.raises(PruningError, match=r"20 held-out texts are too few .* at least 299 are needed"):
        guarantee(logits, logits, 0.01, 0.95)


def test_the_dense_model_is_asked_where_it_is_close(trained: Any) -> None:
    model, _ = trained
    texts, _ = needles(60, 5)
    logits, asked = answer(model, texts, 2.0)
    assert asked.all()
    with model.encoder.set(dial=0):
        assert torch.allclose(logits, predict(model, texts), atol=1e-5)
    logits, asked = answer(model, texts, 0.0)
    assert not asked.any() and torch.equal(logits, predict(model, texts))


def test_adapters_hold_what_was_learned(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    texts, labels = needles(64, 1)
    torch.manual_seed(0)
    base = KINDS["text"].from_config(config("bert"))
    base.save_pretrained(tmp_path / "base")
    model = prune(KINDS["text"].from_pretrained(tmp_path / "base"))
    whole = sum(p.numel() for p in model.parameters())
    assert add_lora(model, 4) < whole / 2
    train(model, texts, labels, Plan(epochs=(1, 1, 1), lr=(1e-2, 1e-2, 1e-2), target=1.5, batch_size=16))
    with torch.no_grad():
        trained = predict(model, texts)
    save_adapter(tmp_path / "a.safetensors", model, take_lora(model), tmp_path / "base", {"task": "needles"})
    merge_lora(model)
    assert (predict(model, texts) - trained).abs().max() < 1e-5
    assert not any("lora" in name for name, _ in model.named_parameters())
    loaded = load_adapter(tmp_path / "a.safetensors", tmp_path / "base")
    assert torch.equal(loaded.thresholds, model.thresholds)
    assert (predict(loaded, texts) - trained).abs().max() < 0.02  # half precision
    other = KINDS["text"].from_config(config("bert"))
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(PruningError, match="belongs to another base model"):
        load_adapter(tmp_path / "a.safetensors", tmp_path / "other")
    with pytest.raises(PruningError, match="is no adapter"):
        load_adapter(tmp_path / "base" / "model.safetensors", tmp_path / "base")


def test_what_cannot_be_trained_is_said() -> None:
    texts, labels = needles(20, 1)
    model = fresh()
    for plan, words in (
        (Plan(target=0.5), "target_speedup must be at least 1, but is 0.5"),
        (Plan(target=50.0), r"target_speedup must be from 1 to \d\.\d\d"),
        (Plan(temperature=0.0), "temperature must be above 0"),
        (Plan(lam=-1.0), "lam must be at least 0"),
        (Plan(epochs=(1,)), "epochs and lr must have 3 numbers"),
        (Plan(lr=(1e12, 1e12, 1e12), target=None), "The loss became no number in step"),
    ):
        with pytest.raises(PruningError, match=words):
            train(fresh() if plan.lr[0] > 1 else model, texts, labels, plan)
    with pytest.raises(PruningError, match="two different labels"):
        train(model, texts, [1] * 20)
    with pytest.raises(PruningError, match="20 texts but 3 labels"):
        train(model, texts, [0, 1, 0])
    with pytest.raises(PruningError, match=r"labels must be from 0 to 1 .*, but one is 7"):
        train(model, texts, [0, 7] * 10)


def test_batches_are_of_like_length_and_complete() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 100, 500).tolist()
    for order in (None, np.random.default_rng(1)):
        found = list(batches(lengths, 16, order))
        assert sorted(k for batch in found for k in batch) == list(range(500))
        spread = np.mean([np.ptp([lengths[k] for k in batch]) for batch in found])
        assert spread < (4 if order is None else 12)


def test_the_tests_of_pairs() -> None:
    one, other = np.array([True] * 90 + [False] * 10), np.array([True] * 80 + [False] * 20)
    low, high = paired_interval(one, other)
    assert 0.03 < low < 0.1 < high < 0.17
    assert mcnemar(one, other) == pytest.approx(2 * 0.5**10)
    assert mcnemar(one, one) == 1
