"""Flows: invertibility, densities, symmetries, the exact conditional, independence Metropolis, weights on disk."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from colonnade.lattice import (
    HMC,
    Composite,
    FlowConfig,
    FlowProposal,
    Independence,
    LatticeError,
    ScalarAction,
    State,
    TrainConfig,
    build,
    fit,
    free_field,
    load_weights,
    sample,
    save_weights,
    tau_int,
    torus,
)
from colonnade.lattice.flow import Flow
from colonnade.lattice.layers import Coupling, Spline
from colonnade.lattice.support import Support
from colonnade.lattice.target import Target


def shaken(flow: torch.nn.Module, seed: int = 0, size: float = 0.3) -> torch.nn.Module:
    """Random parameters of some size: a trained flow's, without training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return flow


@pytest.mark.parametrize("recipe", ["plain", "equivariant", "bimodal"])
@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("decimated", [True, False])
def test_inverse_and_log_determinant(recipe: str, components: int, decimated: bool) -> None:
    config = FlowConfig((4, 4), recipe, components, couplings=4, hidden=6, decimated=decimated)
    flow = shaken(build(config).double())
    assert isinstance(flow, Flow)
    z = torch.randn(components, flow.support.size, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x, log_det = flow.push(z)
    back, log_det_back = flow.pull(x)
    assert torch.allclose(back, z, atol=1e-11)
    assert torch.allclose(log_det, log_det_back, atol=1e-10)
    jacobian = torch.autograd.functional.jacobian(
        lambda v: flow.push(v.reshape(z.shape[:2])[..., None])[0].ravel(), z[..., 0].reshape(-1)
    )
    assert float(log_det[0].detach()) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1].detach()), abs=1e-10)
    single = shaken(build(config))
    assert isinstance(single, Flow)
    assert (single.pull(single.push(z.float())[0])[0] - z.float()).abs().max() < 2e-5


@pytest.mark.parametrize("recipe", ["plain", "equivariant", "bimodal", "symmetrised", "mixture"])
def test_sampled_and_evaluated_densities_agree(recipe: str) -> None:
    flow = shaken(build(FlowConfig((4, 4), recipe, couplings=4)).double(), size=0.1)
    x, log_q = flow.sample(64, torch.Generator().manual_seed(3))
    assert torch.allclose(flow.log_prob(x), log_q, atol=1e-9)


@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("bimodal", [True, False])
def test_the_base_is_normalised(components: int, bimodal: bool) -> None:
    from colonnade.lattice.layers import ModeBase

    base = ModeBase(Support((4, 4), True), components, bimodal=bimodal, shift=0.3 if not bimodal else 0.0).double()
    grid = torch.linspace(-14, 14, 1201, dtype=torch.float64)
    m = torch.cartesian_prod(*[grid] * components).reshape(-1, components).T
    sigma = base.log_width[0].exp()
    norm = (2 * math.pi * sigma**2) ** (components / 2)
    total = torch.exp(base._zero_mode(m)).sum() * (grid[1] - grid[0]) ** components
    assert float(total / norm) == pytest.approx(1.0, abs=1e-6)


def test_z2_is_exact_to_the_bit() -> None:
    support = Support((6, 4), False)
    z = torch.randn(1, support.size, 5, generator=torch.Generator().manual_seed(0))
    for layer in (Coupling(support, 0, 8, 3, True, torch.Generator().manual_seed(1)), shaken(Spline())):
        assert torch.equal(layer(-z)[0], -layer(z)[0])
        assert torch.equal(layer(-z)[1], layer(z)[1])
    flow = shaken(build(FlowConfig((4, 4), "equivariant")))
    assert isinstance(flow, Flow)
    z = torch.randn(1, 8, 7, generator=torch.Generator().manual_seed(2))
    assert torch.equal(flow.push(-z)[0], -flow.push(z)[0])
    x, _ = flow.sample(9, torch.Generator().manual_seed(4))
    assert torch.allclose(flow.log_prob(-x), flow.log_prob(x), atol=1e-12)
    plain = shaken(build(FlowConfig((4, 4), "plain")))
    assert isinstance(plain, Flow)
    assert not torch.allclose(plain.push(-z)[0], -plain.push(z)[0], atol=1e-3)


