"""FLOPs: the paper's formula against torch's own counter and against what the paper prints."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel  # the counter knows no fused attention of the CPU
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from colonnade.pruning import prune
from colonnade.pruning.cost import (
    Shape,
    bypass_length,
    dense_flops,
    executed_flops,
    flops,
    pareto,
    predicted_gain,
    ratio,
    share_at_rates,
    soft_share,
)

from .conftest import shared

SHAPE = Shape(6, 384, 1536)


@pytest.fixture(scope="module")
def body() -> BertModel:
    torch.manual_seed(0)
    return BertModel(
        BertConfig(vocab_size=99, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=256),
        add_pooling_layer=False,
    ).eval()


@pytest.mark.parametrize("n", [16, 100, 200])
def test_dense_flops_are_those_that_torch_counts(body: BertModel, n: int) -> None:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        body(input_ids=torch.randint(0, 99, (1, n)))
    assert dense_flops([n], Shape.of(body.config))[0] == counter.get_total_flops()


@pytest.mark.parametrize("execution", ["mask", "packed"])
def test_pruned_flops_are_those_that_torch_counts(body: BertModel, execution: str) -> None:
    n, rates, rows = 200, [0.7, 0.4, 0.1], 16
    pruned = prune(body, rule="topk", keep_rates=rates, rows=rows, execution=execution)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        pruned(input_ids=torch.randint(0, 99, (1, n)))
    leaving = np.ceil(n * np.array(rates) - 1e-6)
    entering = np.concatenate([[n], leaving[:-1]])
    shape = Shape.of(body.config)
    sampled = np.minimum(entering, rows)
    executed = executed_flops(entering, leaving, shape, sampled).sum()
    if execution == "packed":
        assert counter.get_total_flops() == executed
        # Decided before the queries are made, less is computed than the paper's formula counts.
        assert executed < flops(leaving[None], [n], shape)[0]
    else:  # masking saves nothing
        assert counter.get_total_flops() >= dense_flops([n], shape)[0]


def test_ratios() -> None:
    survivors = np.array([[20, 20, 20, 20, 20, 20], [5, 5, 5, 5, 5, 5]])
    assert ratio(survivors, [20, 5], SHAPE) == 1
    assert share_at_rates([1.0] * 6, [20, 5], SHAPE) == 1
    assert share_at_rates([0.5] * 6, [20], SHAPE) < 0.6
    mass = torch.tensor([[20.0, 5.0]] * 6, requires_grad=True)
    share = soft_share(mass, torch.tensor([20, 5]), SHAPE)
    share.backward()
    assert abs(float(share) - 1) < 1e-6 and (mass.grad > 0).all()


def test_a_bypass_is_where_pruning_begins_to_pay() -> None:
    rates = [1.0, 0.8, 0.6, 0.4, 0.2, 0.1]
    gains = [predicted_gain(n, rates, SHAPE, 1e-4, 1e11) for n in (4, 32, 256, 512)]
    assert gains == sorted(gains) and gains[0] < 1 < gains[-1] < 2.3
    least = bypass_length(rates, SHAPE, 1e-4, 1e11)
    assert predicted_gain(least, rates, SHAPE, 1e-4, 1e11) >= 1.05 > predicted_gain(least - 1, rates, SHAPE, 1e-4, 1e11)
    assert bypass_length([1.0] * 6, SHAPE, 1e-4, 1e11) == 513


def test_a_pareto_front() -> None:
    points = [(1.0, 0.9), (2.0, 0.91), (3.0, 0.8), (2.5, 0.7), (3.0, 0.85)]
    assert [points[k] for k in pareto(points)] == [(2.0, 0.91), (3.0, 0.85)]


PAPER = {"SST-2": 4.45, "STS-B": 5.53, "QNLI": 8.94, "MRPC": 9.33, "RTE": 11.38}  # GFLOPs, arXiv:2107.00910, table 1
COLUMNS = {"SST-2": (0,), "STS-B": (7, 8), "QNLI": (1, 2), "MRPC": (3, 4), "RTE": (1, 2)}


@pytest.mark.parametrize("task", PAPER)
def test_the_dense_column_of_the_paper(task: str) -> None:
    """RoBERTa-base at the lengths of the real dev sets; WordPiece lengths stand for its own."""
    folder = shared("glue")
    if folder is None:
        pytest.skip("the GLUE dev sets are not here: no folder shared/data/glue above the project")
    from colonnade.pruning import load_tokenizer, minilm_folder

    tokenizer = load_tokenizer(minilm_folder())
    with (folder / task / "dev.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    lengths = [len(tokenizer(*(row[column] for column in COLUMNS[task]))["input_ids"]) for row in rows]
    found = dense_flops(np.minimum(lengths, 128), Shape(12, 768, 3072)).mean() / 1e9
    assert abs(found / PAPER[task] - 1) < 0.04
