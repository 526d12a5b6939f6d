"""The models that come with the package: what they must still do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from colonnade.nas import Images, carried, cells, describe, images, macros, metadb, oracle, quality
from colonnade.nas.ensemble import LEVEL, quantile
from colonnade.nas.meta import records

ZOO = Path(__import__("colonnade.nas.ensemble", fromlist=["x"]).__file__).parent / "zoo"


def test_they_are_small_and_say_what_they_are() -> None:
    assert sum(file.stat().st_size for file in ZOO.iterdir()) < 3_000_000
    card = (ZOO / "README.md").read_text()
    notes = carried().notes
    assert str(notes["trainings"]) in card.replace(",", "") and str(notes["two_trainings_correlate"])[:4] in card
    assert not notes.get("provisional")


def test_the_database_is_that_of_the_models() -> None:
    outcomes = metadb.load(ZOO / "metadb.csv.gz")
    assert len(outcomes) == carried().notes["trainings"]
    assert len(records(outcomes).tasks) == carried().notes["tasks"] >= 30
    assert metadb.noise_ceiling(outcomes) == pytest.approx(carried().notes["two_trainings_correlate"], abs=1e-3)


def test_nine_in_ten_accuracies_of_a_task_left_out_lie_in_the_intervals() -> None:
    residuals = carried().residuals
    covered = [
        np.mean(np.abs(r) <= quantile(residuals[:i] + residuals[i + 1 :], LEVEL)) for i, r in enumerate(residuals)
    ]
    assert 0.86 <= np.mean(covered) <= 0.94


def test_the_generator_has_learned_the_space(signs: Images) -> None:
    model, description = carried(), describe(signs)
    free, masked = (quality(model.draw(description, 500, seed=1, masked=m), set(model.known)) for m in (False, True))
    assert free.validity >= 60  # nothing masked or repaired; the goal of 99.5 is missed after 250 steps
    assert masked.validity == 100
    assert free.uniqueness >= 60 and masked.uniqueness >= 60


def test_the_predictor_knows_that_convolutions_help(signs: Images, tables: Path) -> None:
    """Its order of cells agrees with a table of long trainings on a data set that it has never seen."""
    standing = carried().predict_all(macros(), describe(signs)).standing.reshape(24, cells.COUNT).mean(0)
    assert spearmanr(standing, oracle("cifar10", tables).test).statistic > 0.4


def test_images_unlike_all_are_told() -> None:
    rng = np.random.default_rng(0)
    noise = images(rng.integers(0, 2, (60, 96, 96, 4), dtype=np.uint8) * 255, np.arange(60) % 2)
    model = carried()
    assert model.distance(describe(noise)) > 1
    assert model.widening(describe(noise)) > 1
