"""Fitting, measuring, auditing: what a user does with a model, and the mistakes that come with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colonnade.physics import (
    Dataset,
    PhysicsError,
    build,
    carried_tagger,
    evaluate,
    fit,
    generate,
    load,
    load_model,
    metrics,
    pretrain,
    shared_weights,
)
from colonnade.physics.audit import audit, sculpting, selection_bias, worst_bias
from colonnade.physics.benchmark import Entry, compare, latex, run_entry
from colonnade.physics.budget import events_for, seconds
from colonnade.physics.features import LINKS, Builder
from colonnade.physics.models import MODELS, REFERENCE
from colonnade.physics.multitask import together
from colonnade.physics.schema import NAMES
from colonnade.physics.services.common import fitting
from colonnade.physics.symmetry import in_double, infrared_safety, invariances
from colonnade.physics.training import Report, occlusion

from .conftest import random_jets


@pytest.fixture(scope="module")
def spinodal(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("spinodal", 80, seed=1, folder=tmp_path_factory.mktemp("spinodal") / "data")


@pytest.fixture(scope="module")
def trained(showers):
    return fit(showers, "stations", events=1500, stop=450, seed=1)


@pytest.mark.parametrize("model", ["fcn", "cnn"])
def test_a_network_learns(model: str, tmp_path) -> None:
    """Images whose pions gather in one half or the other."""
    rng = np.random.default_rng(4)
    arrays = {}
    for split, n in (("train", 600), ("test", 200)):
        label = np.arange(n) % 2
        mean = np.where((np.arange(20) < 10) == label[:, None], 0.11, 0.09)[:, :, None] * np.ones(20)
        arrays |= {f"X_{split}_0": rng.poisson(mean), f"y_{split}": label}
    np.savez(tmp_path / "halves.npz", **arrays)
    train, test = (load("spinodal", split, tmp_path / "halves.npz") for split in ("train", "test"))
    report = evaluate(fit(train, model, events=3000, seed=1), test)
    measured = report.measures["AUC"]
    # The number of pions on one side minus the other is all there is to learn.
    left = arrays["X_test_0"][:, :10].sum(axis=(1, 2)) - arrays["X_test_0"][:, 10:].sum(axis=(1, 2))
    best = metrics.auc(arrays["y_test"], left)
    assert best - 0.15 < measured.value <= best + 0.03
    assert measured.low < measured.value < measured.high
    assert report.events == 200 and measured.value > 0.6


def test_the_same_seed_gives_the_same_weights(showers) -> None:
    nets = [fit(showers, "fcn", events=1000, seed=4).net.state_dict() for _ in range(2)]
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])


def test_a_saved_model_predicts_the_same(tmp_path, showers, trained) -> None:
    trained.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict(showers, 500), trained.predict(showers, 500))


def test_weights_of_another_schema_are_refused(tmp_path, trained) -> None:
    from safetensors.torch import load_file, save_file

    trained.save(tmp_path / "m.safetensors")
    weights = load_file(tmp_path / "m.safetensors")
    save_file(weights, tmp_path / "bare.safetensors")
    with pytest.raises(PhysicsError, match="no model written by this package"):
        load_model(tmp_path / "bare.safetensors")
    other = load_model(tmp_path / "m.safetensors")
    other.net.out = torch.nn.Linear(3, 1)
    other.save(tmp_path / "other.safetensors")
    with pytest.raises(PhysicsError, match="from another schema"):
        load_model(tmp_path / "other.safetensors")


def test_one_class_is_refused_in_training_and_test(tmp_path, small_npz) -> None:
    with np.load(small_npz) as content:
        arrays = dict(content) | {"y_train": np.ones(60, int)}
    np.savez(tmp_path / "one.npz", **arrays)
    one = load("spinodal", "train", tmp_path / "one.npz")
    with pytest.raises(PhysicsError, match="label must hold both classes"):
        fit(one, "cnn", events=100)
    both = load("spinodal", "test", tmp_path / "one.npz")
    with pytest.raises(PhysicsError, match="both classes"):
        evaluate(fit(both, "fcn", events=100), one)


def test_a_model_of_another_set_is_refused(showers, spinodal, trained) -> None:
    with pytest.raises(PhysicsError, match="trained on airshower, but the data are spinodal"):
        evaluate(trained, spinodal)
    with pytest.raises(PhysicsError, match="budget must be from"):
        fit(showers, "fcn", budget=float("nan"))


def test_training_reads_a_stream(showers, monkeypatch) -> None:
    """Never more than the fitted part and one row group is read at once."""
    asked = []
    arrays = Dataset.arrays
    monkeypatch.setattr(Dataset, "arrays", lambda self, *a, **k: asked.append(k.get("stop")) or arrays(self, *a, **k))
    fit(showers, "fcn", events=2000)
    assert asked == [600]  # the events that means and spreads are fitted on: at most 2000


@pytest.mark.parametrize("name", NAMES)
def test_the_services_know_which_models_fit(name: str) -> None:
    takes = []
    for model in MODELS:
        try:
            build(model, name)
        except PhysicsError:
            continue
        takes.append(model)
    assert set(fitting(name)) == {*takes, "reference"}
    assert REFERENCE[name] in takes
    assert events_for(1.0, "graphnet", name) >= 256


@pytest.mark.parametrize("model", ["pfn", "efn", "graphnet", "particlenet-lite", "part-lite", "invariant"])
def test_a_batch_of_padding_alone(model: str) -> None:
    net = build(model, "top").eval()
    with torch.no_grad():
        found = net(Builder("top", nodes=12)({"p4": np.zeros((3, 12, 4))}))
    assert torch.isfinite(found).all()


def test_links_of_each_set_are_checked(rng) -> None:
    with pytest.raises(PhysicsError, match="links must be one of knn, radius, full"):
        Builder("top", links="grid-8")
    graph = Builder("top", nodes=30, links="full")({"p4": random_jets(rng)})
    n = graph.mask.sum(dim=1)
    assert graph.edge_index.shape[1] == int((n * (n - 1)).sum())
    for name, allowed in LINKS.items():
        assert Builder(name, links=allowed[-1]).links == "full"


def test_more_constituents_than_nodes_are_warned_of_once(rng) -> None:
    make = Builder("top", nodes=10)
    with pytest.warns(UserWarning, match="more than 10 constituents; the softest are left out"):
        graph = make({"p4": random_jets(rng)})
    assert graph.x.shape[1] == 10


def test_budgets() -> None:
    assert [seconds(text) for text in ("90", "30s", "2m", "1.5 h")] == [90, 30, 120, 5400]
    with pytest.raises(PhysicsError, match="budget must be a time"):
        seconds("soon")


def test_comparison_and_its_table(spinodal) -> None:
    report = run_entry(Entry(str(spinodal.folder), "fcn", 1.0, 0))
    assert report.events == 20
    text = latex([report])
    assert "spinodal & fcn" in text and text.count("&") == 6
    with pytest.raises(PhysicsError, match=r"test must be from 0\.01 to 0\.99"):
        compare(spinodal, ["fcn"], budget=1, test=1.0)


# --- audits ---


def test_sculpting_is_seen_and_chance_is_not_taken_for_it(rng) -> None:
    n = 20_000
    label = np.arange(n) % 2
    mass = np.where(label == 1, rng.normal(173, 10, n), rng.exponential(60, n) + 30)
    honest = rng.normal(label, 1)
    value, chance = sculpting(mass, label, honest, 0.5)
    assert value < 1.5 * chance
    value, chance = sculpting(mass, label, -np.abs(mass - 173), 0.5)
    assert value > 20 * chance


def test_selection_bias_is_seen(rng) -> None:
    n = 20_000
    label = rng.integers(0, 2, n)
    tracks = rng.poisson(10, n).astype(float)
    value, chance = selection_bias(tracks, label, rng.random(n), 0.9)
    assert value < 2 * chance
    value, chance = selection_bias(tracks, label, tracks + rng.normal(0, 1, n), 0.9)
    assert value > 10 * chance


def test_bias_by_energy_is_seen(rng) -> None:
    truth, energy = rng.normal(750, 60, 4000), rng.uniform(18.5, 20, 4000)
    value, chance = worst_bias(truth, truth + rng.normal(0, 30, 4000), energy)
    assert value < chance
    value, chance = worst_bias(truth, truth + 40 * (energy - 19.25), energy)
    assert value == pytest.approx(25, abs=3)
    assert value > chance


def test_audit_of_a_report(showers, trained, spinodal) -> None:
    quantities = {row.quantity for row in audit(evaluate(trained, showers, start=450), showers, 450)}
    assert quantities == {"lg(E/eV)", "mass number", "Xmax"}
    label = spinodal.arrays(["label"])["label"]
    perfect = Report("spinodal", "oracle", 0, 80, {}, label, label.astype(float))
    rows = audit(perfect, spinodal)
    assert [row.selection for row in rows] == ["background, ε_S = 0.5", "background, ε_S = 0.3"]


# --- symmetries ---


def jets_with_particles(rng) -> np.ndarray:
    p4 = random_jets(rng, 60)
    return p4[(p4[..., 0] > 0).sum(axis=1) > 3]


@pytest.mark.parametrize("model", ["pfn", "efn", "graphnet", "particlenet-lite"])
def test_invariances_of_a_model(model: str, rng) -> None:
    found = {c.what: c.largest for c in invariances(in_double(build(model, "top"), Builder("top")), random_jets(rng))}
    for what in ("permutation", "padding", "rotation about the beam"):
        assert found[what] < 1e-5, what
    if model in ("pfn", "efn"):  # which see energies, or directions from a massive jet's axis
        assert found["boost along the beam"] > 1e-4
        assert found["boost in any direction"] > 1e-4


def test_the_invariant_network_is_invariant(rng) -> None:
    score = in_double(build("invariant", "top"), Builder("top"))
    assert max(change.largest for change in invariances(score, random_jets(rng))) < 1e-4


def test_infrared_safety_tells_safe_from_unsafe(rng) -> None:
    p4 = jets_with_particles(rng)
    safe = infrared_safety(in_double(build("efn", "top"), Builder("top")), p4)
    assert safe[3].mean < 1e-5
    assert safe[3].mean < safe[2].mean < safe[1].mean < safe[0].mean
    assert safe[4].what == "collinear split" and safe[4].largest < 1e-9
    unsafe = infrared_safety(in_double(build("pfn", "top"), Builder("top")), p4)
    assert unsafe[3].mean > 1e-4
    assert unsafe[4].mean > 1e-4


def test_occlusion_adds_up_for_a_linear_model(showers, rng) -> None:
    from colonnade.physics.training import Trained

    class Count(torch.nn.Module):
        def forward(self, graph):
            return 0.5 * graph.mask.sum(dim=1).float() - 3

    jet = random_jets(rng, 1, 12)[0]
    jet[:8] = random_jets(np.random.default_rng(3), 40, 12)[np.r_[0:8], 0] + 1e-3
    adds = occlusion(Trained(Count(), Builder("top", 12), "count"), jet)
    real = jet[:, 0] > 0
    assert np.allclose(adds[real], 0.5, atol=1e-5)
    assert (adds[~real] == 0).all()


# --- one network for all ---


def test_shared_layers_are_shared() -> None:
    network = together(("top", "belle"), width=8)
    top, belle = network.nets["top"], network.nets["belle"]
    assert top.head[0] is belle.head[0] and top.node[1] is belle.node[1]
    assert top.node[0] is not belle.node[0] and top.out is not belle.out


def test_pretraining_and_tuning(tmp_path, showers, spinodal) -> None:
    data = {"airshower": showers, "spinodal": spinodal}
    network = pretrain(data, rounds=12, batch=16, width=8, seed=2)
    assert len(network.curve["airshower"]) == 10
    assert len(fit(showers, "fcn", events=400, batch=64).curve) >= 6  # also a short fit shows how it went
    tuned = fit(showers, "graphnet", start=network.weights("airshower"), events=300, width=8)
    assert np.isfinite(tuned.predict(showers, 590)).all()
    network.save(tmp_path / "shared.safetensors")
    from safetensors.torch import load_file

    stored = load_file(tmp_path / "shared.safetensors")
    assert torch.equal(stored["shared/head.0.weight"], network.weights("spinodal")["head.0.weight"])
    with pytest.raises(PhysicsError, match="holds the set airshower under the name top"):
        pretrain({"top": showers})


@pytest.mark.parametrize("name", ["top", "belle", "airshower", "spinodal", "eos"])
def test_the_carried_shared_weights_fit_every_set(name: str) -> None:
    build("graphnet", name).load_state_dict(shared_weights(name))
    assert torch.equal(shared_weights(name)["head.0.weight"], shared_weights("top")["head.0.weight"])


def test_a_start_from_shared_weights_learns_faster(showers) -> None:
    """After the same few events."""
    fresh, shared = (compare(showers, ["graphnet"], budget=1, shared=start)[0].report for start in (False, True))
    assert shared.measures["resolution"].value < fresh.measures["resolution"].value


def test_an_unknown_tagger_is_refused() -> None:
    with pytest.raises(PhysicsError, match="model must be one of particlenet-lite, pfn, but is 'cnn'"):
        carried_tagger("cnn")


def test_metrics_against_another_variable(rng) -> None:
    truth = rng.normal(size=600)
    rows = metrics.against(truth, truth + 0.1, rng.random(600))
    assert np.allclose(rows["bias"], 0.1)
    assert len(rows["centre"]) == 6
    mean, share, count = metrics.calibration(np.array([0, 1, 1, 0]), np.array([0.1, 0.95, 0.9, 0.15]))
    assert count.sum() == 4 and share[9] == 1 and mean[1] == pytest.approx(0.125)
