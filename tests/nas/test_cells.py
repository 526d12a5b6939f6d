"""The cell space, and sizes in closed form."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from colonnade.nas import Architecture, Macro, NasError, build, cells, macs, params
from colonnade.nas.fitting import FULL_CELL
from colonnade.nas.space import NAS_BENCH_201

RESNET = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
NUMBERS = st.integers(0, cells.COUNT - 1)


def test_every_cell_is_written_and_read_back() -> None:
    found = cells.every_cell()
    assert len(found) == 15_625
    texts = {cells.to_string(cell) for cell in found}
    assert len(texts) == 15_625
    for number in range(0, cells.COUNT, 97):
        cell = cells.from_index(number)
        assert cells.from_string(cells.to_string(cell)) == cell == tuple(found[number])
        assert cells.to_index(cell) == number


def test_canonical_classes_are_those_of_the_benchmark(tables: Path) -> None:
    numbers = cells.classes()
    assert len(set(numbers.tolist())) == 6_466
    named: dict[str, int] = {}
    with (tables / "nats_bench.csv").open() as stream:
        for row in csv.DictReader(stream):
            own = int(numbers[cells.to_index(cells.from_string(row["ArchitectureString"]))])
            assert named.setdefault(row["UniqueString"], own) == own
    assert len(named) == 6_466 == len(set(named.values()))


def test_functions_are_fewer_than_canonical_classes() -> None:
    assert len(set(cells.classes(functions=True).tolist())) == 5_390
    assert len(cells.searchable()) == 5_389
    assert all(cells.connected(cells.from_index(int(i))) for i in cells.searchable()[::50])


@given(NUMBERS)
@settings(max_examples=100, deadline=None)
def test_simplifying_keeps_the_function(number: int) -> None:
    cell = cells.from_index(number)
    simple = cells.simplify(cell)
    assert cells.function(simple) == cells.function(cell)
    assert cells.simplify(simple) == simple
    assert params(simple, NAS_BENCH_201) <= params(cell, NAS_BENCH_201)


def test_cells_of_one_function_compute_the_same() -> None:
    """With all kernels of one size alike, a cell gives the numbers of the one that stands for it in a search."""
    numbers = cells.classes(functions=True)
    chosen = {int(numbers[i]): int(i) for i in cells.searchable()}
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    rng = np.random.default_rng(5)
    for number in rng.choice(cells.COUNT, 30, replace=False):
        if int(numbers[number]) not in chosen:
            continue
        outputs = []
        for cell in (int(number), chosen[int(numbers[number])]):
            network = build(Architecture(cell, Macro(4, 1, 8))).double().eval()
            generator = torch.Generator().manual_seed(1)
            for module in network.modules():
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.constant_(module.weight, 0.5 / module.weight[0].numel())
                if isinstance(module, torch.nn.Linear):
                    module.weight.data = torch.randn(module.weight.shape, generator=generator).double()
                    module.bias.data.zero_()
            outputs.append(network(x.double()))
        assert torch.allclose(outputs[0], outputs[1], atol=1e-10)


@pytest.mark.parametrize(("text", "count", "mega"), [(FULL_CELL, 1_531_546, 220.11968), (RESNET, 1_288_506, 184.73024)])
def test_published_sizes(text: str, count: int, mega: float) -> None:
    cell = cells.from_string(text)
    assert params(cell, NAS_BENCH_201) == count
    assert macs(cell, NAS_BENCH_201) == round(mega * 1e6)


@pytest.mark.parametrize("macro", [Macro(4, 1, 8), Macro(5, 2, 15)])
def test_closed_form_is_the_built_module(macro: Macro) -> None:
    rng = np.random.default_rng(1)
    for number in rng.choice(cells.COUNT, 25, replace=False):
        network = build(Architecture(int(number), macro), in_channels=2, classes=7)
        cell = cells.from_index(int(number))
        assert params(cell, macro, 2, 7) == sum(p.numel() for p in network.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, 2, macro.resolution, macro.resolution))
        # An edge behind a node without input is never computed, though its weights are there.
        if all(live or o < cells.CONV1 for live, o in zip(cells.live_edges(cell), cell, strict=True)):
            assert macs(cell, macro, 2, 7) == counter.get_total_flops() / 2


@pytest.mark.slow
def test_closed_form_is_the_built_module_for_all_classes() -> None:
    _, first = np.unique(cells.classes(), return_index=True)
    macro = Macro(1, 1, 8)
    for number in first:
        network = build(Architecture(int(number), macro))
        assert params(cells.from_index(int(number)), macro) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("|nor_conv_3x3~0|+|nor_conv_5x5~0|none~1|+|none~0|none~1|none~2|", "position 19"),
        ("nor_conv_3x3~0|", "position 1"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|x", "position 48"),
        ("|none~0|+|none~1|none~1|+|none~0|none~1|none~2|", "position 15"),
        ("|none~0|+|none~0|none~1|", "the end"),
        ("", "position 1"),
    ],
)
def test_a_malformed_cell_is_refused_with_the_position(text: str, position: str) -> None:
    with pytest.raises(NasError, match=position):
        cells.from_string(text)


def test_a_disconnected_cell_builds_and_guesses() -> None:
    assert not cells.connected(cells.from_index(0))
    network = build(Architecture(0, Macro(4, 1, 8)), classes=3).eval()
    out = network(torch.randn(5, 3, 8, 8))
    assert not torch.isnan(out).any()


def test_knobs_out_of_range_are_refused() -> None:
    with pytest.raises(NasError, match="channels must be from 1 to 256, but is 0"):
        Macro(0, 1, 16)
    with pytest.raises(NasError, match="resolution must be from 8 to 224 pixels"):
        Macro(8, 1, 4)