def test_rotations_and_translations() -> None:
    flow = shaken(build(FlowConfig((4, 6), "equivariant", components=2, decimated=False)).double())
    assert isinstance(flow, Flow)
    z = torch.randn(2, 24, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x, log_det = flow.push(z)
    turn = torch.tensor([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]], dtype=torch.float64)
    turned, same = flow.push(torch.einsum("ab,bsn->asn", turn, z))
    assert torch.allclose(turned, torch.einsum("ab,bsn->asn", turn, x), atol=1e-10)
    assert torch.allclose(same, log_det, atol=1e-10)

    def moved(f: torch.Tensor) -> torch.Tensor:  # by (1, 1) and by (2, 0): both keep the checkerboard
        return f.reshape(2, 4, 6, -1).roll((3, 1), (1, 2)).reshape(f.shape)

    assert torch.allclose(flow.push(moved(z))[0], moved(x), atol=1e-10)
    layer = Coupling(Support((4, 6), False), 1, 8, 2, True, torch.Generator().manual_seed(1))
    one = torch.randn(1, 24, 3, generator=torch.Generator().manual_seed(5))
    roll = one.reshape(1, 4, 6, -1).roll((2, 2), (1, 2)).reshape(one.shape)
    image = layer(one)[0].reshape(1, 4, 6, -1).roll((2, 2), (1, 2)).reshape(one.shape)
    assert torch.allclose(layer(roll)[0], image, atol=1e-6)


@pytest.mark.parametrize("components", [1, 2])
def test_decimation_is_exact(components: int) -> None:
    action = ScalarAction.from_albergo(-4, 3.0, h=0.1, components=components)
    whole, half = Target(action, Support((4, 4), False)), Target(action, Support((4, 4), True))
    rng = np.random.default_rng(0)
    inner = () if components == 1 else (components,)
    field = 0.6 * rng.standard_normal((1, *inner, 4, 4))
    x = half.reduce(field, torch.float64)
    assert float(whole.energy(whole.reduce(field, torch.float64))) == pytest.approx(float(action(field)[0]), abs=1e-10)
    # integrate one removed site by quadrature: its factor is z(|B|)
    tilt = half._tilt(x)[:, 0, 0].numpy()
    grid = np.linspace(-4, 4, 801)
    v = np.stack(np.meshgrid(*[grid] * components, indexing="ij"), -1).reshape(-1, components)
    square = (v**2).sum(1)
    z = np.exp(-action.w2 * square - action.w4 * square**2 + v @ tilt).sum() * 0.01**components
    size = float(np.sqrt((tilt**2).sum()))
    assert float(half.heat_bath.log_norm(torch.tensor([size], dtype=torch.float64))) == pytest.approx(
        math.log(z), abs=1e-7
    )
    drawn = half.complete(x.expand(-1, -1, 40000), rng)
    first = drawn.reshape(40000, components, 16)[:, :, half.removed[0]]
    weight = np.exp(-action.w2 * square - action.w4 * square**2 + v @ tilt)
    for power in (1, 2):
        expected = (weight[:, None] * v**power).sum(0) / weight.sum()
        assert np.allclose((first**power).mean(0), expected, atol=4 * (first**power).std(0) / 200)


def test_free_field_is_learned_exactly() -> None:
    # the path-gradient estimator has no noise at the optimum, so the propagator is found to rounding
    free = ScalarAction.from_canonical(0.5, 0.0)
    flow = build(FlowConfig((16, 16), "plain", couplings=0, spline_bins=0, decimated=False))
    start = np.random.default_rng(0).standard_normal((64, 16, 16))
    config = TrainConfig("path_gradient", steps=300, batch=64, learning_rate=0.05, calibrate=False, evaluate=1000)
    trainer = fit(flow, free, config, fields=start)
    with torch.no_grad():
        log_w = trainer.proposal.draw(4096, torch.Generator().manual_seed(1))[1].numpy()
    exact = free_field(free, (16, 16)).log_z
    w = np.exp(log_w - log_w.max())
    assert w.sum() ** 2 / (len(w) * (w**2).sum()) > 0.999
    assert abs(exact - log_w.mean()) < 1e-3  # the Kullback-Leibler divergence
    assert np.log(np.exp(log_w - exact).mean()) == pytest.approx(0, abs=1e-3)


