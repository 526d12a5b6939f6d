"""Conditional flows, stochastic flows, transfer to a larger lattice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colonnade.lattice import (
    Annealing,
    ConditionalFlow,
    FlowConfig,
    Independence,
    LatticeError,
    Line,
    ScalarAction,
    StochasticFlow,
    TrainConfig,
    Trainer,
    build,
    log_z,
    reverse_ess,
    sample,
    torus,
    transfer,
)

ACTION = ScalarAction.from_albergo(-4, 6.0)


def test_one_training_gives_the_whole_line() -> None:
    flow = ConditionalFlow(FlowConfig((4, 4), couplings=2, hidden=6), Line(ACTION, 4.0, 8.0), nodes=3)
    flow.fit(steps=150, batch=128)
    for point in flow.along([4.2, 5.5, 7.7]):
        exact = torus(ScalarAction.from_albergo(-4, point.lam), (4, 4), 5)
        assert point.ess > 0.5
        assert point.log_z == pytest.approx(exact.log_z, abs=4 * point.log_z_error + 1e-4)
        assert point.chi2 == pytest.approx(exact.chi2, abs=4 * point.chi2_error)
    with pytest.raises(LatticeError, match=r"8\.5"):
        flow.along([8.5])


def test_stochastic_flow_beats_annealing_at_equal_updates() -> None:
    path = Annealing(ACTION, (4, 4), stages=6)
    flow = StochasticFlow(path, seed=1)
    rng = np.random.default_rng(0)
    _, untrained = flow.propose(2048, np.random.default_rng(1))
    _, annealed = path.propose(2048, np.random.default_rng(1))
    assert np.allclose(untrained, annealed)  # it starts as the identity
    flow.fit(rng)
    fields, log_w = flow.propose(4096, rng)
    assert reverse_ess(log_w) > 1.3 * reverse_ess(annealed)
    exact = torus(ACTION, (4, 4), 5)
    value, error = log_z(log_w)
    assert value == pytest.approx(exact.log_z, abs=4 * error)
    # the backward path weighs fields of the target: <1/w> = 1/Z
    run = sample(ACTION, (4, 4), Independence(ACTION, flow, 2), 100, chains=64, seed=3)
    chi2 = run.estimates["chi2"]
    assert chi2.value == pytest.approx(exact.chi2, abs=4 * chi2.error)
    backward = -flow.weigh(run.state.fields, rng)
    assert np.isfinite(backward).all()
    assert fields.shape == (4096, 4, 4)


def test_transfer_starts_a_larger_lattice_from_a_smaller_one() -> None:
    config = FlowConfig((8, 8), couplings=2, hidden=6)
    small = Trainer(build(config, 1), ACTION, TrainConfig(steps=80, batch=64, seed=1))
    small.run()
    large, wanted = transfer(small.flow, config, (8, 16))
    assert wanted.shape == (8, 16)
    how = TrainConfig(steps=1, batch=16, calibrate=True, seed=1)
    reference = Trainer(build(wanted, 1), ACTION, how)
    moved = Trainer(large, ACTION, how)
    with torch.no_grad():
        losses = [float(-t.proposal.draw(2048, torch.Generator().manual_seed(0))[1].mean()) for t in (moved, reference)]
    assert losses[0] < losses[1] - 0.5  # nats of Kullback-Leibler divergence saved before any training
    with pytest.raises(LatticeError, match="reach"):
        transfer(build(FlowConfig((4, 4)), 0), FlowConfig((4, 4)), (8, 8))
