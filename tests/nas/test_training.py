"""Training and its outcome: what is learned, what must not be, files that come out."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from colonnade.nas import Architecture, Images, Macro, NasError, Schedule, fit, load_network, metadb, train
from colonnade.nas.fitting import FULL_CELL, RESNET_CELL, inner, interval, schedule_for
from colonnade.nas.metadb import Outcome, Tasks, Trial

SMALL = Architecture.of(RESNET_CELL, Macro(8, 1, 8))


def test_digits_are_learned_in_seconds(digits: Images) -> None:
    start = time.process_time()
    trained = train(SMALL, digits, Schedule(steps=200, batch=96), seed=1)
    assert trained.accuracy >= 95
    assert time.process_time() - start < 20
    assert abs(trained.balanced_accuracy - trained.accuracy) < 2


def test_shuffled_labels_leave_chance(digits: Images) -> None:
    y = np.random.default_rng(0).permutation(digits.y)
    shuffled = Images(digits.x, y, digits.names, digits.test)
    accuracies = [train(SMALL, shuffled, Schedule(steps=60), seed=s).accuracy for s in range(2)]
    assert abs(np.mean(accuracies) - 10) < 3.5


def test_a_training_repeats(digits: Images) -> None:
    one, two = (train(SMALL, digits, Schedule(steps=12, flip=True), seed=3) for _ in range(2))
    assert torch.equal(one.logits, two.logits)
    assert one.curve == two.curve


def test_a_loss_that_is_no_number_is_tried_again_at_half_the_rate(
    digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    from colonnade.nas import training

    rates: list[float] = []
    real = training._fit

    def failing(network, x, y, schedule, *rest):  # type: ignore[no-untyped-def]
        rates.append(schedule.rate)
        return None if len(rates) == 1 else real(network, x, y, schedule, *rest)

    monkeypatch.setattr(training, "_fit", failing)
    trained = train(SMALL, digits, Schedule(steps=5))
    assert trained.halved and rates == [0.02, 0.01]
    monkeypatch.setattr(training, "_fit", lambda *a: None)
    with pytest.raises(training.Diverged):
        train(SMALL, digits, Schedule(steps=5))


def test_fit_compares_and_exports(clothes: Images, tmp_path: Path) -> None:
    from colonnade.nas import export_onnx, save_network

    listed = [Architecture.of(cell, Macro(4, 1, 14)) for cell in (RESNET_CELL, FULL_CELL)]
    done = fit(listed, clothes, train_top=2, epochs=2)
    assert [row.name for row in done.rows] == [
        "found by the search", "resnet cell", "full cell", "linear layer on the carried encoder",
    ]  # fmt: skip
    sizes = [row.params for row in done.rows[:3]]
    assert max(sizes) / min(sizes) < 1.5
    assert done.confusion.sum() == clothes.test.sum()
    assert len(done.validation) == 2 and done.rows[0].lower < done.rows[0].accuracy < done.rows[0].upper
    save_network(done.trained.network, clothes, tmp_path / "m.safetensors")
    ready = load_network(tmp_path / "m.safetensors")
    pixels = torch.from_numpy(clothes.x[clothes.test]).permute(0, 3, 1, 2).float() / 255
    pixels = torch.nn.functional.interpolate(pixels, (14, 14), mode="area")
    with torch.no_grad():
        probabilities = ready(pixels)
    assert torch.allclose(probabilities, torch.softmax(done.trained.logits, 1), atol=1e-4)
    assert ready.names == clothes.names
    with pytest.raises(NasError, match="cannot be read as safetensors"):
        load_network(Path(__file__))
    export_onnx(done.trained.network, clothes, tmp_path / "m.onnx")
    runtime = pytest.importorskip("onnxruntime")
    given = {"pixels": pixels[:7].numpy()}
    out = runtime.InferenceSession(str(tmp_path / "m.onnx")).run(None, given)[0]
    assert np.allclose(out, probabilities[:7].numpy(), atol=1e-4)


def test_weak_networks_stop_early(digits: Images) -> None:
    pytest.importorskip("optuna")
    from colonnade.nas.halving import successive_halving

    blind = Architecture(0, Macro(4, 1, 8))  # no path from input to output in its cells
    found = successive_halving([SMALL, blind, SMALL], inner(digits), Schedule(steps=40, batch=64))
    assert found[0] > found[1] + 20 and len(found) == 3


def test_the_inner_split_never_sees_the_test(clothes: Images) -> None:
    part = inner(clothes)
    kept = {image.tobytes() for image in clothes.x[clothes.test]}
    assert not kept & {image.tobytes() for image in part.x}
    assert part.test.sum() == 60 and len(part) == 300


def test_intervals_are_wilsons() -> None:
    assert np.allclose(interval(90, 100), (82.56, 94.48), atol=0.01)


def test_schedules_see_every_image(clothes: Images) -> None:
    schedule = schedule_for(clothes, 10)
    assert schedule.steps * schedule.batch == pytest.approx(3_000, rel=0.05)
    with pytest.raises(NasError, match="epochs must be from 1 to 200, but is 0"):
        schedule_for(clothes, 0)


@pytest.fixture
def tasks(tmp_path: Path, digits: Images) -> Path:
    import json

    path = tmp_path / "tasks.npz"
    parts = {"one": slice(0, 200), "two": slice(600, 800)}
    arrays = {}
    for name, part in parts.items():
        _, y = np.unique(digits.y[part], return_inverse=True)
        arrays |= {f"{name}/x": digits.x[part], f"{name}/y": y, f"{name}/test": np.arange(200) % 3 == 0}
    np.savez(path, families=np.array(json.dumps(dict.fromkeys(parts, "digits"))), **arrays)
    return path


def test_a_database_is_taken_up_where_it_stopped(tasks: Path, tmp_path: Path) -> None:
    trials = metadb.plan(sorted(Tasks(tasks).families), cells_per_task=2)[:9]
    first, second = metadb.shards(tasks, tmp_path / "out", trials)
    metadb.run_shard(first)
    stamp = first.file.stat().st_mtime_ns
    found = metadb.build(tasks, tmp_path / "out", trials)
    assert [o.trial for o in found] == trials
    assert first.file.stat().st_mtime_ns == stamp and second.file.exists()
    order: list[str] = []

    def mapped(function, pieces):  # type: ignore[no-untyped-def]  # as a job's map: any order of work, answers in order
        order.extend(piece.file.name for piece in reversed(pieces))
        return [function(piece) for piece in pieces]

    assert metadb.build(tasks, tmp_path / "out", trials, mapped) == found
    assert len(order) == 2
    metadb.save(found, tmp_path / "db.csv.gz")
    assert metadb.load(tmp_path / "db.csv.gz") == sorted(found, key=lambda o: o.trial)


def test_the_plan_treats_tasks_alike() -> None:
    trials = metadb.plan(["a", "b", "c"])
    assert len(trials) == len(set(trials))
    for cut in (30, 60, len(trials)):
        counts = [sum(t.task == name for t in trials[:cut]) for name in "abc"]
        assert max(counts) - min(counts) <= 1
    shared = [{t.architecture for t in trials if t.task == name} for name in "abc"]
    assert len(set.intersection(*shared)) >= metadb.SHARED - 1
    assert metadb.plan(["a", "b", "c"]) == trials


def test_the_noise_is_that_of_repeats() -> None:
    rng = np.random.default_rng(0)
    outcomes = []
    for task in map(str, range(60)):
        for cell in range(6):
            truth = rng.normal(50, 8)
            outcomes += [Outcome(Trial(task, cell, 8, 1, 8, s), truth + rng.normal(0, 4), 1.0, 1.0) for s in (0, 1)]
    assert metadb.noise_ceiling(outcomes) == pytest.approx(64 / 80, abs=0.06)
    with pytest.raises(NasError, match="no network was trained twice"):
        metadb.noise_ceiling(outcomes[::2])


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(b"no")
    with pytest.raises(NasError, match="is no meta-database"):
        metadb.load(tmp_path / "x.csv.gz")
    with pytest.raises(NasError, match="is no file of image tasks"):
        Tasks(tmp_path / "x.csv.gz")