class GaussianProposal:
    """q = N(0, sigma^2) for a one-site Gaussian target, whose acceptance is known in closed form."""

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def propose(self, n, rng):  # type: ignore[no-untyped-def]
        x = self.sigma * rng.standard_normal((n, 1))
        return x, self.weigh(x, rng)

    def weigh(self, fields, rng):  # type: ignore[no-untyped-def]
        x = fields[:, 0]
        return -0.5 * x**2 + 0.5 * (x / self.sigma) ** 2 + math.log(self.sigma) + 0.5 * math.log(2 * math.pi)


@pytest.mark.parametrize("sigma", [0.9, 1.0, 1.7])
def test_independence_metropolis_against_closed_forms(sigma: float) -> None:
    # S = x^2 / 2 on one site; with w0 = 0 there is no hopping
    action = ScalarAction(w0=0.0, w2=0.5, w4=0.0, d=1)
    kernel = Independence(action, GaussianProposal(sigma), 1)
    rng = np.random.default_rng(2)
    state = State.of(rng.standard_normal((4000, 1)), action)
    accepted, second = [], []
    for _ in range(60):
        state, info = kernel(state, rng)
        accepted.append(info["accepted"].mean())
        second.append((state.phi**2).mean())
    # for Gaussians of widths 1 and sigma: P(accept) = (4 / pi) arctan(min(sigma, 1/sigma))
    assert np.mean(accepted) == pytest.approx(4 / math.pi * math.atan(min(sigma, 1 / sigma)), abs=0.005)
    assert np.mean(second) == pytest.approx(1.0, abs=0.02)
    if sigma == 1.0:
        assert np.mean(accepted) == 1.0
    # reverse ESS of the same pair: sqrt(2 sigma^2 - 1) / sigma^2 for sigma^2 > 1/2
    from colonnade.lattice import reverse_ess

    _, log_w = GaussianProposal(sigma).propose(400_000, rng)
    assert reverse_ess(log_w) == pytest.approx(math.sqrt(2 * sigma**2 - 1) / sigma**2, abs=0.01)


class ThreeStates:
    """Fields of one site with the values -1, 0, 1, proposed with probabilities q and wanted with p."""

    q, p = np.array([0.5, 0.2, 0.3]), np.array([0.2, 0.5, 0.3])

    def propose(self, n, rng):  # type: ignore[no-untyped-def]
        x = rng.choice([-1.0, 0.0, 1.0], n, p=self.q)[:, None]
        return x, self.weigh(x, rng)

    def weigh(self, fields, rng):  # type: ignore[no-untyped-def]
        return np.log(self.p / self.q)[np.round(fields[:, 0]).astype(int) + 1]


def test_independence_metropolis_in_detail() -> None:
    # the whole transition matrix: T_ij = q_j min(1, w_j / w_i) off the diagonal, and p_i T_ij = p_j T_ji
    source, n = ThreeStates(), 60_000
    action = ScalarAction(w0=0.0, w2=0.5, w4=0.0, d=1)
    found = np.empty((3, 3))
    for i, value in enumerate((-1.0, 0.0, 1.0)):
        state, _ = Independence(action, source, 1)(
            State.of(np.full((n, 1), value), action), np.random.default_rng(20 + i)
        )
        found[i] = [(np.round(state.phi) == v).mean() for v in (-1, 0, 1)]
    w = source.p / source.q
    expected = source.q * np.minimum(1, w[None, :] / w[:, None])
    np.fill_diagonal(expected, 0)
    np.fill_diagonal(expected, 1 - expected.sum(1))
    assert np.abs(found - expected).max() < 4.5 * 0.5 / math.sqrt(n)
    flow = source.p[:, None] * found
    assert np.abs(flow - flow.T).max() < 4.5 * 0.5 / math.sqrt(n)


