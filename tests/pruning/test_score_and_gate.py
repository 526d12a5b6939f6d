"""Scores and gates against the equations, written out plainly here."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from colonnade.pruning import PrunedEncoder, Rule, prune
from colonnade.pruning.batch import Batch
from colonnade.pruning.gate import hard_gate, linear_rates, soft_gate, top_k
from colonnade.pruning.padded import SoftRun
from colonnade.pruning.score import received_by, row_weights, sampled_rows

from .conftest import random_model, random_texts


def plain_layer(layer, x, mask, heads):
    """Attention probabilities [B, H, N, N] and a layer's output, by loops over texts and heads (BERT)."""
    block = layer.attention.self
    out, probabilities = torch.zeros_like(x), torch.zeros(len(x), heads, x.shape[1], x.shape[1])
    for b in range(len(x)):
        q, k, v = block.query(x[b]), block.key(x[b]), block.value(x[b])
        width = q.shape[1] // heads
        context = []
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            logits = q[:, part] @ k[:, part].T / math.sqrt(width)
            logits[:, ~mask[b]] = -1e9
            probabilities[b, h] = logits.softmax(-1)
            context.append(probabilities[b, h] @ v[:, part])
        out[b] = layer.attention.output(torch.cat(context, 1), x[b])
    return probabilities, layer.output(layer.intermediate(out), out)


def official_masks(body, texts, thresholds, pad_to):
    """Survivors by the published rule: s = mean of attention over heads and all `pad_to` rows, those of removed and
    padded queries zeroed; keep s >= θ; a removed token never returns. The first token is protected, as ours is."""
    ids = torch.nn.functional.pad(texts["input_ids"], (0, pad_to - texts["input_ids"].shape[1]))
    mask = torch.nn.functional.pad(texts["attention_mask"], (0, pad_to - texts["attention_mask"].shape[1])).bool()
    x, found = body.embeddings(input_ids=ids), []
    for layer, threshold in zip(body.encoder.layer, thresholds, strict=True):
        p, x = plain_layer(layer, x, mask, body.config.num_attention_heads)
        p = p * mask[:, None, :, None]
        score = p.sum(dim=(1, 2)) / (p.shape[1] * pad_to)
        keep = (score >= threshold) & mask
        keep[:, 0] = True
        mask = keep
        found.append(mask)
    return torch.stack(found, 1)


@torch.no_grad()
def test_at_fixed_padding_the_masks_are_the_official_ones() -> None:
    body = random_model("bert", "body", layers=2)
    texts = random_texts([60, 60, 60, 60])  # full rows: here r is 60 times the published score
    for thresholds in ([0.9, 1.1], [0.5, 0.8], [0.0, 1.3]):
        expected = official_masks(body, texts, [t / 60 for t in thresholds], 60)
        encoder = PrunedEncoder(body, Rule(rows=None), thresholds, "mask")
        encoder(**texts)
        batch, run = encoder.last
        from colonnade.pruning.encoder import kept_mask

        assert torch.equal(kept_mask(batch, run), expected)
        assert expected[:, -1].sum() < 200


@torch.no_grad()
def test_the_official_score_depends_on_padding_and_ours_does_not() -> None:
    body = random_model("bert", "body", layers=1)
    texts = random_texts([30])
    threshold = 1.0 / 30
    tight, padded = (official_masks(body, texts, [threshold], pad)[0, 0].sum() for pad in (30, 120))
    assert tight > 5 and padded == 1  # the same text and threshold: with padding all but the first token are lost
    pruned = PrunedEncoder(body, Rule(rows=None), [1.0])
    pruned(**texts)
    alone = pruned.last[1].kept[0]
    pruned(**random_texts([30, 120]))
    together = pruned.last[1].kept[0]
    assert torch.equal(alone, together[together < 30])


@pytest.mark.parametrize("rows", [None, 64, 7, 1])
def test_scores_sum_to_the_number_of_tokens(rows: int | None) -> None:
    torch.manual_seed(1)
    for n in (1, 2, 9, 64, 65, 200):
        q, k = torch.randn(4, n, 8), torch.randn(4, n, 8)
        r = received_by(q[:, sampled_rows(n, rows)], k)
        assert r.shape == (n,)
        assert abs(float(r.sum()) - n) < 1e-4 * n
        assert (r > 0).all()


