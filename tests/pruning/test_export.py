"""Exported graphs remove what the model removes, and answer as it does."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from colonnade.pruning import (
    MissingEngine,
    OnnxModel,
    OpenVinoModel,
    PruningError,
    prune,
    to_int8,
    to_onnx,
    to_openvino,
)

from .conftest import random_model, random_texts

LENGTHS = (3, 4, 9, 33, 64, 65, 100, 128)


def answers(model, graph, lengths=LENGTHS) -> float:
    """The largest difference of an output, over texts of many lengths; most must have lost tokens."""
    worst, lost = 0.0, 0
    for n in lengths:
        texts = random_texts([n], model.config.inner().pad_token_id, seed=n)
        with torch.no_grad():
            out = model(**texts, output_kept=True)
        worst = max(worst, float(np.abs(graph(texts["input_ids"][0].tolist()) - out[0].numpy()).max()))
        lost += int(out.kept[0, 1].sum()) < n
    assert lost > len(lengths) // 2
    return worst


def test_onnx_and_openvino_are_the_model(tmp_path: Path) -> None:
    pruned = prune(random_model("bert"), [0.7, 0.9, 1.0], score="relative", rows=16, protect=[7], bypass=4)
    path = to_onnx(pruned, tmp_path / "m.onnx")
    assert answers(pruned, OnnxModel(path)) < 1e-5
    pytest.importorskip("openvino")
    assert answers(pruned, OpenVinoModel(to_openvino(path, tmp_path / "m.xml"))) < 1e-5
    assert answers(pruned, OnnxModel(to_int8(path, tmp_path / "m8.onnx"))) < 0.3
    with torch.no_grad():  # the model itself is as it was
        assert pruned(**random_texts([9])).logits.shape == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "kind", "rows"),
    [
        ("bert", "text", 16),
        ("roberta", "text", 64),
        ("distilbert", "text", None),
        ("electra", "tokens", 16),
        ("mpnet", "text", 16),
        ("bert", "body", None),
    ],
)
def test_every_family_and_kind_exports(family: str, kind: str, rows: int | None, tmp_path: Path) -> None:
    pruned = prune(random_model(family, kind), [0.7, 0.9, 1.0], rows=rows)
    path = to_onnx(pruned, tmp_path / "m.onnx")
    assert answers(pruned, OnnxModel(path)) < 1e-5
    pytest.importorskip("openvino")
    assert answers(pruned, OpenVinoModel(to_openvino(path, tmp_path / "m.xml"))) < 1e-5


def test_a_rule_without_a_graph_is_refused(tmp_path: Path) -> None:
    pruned = prune(random_model("bert"), rule="topk", keep_rates=[1.0, 0.5, 0.2])
    with pytest.raises(PruningError, match="Only thresholds on received attention can be exported"):
        to_onnx(pruned, tmp_path / "m.onnx")


def test_a_target_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def absent(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(
        MissingEngine, match=r"onnx is not installed; install it with: pip install 'colonnade\[pruning-export\]'"
    ):
        to_onnx(prune(random_model("bert")), tmp_path / "m.onnx")
    with pytest.raises(MissingEngine, match="openvino is not installed"):
        to_openvino(tmp_path / "m.onnx", tmp_path / "m.xml")
