"""Training: resume, early stop, every loss, the missed mode; and the statistics that judge it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colonnade.lattice import (
    HMC,
    Composite,
    Flip,
    FlowConfig,
    LatticeError,
    ScalarAction,
    TrainConfig,
    Trainer,
    build,
    fit,
    flow_verdict,
    forward_ess,
    forward_log_z,
    initial_state,
    log_z,
    reverse_ess,
    sample,
    tau_int,
    torus,
)
from colonnade.lattice.diagnostics import estimate, observable

ACTION = ScalarAction.from_albergo(-4, 6.975)
SMALL = FlowConfig((4, 4), "equivariant", couplings=2, hidden=6)


@pytest.fixture(scope="module")
def fields() -> np.ndarray:
    from colonnade.lattice import reference_fields

    return reference_fields(ACTION, (4, 4), 2048, np.random.default_rng(0))


def test_resume_is_bit_for_bit(fields: np.ndarray) -> None:
    config = TrainConfig(steps=30, batch=32, evaluate=10)
    whole = Trainer(build(SMALL, 1), ACTION, config, fields)
    whole.run()
    first = Trainer(build(SMALL, 1), ACTION, config, fields)
    first.run(until=13)
    second = Trainer(build(SMALL, 2), ACTION, config, fields)
    second.load_state_dict(first.state_dict())
    second.run()
    for a, b in zip(whole.flow.parameters(), second.flow.parameters(), strict=True):
        assert torch.equal(a, b)
    assert whole.history.loss == second.history.loss
    assert whole.history.reverse_ess == second.history.reverse_ess


@pytest.mark.parametrize("loss", ["reverse_kl", "path_gradient", "forward_kl", "symmetric_kl", "self_training"])
def test_every_loss_improves_the_flow(loss: str, fields: np.ndarray) -> None:
    config = TrainConfig(loss=loss, steps=120, batch=128, seed=3)  # type: ignore[arg-type]
    trainer = Trainer(build(SMALL, 1), ACTION, config, fields)
    before = trainer.evaluate()
    trainer.run()
    after = trainer.evaluate()
    assert after[0] > max(0.6, before[0])
    assert after[1] > 0.5


@pytest.mark.parametrize("recipe", ["plain", "symmetrised", "mixture", "bimodal"])
def test_every_recipe_trains(recipe: str, fields: np.ndarray) -> None:
    config = FlowConfig((4, 4), recipe, couplings=2, hidden=6, shift=0.1)
    trainer = Trainer(build(config, 1), ACTION, TrainConfig(steps=120, batch=128, seed=3, adiabatic=2), fields)
    trainer.run()
    assert min(trainer.evaluate()) > 0.4


def test_path_gradient_has_the_same_mean_and_less_variance_when_the_flow_is_good(fields: np.ndarray) -> None:
    trainer = Trainer(build(SMALL, 1), ACTION, TrainConfig(steps=200, batch=128, seed=3), fields)
    trainer.run()

    def gradients(loss: str) -> np.ndarray:
        t = Trainer(trainer.flow, ACTION, TrainConfig(loss=loss, batch=128, calibrate=False, seed=9), fields)  # type: ignore[arg-type]
        rows = []
        for _ in range(40):
            trainer.flow.zero_grad()
            t._loss().backward()  # type: ignore[no-untyped-call]
            rows.append(
                np.concatenate([p.grad.numpy().ravel() for p in trainer.flow.parameters() if p.grad is not None])
            )
        return np.array(rows)

    plain, path = gradients("reverse_kl"), gradients("path_gradient")
    assert path.var(0).sum() < 0.5 * plain.var(0).sum()
    gap = np.abs(plain.mean(0) - path.mean(0)) / np.sqrt((plain.var(0) + path.var(0)) / 40 + 1e-12)
    assert (gap < 4.5).mean() > 0.99


def test_flow_distance_penalty_keeps_the_map_closer_to_the_identity(fields: np.ndarray) -> None:
    def distance(weight: float) -> float:
        t = Trainer(build(SMALL, 1), ACTION, TrainConfig(steps=80, batch=64, distance=weight), fields)
        t.run()
        z, _ = t.flow.base.sample(512, torch.Generator().manual_seed(0))  # type: ignore[union-attr, operator]
        return float(((t.flow.push(z)[0] - z) ** 2).mean())  # type: ignore[operator]

    assert distance(5.0) < 0.8 * distance(0.0)


def test_nan_stops_early_and_keeps_the_last_good_weights(fields: np.ndarray) -> None:
    trainer = Trainer(build(SMALL, 1), ACTION, TrainConfig(steps=40, batch=16, evaluate=10), fields)
    trainer.run(until=20)
    good = [p.detach().clone() for p in trainer.flow.parameters()]
    with torch.no_grad():
        next(iter(trainer.flow.parameters())).fill_(float("nan"))
    history = trainer.run()
    assert "last good weights" in history.stopped
    assert trainer.step == 20
    assert all(torch.equal(a, b) for a, b in zip(good, trainer.flow.parameters(), strict=True))


def test_reverse_kl_misses_a_vacuum_and_is_told() -> None:
    # a displaced base and plain reverse KL collapse on one of two vacua; the reverse ESS does not see it
    action = ScalarAction.from_albergo(-4, 2.0)
    config = FlowConfig((4, 4), "plain", couplings=4, hidden=8, shift=0.9)
    collapsed = fit(build(config, 1), action, TrainConfig(steps=200, batch=128, calibrate=True, seed=1))
    verdict = collapsed.verdict()
    assert verdict.status == "mode missed"
    assert verdict.numbers["reverse_ess"] > 0.3
    assert verdict.numbers["forward_ess"] < 0.05
    exact = torus(action, (4, 4), 5)
    assert verdict.numbers["log_z"] == pytest.approx(exact.log_z - np.log(2), abs=0.05)  # half of Z is missing
    # with the symmetry and the forward KL, fields between the vacua are covered as well
    equivariant = fit(
        build(FlowConfig((4, 4), "equivariant", couplings=4, hidden=8), 1),
        action,
        TrainConfig("forward_kl", steps=300, batch=128),
    )
    verdict = equivariant.verdict()
    assert verdict.status == "ok"
    assert 0.5 < verdict.numbers["reverse_ess"] / verdict.numbers["forward_ess"] < 2
    assert verdict.numbers["log_z"] == pytest.approx(exact.log_z, abs=0.02)
    fields, log_w = equivariant.proposal.propose(8192, np.random.default_rng(3))
    w = np.exp(log_w - log_w.max())
    sign = np.sign(fields.mean((1, 2)))
    error = np.sqrt((w**2).sum()) / w.sum()
    assert abs((w * sign).sum() / w.sum()) < 3.5 * error


def test_effective_sample_sizes() -> None:
    assert reverse_ess(np.full(10, -3.0)) == pytest.approx(1.0)
    assert forward_ess(np.full(10, -3.0)) == pytest.approx(1.0)
    rng = np.random.default_rng(0)
    # log w normal with variance s^2 under q is normal with mean shifted by s^2 under p: both ESS are exp(-s^2)
    s = 0.7
    q, p = s * rng.standard_normal(400_000), s * rng.standard_normal(400_000) + s**2
    assert reverse_ess(q) == pytest.approx(np.exp(-(s**2)), abs=0.01)
    assert forward_ess(p) == pytest.approx(np.exp(-(s**2)), abs=0.01)
    value, error = log_z(q[:20_000])
    assert value == pytest.approx(s**2 / 2, abs=4 * error)
    assert forward_log_z(p)[0] == pytest.approx(s**2 / 2, abs=0.01)
    halves = np.concatenate([p[:1000], p[1000:2000] + 30.0])
    mode = np.repeat([-1.0, 1.0], 1000)
    assert flow_verdict(q, halves, mode).status == "mode missed"
    assert flow_verdict(q, p[:2000], mode).status == "ok"
    with pytest.raises(LatticeError):
        reverse_ess(np.array([np.nan]))


def test_gamma_method_on_a_known_process() -> None:
    # AR(1) with coefficient a has tau_int = (1 + a) / (2 (1 - a))
    rng = np.random.default_rng(1)
    a, n, chains = 0.8, 8000, 8
    x = np.zeros((n, chains))
    noise = rng.standard_normal((n, chains))
    for t in range(1, n):
        x[t] = a * x[t - 1] + noise[t]
    e = estimate(observable(x))
    expected = (1 + a) / (2 * (1 - a))
    assert e.tau_int == pytest.approx(expected, rel=0.15)
    assert tau_int(x) == pytest.approx(expected, rel=0.15)
    assert e.error == pytest.approx(np.sqrt(2 * expected / (n * chains) / (1 - a**2)), rel=0.12)
    assert e.status == "ok"
    assert estimate(observable(x[:60, :2])).status == "not converged"


@pytest.mark.slow
def test_interval_coverage() -> None:
    # 200 runs: the one-sigma Gamma-method intervals must hold the exact values in 60-76 % of them
    action = ScalarAction.from_albergo(-4, 6.975)
    exact = torus(action, (4, 4), 6)
    kernel, _ = HMC(action, steps=8).tuned(
        initial_state(action, (4, 4), 16, np.random.default_rng(0)), np.random.default_rng(0)
    )
    hits = {"phi2": 0, "chi2": 0, "link": 0}
    values = {"phi2": exact.phi2, "chi2": exact.chi2, "link": exact.two_point[0, 1]}
    for run in range(200):
        result = sample(
            action, (4, 4), Composite([kernel, Flip(action)]), 400, chains=8, seed=1000 + run, tune=False, burn_in=60
        )
        for key in hits:
            e = result.estimates[key]
            hits[key] += abs(e.value - values[key]) < e.error
    print({key: count / 200 for key, count in hits.items()})
    assert all(0.60 <= count / 200 <= 0.76 for count in hits.values())
