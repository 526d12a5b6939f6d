"""Removing a token is masking it: whatever the family, the lengths, the padding and the company."""

from __future__ import annotations

import pytest
import torch

from colonnade.pruning import PrunedEncoder, PruningError, Rule, prune
from colonnade.pruning.encoder import kept_mask
from colonnade.pruning.score import relative

from .conftest import FAMILIES, LENGTHS, random_model, random_texts

THRESHOLDS = [0.7, 0.9, 1.0]
RULES = {
    "all rows": {"rows": None},
    "64 rows": {"rows": 64},
    "16 rows": {"rows": 16},
    "first row": {"rows": 1},
    "relative": {"score": "relative", "rows": 16, "protect": [7, 8, 9, 10]},
    "random": {"score": "random"},
    "top-k": {"rule": "topk", "keep_rates": [0.8, 0.5, 0.3]},
}


@pytest.mark.parametrize("kind", ["body", "text", "tokens"])
@pytest.mark.parametrize("family", FAMILIES)
def test_without_thresholds_it_is_the_model_itself(family: str, kind: str) -> None:
    model = random_model(family, kind)
    for lengths in LENGTHS:
        texts = random_texts(lengths, model.config.pad_token_id)
        with torch.no_grad():
            expected = model(**texts)[0].clone()
        pruned = prune(random_model(family, kind))
        real = texts["attention_mask"].bool() if expected.dim() == 3 else slice(None)
        for execution in ("mask", "gather", "packed"):
            pruned.set_execution(execution)
            with torch.no_grad():
                found = pruned(**texts)[0]
            assert (found - expected)[real].abs().max() < 1e-5


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["text", "tokens"])
@pytest.mark.parametrize("family", FAMILIES)
def test_removal_is_masking(family: str, kind: str, name: str) -> None:
    pruned = prune(random_model(family, kind), THRESHOLDS, **RULES[name])
    removed = 0
    for lengths in LENGTHS:
        texts = random_texts(lengths, pruned.config.inner().pad_token_id)
        found = {}
        for execution in ("mask", "gather", "packed"):
            pruned.set_execution(execution)
            with torch.no_grad():
                found[execution] = pruned(**texts, output_kept=True)
        real = texts["attention_mask"].bool() if kind == "tokens" else slice(None)
        for other in ("gather", "packed"):
            assert torch.equal(found[other].kept, found["mask"].kept)
            assert (found[other].logits - found["mask"].logits)[real].abs().max() < 1e-5
        removed += int(texts["attention_mask"].sum()) - int(found["mask"].kept[:, 1].sum())
    assert removed > 50  # it did prune


@pytest.mark.parametrize("family", FAMILIES)
def test_the_result_depends_on_no_padding_and_no_company(family: str) -> None:
    pruned = prune(random_model(family), THRESHOLDS)
    lengths, pad = [70, 3, 64, 65, 1, 120], pruned.config.inner().pad_token_id
    texts = random_texts(lengths, pad)
    with torch.no_grad():
        together = pruned(**texts).logits
        shifted = pruned(**random_texts(lengths, pad, left=True)).logits
        wide = {name: torch.nn.functional.pad(value, (0, 8)) for name, value in texts.items()}
        backwards = pruned(**{name: value.flip(0) for name, value in texts.items()}).logits.flip(0)
        alone = [pruned(input_ids=row[None, :n]).logits for row, n in zip(texts["input_ids"], lengths, strict=True)]
        assert (pruned(**wide).logits - together).abs().max() < 1e-5
    for other in (shifted, backwards, torch.cat(alone)):
        assert (other - together).abs().max() < 1e-5


def test_tags_stand_where_the_tokens_stand_with_holes_in_the_mask() -> None:
    pruned = prune(random_model("bert", "tokens"), THRESHOLDS)
    texts = random_texts([30, 12])
    holes = {name: torch.zeros(2, 60, dtype=torch.long) for name in texts}
    for name, value in texts.items():
        holes[name][:, 1::2] = value
    with torch.no_grad():
        plain, spread = pruned(**texts).logits, pruned(**holes).logits
    real = texts["attention_mask"].bool()
    assert (spread[:, 1::2] - plain)[real].abs().max() < 1e-5


def test_survivors_are_nested_in_order_and_keep_the_first() -> None:
    encoder = PrunedEncoder(random_model("bert", "body"), Rule(rows=None), THRESHOLDS)
    encoder(**random_texts([50, 20, 1]))
    assert encoder.last is not None
    batch, run = encoder.last
    before = set(range(71))
    for index in run.kept:
        listed = index.tolist()
        assert listed == sorted(listed)
        assert set(listed) <= before
        assert {0, 50, 70} <= set(listed)
        before = set(listed)
    assert kept_mask(batch, run).shape == (3, 3, 50)