def test_sampled_rows_are_spread_evenly_and_are_those_with_weight() -> None:
    for n in range(1, 200):
        for rows in (None, 1, 2, 7, 64):
            ranks = sampled_rows(n, rows)
            weights = row_weights(torch.arange(n), torch.tensor(n), rows)
            assert weights.nonzero().squeeze(1).tolist() == ranks.tolist()
            assert abs(float(weights.sum()) - 1) < 1e-5
            assert ranks[0] == 0 and len(ranks) == min(n, rows or n)
            if len(ranks) > 1:
                assert np.ptp(np.diff(ranks.tolist())) <= 1


def test_few_rows_tell_nearly_what_all_tell() -> None:
    torch.manual_seed(0)
    k = torch.randn(12, 400, 32)
    q = torch.randn(12, 400, 32) + 0.5
    exact = received_by(q, k)
    found = [np.corrcoef(exact, received_by(q[:, sampled_rows(400, rows)], k))[0, 1] for rows in (1, 16, 64)]
    assert found[0] < found[1] < found[2] and found[2] > 0.9


def test_gates_and_their_limit() -> None:
    r = torch.tensor([0.2, 0.9, 1.1, 3.0], dtype=torch.float64)
    theta = torch.tensor(1.0, dtype=torch.float64)
    assert hard_gate(r, theta).tolist() == [False, False, True, True]
    for temperature in (1e-2, 1e-3):
        assert (soft_gate(r, theta, temperature) - hard_gate(r, theta).double()).abs().max() < 1e-4
    temperature = 0.1
    soft = soft_gate(r, theta, temperature)
    theta.requires_grad_(True)
    for j in range(4):
        (gradient,) = torch.autograd.grad(soft_gate(r, theta, temperature)[j], theta)
        assert torch.isclose(gradient, -soft[j] * (1 - soft[j]) / temperature)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["text", "tokens"])
def test_soft_gates_become_hard_ones_as_the_temperature_falls(kind: str) -> None:
    pruned = prune(random_model("bert", kind), [0.7, 0.9, 1.0], execution="mask")
    texts = random_texts([40, 25, 60])
    hard = pruned(**texts).logits
    apart = []
    for temperature in (1.0, 1e-1, 1e-2, 1e-6):
        with pruned.encoder.set(temperature=temperature, execution="mask"):
            apart.append(
                float(
                    (pruned(**texts).logits - hard)[texts["attention_mask"].bool() if kind == "tokens" else ...]
                    .abs()
                    .max()
                )
            )
    assert apart[-1] < 1e-5 < apart[0]
    assert apart[1] > apart[2] > apart[3]


@pytest.mark.parametrize("family", ["bert", "mpnet", "distilbert"])
def test_gradients_of_the_thresholds_are_those_of_finite_differences(family: str) -> None:
    body = random_model(family, "body", layers=2).double()
    encoder = PrunedEncoder(body, Rule(rows=None), [0.8, 1.0]).double()
    texts = random_texts([12, 7], body.config.pad_token_id)
    weights = torch.randn(2, 12, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def value(thresholds: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            encoder.thresholds.copy_(thresholds)
        with encoder.set(temperature=0.2):
            hidden = encoder(**texts).last_hidden_state
        run = encoder.last[1]
        assert isinstance(run, SoftRun)
        return (hidden * weights).sum() + 0.1 * run.mass().mean(1).sum()

    start = torch.tensor([0.8, 1.0], dtype=torch.float64)
    value(start).backward()
    found, step = encoder.thresholds.grad.clone(), 1e-6
    for layer in range(2):
        shift = torch.zeros(2, dtype=torch.float64)
        shift[layer] = step
        with torch.no_grad():
            expected = (value(start + shift) - value(start - shift)) / (2 * step)
        assert abs(float(found[layer] - expected)) < 1e-6 * max(1, abs(float(expected)))


def test_top_k_takes_the_best_of_each_text_in_order_of_place() -> None:
    r = torch.tensor([[1.0, 5.0, 5.0, 2.0], [9.0, 1.0, 1.0, 7.0]])
    alive = torch.tensor([[True, True, True, True], [True, True, True, False]])
    stay = top_k(r, alive, torch.tensor([2, 2]))
    assert stay.tolist() == [[False, True, True, False], [True, True, False, False]]
    assert linear_rates(6, 0.1) == pytest.approx([1, 0.82, 0.64, 0.46, 0.28, 0.1])


def test_a_batch_without_padding_knows_its_places() -> None:
    texts = random_texts([3, 1, 2], left=True)
    batch = Batch.of(**{"ids": texts["input_ids"], "mask": texts["attention_mask"], "segments": None})
    assert batch.places.tolist() == [0, 1, 2, 0, 0, 1]
    assert batch.slots.tolist() == [0, 1, 2, 5, 7, 8]
    assert batch.text.tolist() == [0, 0, 0, 1, 2, 2]