def test_a_perfect_proposal_has_no_autocorrelation() -> None:
    action = ScalarAction(w0=0.0, w2=0.5, w4=0.0, d=1)
    run = sample(action, (1,), Independence(action, GaussianProposal(1.0), 1), 2000, chains=32, seed=1, burn_in=0)
    assert run.acceptance["accepted"] == pytest.approx(1.0, abs=1e-9)
    assert tau_int(run.phi2) == pytest.approx(0.5, abs=0.01)


@pytest.fixture(scope="module")
def trained() -> FlowProposal:
    action = ScalarAction.from_albergo(-4, 3.0)
    config = FlowConfig((4, 4), "equivariant", couplings=4, hidden=10)
    return fit(build(config, 1), action, TrainConfig(steps=250, batch=128, seed=1)).proposal


def test_flow_composites_give_the_exact_values(trained: FlowProposal) -> None:
    action = trained.action
    exact = torus(action, (4, 4), 5)
    for kernel, n in (
        (Independence(action, trained, 1), 500),
        (Composite([Independence(action, trained, 4), HMC(action, steps=6)]), 200),
    ):
        run = sample(action, (4, 4), kernel, n, chains=128, seed=3)
        for key, value in (("phi2", exact.phi2), ("chi2", exact.chi2)):
            e = run.estimates[key]
            assert e.value == pytest.approx(value, abs=3.5 * e.error + 3e-4 * value), (kernel.name, key)
        assert run.verdict.status == "ok"
        assert run.verdict.numbers["plus"] == pytest.approx(0.5, abs=0.02)


def test_flow_log_z(trained: FlowProposal) -> None:
    from colonnade.lattice import log_z

    _, log_w = trained.propose(16384, np.random.default_rng(5))
    value, error = log_z(log_w)
    exact = torus(trained.action, (4, 4), 5)
    assert abs(value - exact.log_z) < min(3.5 * error + exact.log_z_error, 0.02)


def test_weights_round_trip_and_are_refused_elsewhere(trained: FlowProposal, tmp_path) -> None:  # type: ignore[no-untyped-def]
    config = FlowConfig((4, 4), "equivariant", couplings=4, hidden=10)
    path = tmp_path / "w.safetensors"
    save_weights(path, trained.flow, config, trained.action, {"seed": 1})
    loaded = load_weights(path)
    x, _ = trained.flow.sample(5, torch.Generator().manual_seed(0))
    assert torch.equal(loaded.flow.log_prob(x), trained.flow.log_prob(x))
    assert loaded.action == trained.action
    assert loaded.notes == {"seed": 1}
    assert loaded.stamp(trained.action) is None
    assert "reweighted" in (loaded.stamp(ScalarAction.from_albergo(-4, 5.0)) or "")
    with pytest.raises(LatticeError, match=r"\[8, 8\].*\[4, 4\]"):
        loaded.proposal(shape=(8, 8))
    with pytest.raises(LatticeError, match="shape"):
        loaded.proposal().weigh(np.zeros((2, 8, 8)))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LatticeError, match="cannot be read"):
        load_weights(broken)
    with pytest.raises(LatticeError, match="component"):
        FlowProposal(trained.flow, ScalarAction.from_albergo(-4, 3.0, components=2))


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (FlowConfig((5, 4)), "odd side.*HMC"),
        (FlowConfig((2, 4)), "at least 4"),
        (FlowConfig((4, 4), "magic"), "recipe"),
        (FlowConfig((4, 4), couplings=100), "couplings"),
        (FlowConfig((4, 4), "symmetrised", components=2), "symmetrised"),
    ],
)
def test_bad_architectures_are_refused(config: FlowConfig, word: str) -> None:
    with pytest.raises(LatticeError, match=word):
        build(config)