def test_protected_tokens_bypassed_texts_and_the_dial() -> None:
    pruned = prune(random_model("bert", "tokens"), [9.0, 9.0, 9.0], protect=[7, 8])
    texts = random_texts([60, 20])
    ids = texts["input_ids"]
    with torch.no_grad():
        kept = pruned(**texts, output_kept=True).kept[:, -1]
        always = (ids == 7) | (ids == 8)
        always[:, 0] = True
        assert torch.equal(kept, always & texts["attention_mask"].bool())
        pruned.set_rule(bypass=21)
        kept = pruned(**texts, output_kept=True).kept[:, -1]
        assert kept[1].sum() == 20 and kept[0].sum() == always[0].sum()
        pruned.set_dial(0)
        assert pruned(**texts, output_kept=True).kept.sum() == 3 * 80
    counts = []
    pruned = prune(random_model("bert", "tokens"), THRESHOLDS)
    for dial in (0.0, 0.5, 1.0, 1.5):
        pruned.set_dial(dial)
        counts.append(int(pruned(**texts, output_kept=True).kept.sum()))
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]


def test_thresholds_that_remove_everything_leave_the_first_token() -> None:
    pruned = prune(random_model("mpnet"), [50.0, 50.0, 50.0])
    for execution in ("mask", "gather", "packed"):
        pruned.set_execution(execution)
        out = pruned(**random_texts([33, 70], 1), output_kept=True)
        assert out.kept.sum() == 2 * 3
        assert torch.isfinite(out.logits).all()


@pytest.mark.parametrize("score", ["received", "relative"])
def test_a_text_of_protected_tokens_only_keeps_them(score: str) -> None:
    pruned = prune(random_model("bert"), [9.0, 9.0, 9.0], score=score, protect=[7])
    ids = torch.tensor([[2, 7], [3, 7]])
    for execution in ("mask", "gather", "packed"):
        pruned.set_execution(execution)
        with torch.no_grad():
            out = pruned(input_ids=ids, output_kept=True)
        assert out.kept[:, :-1].all() and torch.isfinite(out.logits).all()


def test_the_relative_score_is_of_mean_one_over_tokens_that_may_leave() -> None:
    torch.manual_seed(0)
    r = torch.rand(50) + 0.1
    r[0] = 1000  # a token that draws everything
    free = torch.ones(50)
    free[0] = 0
    found = relative(r, free)
    assert float(found[1:].mean()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(relative(7 * r, free), found)
    assert torch.isfinite(relative(r, torch.zeros(50))).all()


def test_half_precision_runs() -> None:
    pruned = prune(random_model("bert"), THRESHOLDS)
    texts = random_texts([70, 3, 120])
    with torch.no_grad():
        full = pruned(**texts).logits
        half = pruned.bfloat16()(**texts).logits
    assert (half.float() - full).abs().max() < 0.2


def test_what_is_refused_is_refused_in_one_sentence() -> None:
    pruned = prune(random_model("bert"))
    with pytest.raises(PruningError, match=r"takes at most 140; cut it first"):
        pruned(**random_texts([141]))
    with pytest.raises(PruningError, match="at least one token"):
        pruned(input_ids=torch.ones(2, 4, dtype=torch.long), attention_mask=torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]]))
    with pytest.raises(PruningError, match="shape of input_ids"):
        pruned(input_ids=torch.ones(2, 4, dtype=torch.long), attention_mask=torch.ones(2, 5))
    with pytest.raises(PruningError, match="output_attentions is not supported"):
        pruned(**random_texts([5]), output_attentions=True)
    with pytest.raises(PruningError, match="input_ids are needed"):
        pruned(inputs_embeds=torch.zeros(1, 4, 32))
    with pytest.raises(PruningError, match="dial must be from 0 to 4, but is nan"):
        pruned.set_dial(float("nan"))
    with pytest.raises(PruningError, match="thresholds must be 3 numbers"):
        pruned.set_thresholds([1.0])
    with pytest.raises(PruningError, match=r"at least 0 and finite, but that of layer 2 is nan"):
        pruned.set_thresholds([1.0, float("nan"), 1.0])
    with pytest.raises(PruningError, match="must not rise"):
        pruned.set_rule(rule="topk", keep_rates=[0.5, 0.6, 0.1])
    with pytest.raises(PruningError, match="execution must be one of mask, gather, packed"):
        pruned.set_execution("fast")
