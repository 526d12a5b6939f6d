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
    assert f"first {carried(space='mobilenet').notes['trainings']} of a plan" in card
    assert not notes.get("provisional")


@pytest.mark.parametrize("space", ["cells", "mobilenet"])
def test_the_database_is_that_of_the_models(space: str) -> None:
    outcomes = [o for o in metadb.load(ZOO / "metadb.csv.gz") if o.trial.space == space]
    notes = carried(space=space).notes
    assert len(outcomes) == notes["trainings"]
    assert len(records(outcomes, space).tasks) == notes["tasks"] >= 30
    assert metadb.noise_ceiling(outcomes) == pytest.approx(notes["two_trainings_correlate"], abs=1e-3)


@pytest.mark.parametrize("space", ["cells", "mobilenet"])
def test_nine_in_ten_accuracies_of_a_task_left_out_lie_in_the_intervals(space: str) -> None:
    residuals = carried(space=space).residuals
    covered = [
        np.mean(np.abs(r) <= quantile(residuals[:i] + residuals[i + 1 :], LEVEL)) for i, r in enumerate(residuals)
    ]
    assert 0.86 <= np.mean(covered) <= 0.94


def test_the_generator_has_learned_the_space(signs: Images) -> None:
    model, description = carried(), describe(signs)
    free, masked = (quality(model.draw(description, 500, seed=1, masked=m), set(model.known)) for m in (False, True))
    assert free.validity >= 99  # nothing masked or repaired
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
