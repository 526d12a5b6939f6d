"""Kernels: reversibility, order of the integrators, exactness of every sampler and composite."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from colonnade.lattice import (
    HMC,
    Annealing,
    Composite,
    Flip,
    FlowConfig,
    FourierHMC,
    Independence,
    LatticeError,
    Metropolis,
    ScalarAction,
    State,
    TrainConfig,
    Wolff,
    build,
    chain1d,
    fit,
    free_field,
    initial_state,
    sample,
    torus,
)
from colonnade.lattice.observe import crossing

BROKEN = ScalarAction.from_albergo(-4, 3.0)
SYMMETRIC = ScalarAction.from_albergo(-4, 6.975)


def equilibrium(action: ScalarAction, shape: tuple[int, ...], chains: int, seed: int = 3) -> State:
    rng = np.random.default_rng(seed)
    return replace(HMC(action, steps=8), repeat=100)(initial_state(action, shape, chains, rng), rng)[0]


@pytest.mark.parametrize(("d", "components"), [(1, 1), (2, 1), (2, 2), (3, 1)])
def test_compiled_trajectory_is_reversible_and_follows_the_action(d: int, components: int) -> None:
    action = ScalarAction.from_albergo(-2.0, 2.0, d=d, h=0.1, components=components)
    shape = (4, 6, 2)[:d]
    rng = np.random.default_rng(1)
    start = initial_state(action, shape, 21, rng)  # not a multiple of the block
    p = rng.standard_normal(start.phi.shape)
    kernel = HMC(action, steps=20, dt=0.05)
    end, q = kernel.integrate(start, p)
    back, r = kernel.integrate(end, -q)
    assert np.abs(back.phi - start.phi).max() < 1e-10
    assert np.abs(r + p).max() < 1e-10
    # the same trajectory by the plain definition
    phi, mom = start.fields.copy(), np.moveaxis(p, -1, 0).reshape(start.fields.shape)
    phi = phi + 0.025 * mom
    for step in range(20):
        mom = mom + 0.05 * action.force(phi)
        phi = phi + (0.05 if step < 19 else 0.025) * mom
    assert np.abs(end.fields - phi).max() < 1e-12 * 1e2


@pytest.mark.parametrize(("scheme", "order"), [("leapfrog", 2), ("omf2", 2), ("omf4", 4)])
def test_energy_violation_scales_with_the_order(scheme, order) -> None:  # type: ignore[no-untyped-def]
    state = equilibrium(SYMMETRIC, (8, 8), 64)
    p = np.random.default_rng(5).standard_normal(state.phi.shape)

    def violation(steps: int) -> float:
        end, q = HMC(SYMMETRIC, steps=steps, dt=1.0 / steps, scheme=scheme).integrate(state, p)
        change = SYMMETRIC(end.fields) - SYMMETRIC(state.fields) + 0.5 * (q**2 - p**2).sum((0, 1))
        return float(np.abs(change).mean())

    coarse = 40 if order == 2 else 20
    slope = math.log(violation(coarse) / violation(2 * coarse)) / math.log(2)
    assert slope == pytest.approx(order, abs=0.1)


def test_creutz_equality() -> None:
    state = equilibrium(SYMMETRIC, (8, 8), 512)
    rng = np.random.default_rng(9)
    kernel = HMC(SYMMETRIC, steps=10, dt=0.14)
    values = []
    for _ in range(40):
        state, info = kernel(state, rng)
        values.append(np.exp(-info["delta_h"]))
    mean = np.array(values)
    assert mean.mean() == pytest.approx(1.0, abs=3 * mean.mean(0).std() / math.sqrt(512))
    assert 0.5 < float(info["accepted"].mean()) < 0.99


def test_free_field_spectrum() -> None:
    free = ScalarAction.from_canonical(0.5, 0.0)
    from colonnade.lattice.exact import propagator
    from colonnade.lattice.geometry import shells

    run = sample(free, (16, 16), HMC(free, steps=8), 400, chains=64, seed=2, keep=4)
    power = np.abs(np.fft.fft2(run.fields)) ** 2 / 256  # (kept, chains, 16, 16)
    _, shell = shells((16, 16))
    expected = propagator(free, (16, 16))
    chi2, count = 0.0, shell.max() + 1
    for k in range(count):
        per_chain = power[..., shell == k].mean((0, 2))
        chi2 += ((per_chain.mean() - expected[shell == k][0]) / (per_chain.std() / 8)) ** 2
    assert 0.5 < chi2 / count < 1.5  # 43 shells
    assert free_field(free, (16, 16)).phi2 == pytest.approx(run.estimates["phi2"].value, rel=0.02)
    # the pole of the lattice propagator: cosh(m) = 1 + mass^2 / 2
    mass = run.estimates["mass"]
    assert mass.value == pytest.approx(math.acosh(1.25), abs=4 * mass.error)
    assert mass.error < 0.05


KERNELS = {
    "hmc+flip": lambda a: Composite([HMC(a, steps=8), Flip(a)]),
    "omf2": lambda a: Composite([HMC(a, steps=4, scheme="omf2"), Flip(a)]),
    "omf4": lambda a: Composite([HMC(a, steps=2, dt=0.3, scheme="omf4"), Flip(a)]),
    "fourier": lambda a: Composite([FourierHMC(a, steps=6), Flip(a)]),
    "wolff+hmc": lambda a: Composite([Wolff(a), HMC(a, steps=8)]),
    "metropolis+wolff": lambda a: Composite([Metropolis(a), Wolff(a, clusters=2)]),
    "annealed": lambda a: Composite([Independence(a, Annealing(a, (4, 4), stages=12), 2), HMC(a, steps=6)]),
    "all": lambda a: Composite([Wolff(a), Metropolis(a, reflections=1), HMC(a), Flip(a), FourierHMC(a, steps=3)]),
}


@pytest.mark.parametrize("name", KERNELS)
def test_every_sampler_gives_the_exact_values(name: str) -> None:
    exact = torus(BROKEN, (4, 4), 5)
    n = {"fourier": 500, "annealed": 150, "all": 300}.get(name, 1200)
    run = sample(BROKEN, (4, 4), KERNELS[name](BROKEN), n, chains=128, seed=11)
    e = run.estimates
    for key, value in (("phi2", exact.phi2), ("phi4", exact.phi4), ("chi2", exact.chi2)):
        assert e[key].value == pytest.approx(value, abs=3.5 * e[key].error + 4e-4 * value), key
        assert e[key].error < 0.05 * value
    assert e["link"].value == pytest.approx(exact.two_point[0, 1], abs=3.5 * e["link"].error)
    assert run.verdict.status == "ok"


def test_hmc_alone_stays_in_its_vacuum() -> None:
    deep = ScalarAction.from_albergo(-4, 3.5)
    run = sample(deep, (8, 8), HMC(deep, steps=10), 500, chains=16, seed=1, start="plus")
    assert run.tunnelling < 3e-3
    assert run.verdict.status in ("mode missed", "not converged")
    flipped = sample(deep, (8, 8), Composite([HMC(deep, steps=10), Flip(deep)]), 500, chains=16, seed=1, start="plus")
    assert flipped.tunnelling == pytest.approx(0.5, abs=0.05)
    assert flipped.verdict.numbers["plus"] == pytest.approx(0.5, abs=0.05)


def test_chain_correlator_for_all_distances() -> None:
    action = ScalarAction.from_albergo(-1.0, 1.0, d=1)
    exact = chain1d(action, 16)
    run = sample(action, (16,), HMC(action, steps=8), 1500, chains=64, seed=4)
    for t, e in enumerate(run.two_point):
        assert e.value == pytest.approx(exact.two_point[t], abs=3.5 * e.error), t


def test_pole_mass_and_ising_energy_of_a_chain() -> None:
    # the gap of the transfer matrix, from the exact correlator far out, and the connected link with a field h
    action = ScalarAction.from_albergo(-1.0, 1.0, d=1)
    far = chain1d(action, 64).two_point
    gap = math.log(far[12] / far[13])
    run = sample(action, (32,), HMC(action, steps=8), 1500, chains=64, seed=5)
    mass = run.estimates["mass"]
    assert mass.value == pytest.approx(gap, abs=4 * mass.error)
    assert mass.error < 0.1 * gap
    assert run.estimates["energy"].value == pytest.approx(
        chain1d(action, 32).two_point[1], abs=4 * run.estimates["energy"].error
    )
    tilted = ScalarAction.from_albergo(-1.0, 1.0, d=1, h=0.3)
    run = sample(tilted, (16,), HMC(tilted, steps=8), 1500, chains=64, seed=6)
    step = 1e-4
    mean = [chain1d(ScalarAction.from_albergo(-1.0, 1.0, d=1, h=0.3 + s), 16).log_z for s in (step, -step)]
    first = (mean[0] - mean[1]) / (2 * step * 16)  # <phi> = d log Z / dh / V
    energy = run.estimates["energy"]
    assert energy.value == pytest.approx(chain1d(tilted, 16).two_point[1] - first**2, abs=4 * energy.error)


def test_where_curves_cross() -> None:
    line = [0.0, 1.0, 2.0, 3.0]
    small, large = [(0.0, 0.1)] * 4, [(-3.0, 0.1), (-1.0, 0.1), (1.0, 0.1), (3.0, 0.1)]
    ((place, error),) = crossing(line, small, large)
    assert place == pytest.approx(1.5)
    assert error == pytest.approx(0.05, rel=0.01)
    assert list(crossing(line, small, [(0.01, 0.1), (-0.01, 0.1), (-0.02, 0.1), (-1.0, 0.1)])) == []


@pytest.mark.slow
def test_binder_cumulants_cross_at_the_known_critical_hopping() -> None:
    # lambda = 0.022 in the hopping form: kappa_c = 0.2708, the value that public ensembles of this line quote
    line, curves = [0.2688, 0.2708, 0.2728], []
    for side, n in ((16, 1500), (32, 1500)):
        curve = []
        for kappa in line:
            action = ScalarAction.from_hopping(kappa, 0.022)
            kernel = Composite([Wolff(action, clusters=2), FourierHMC(action, steps=6)])
            e = sample(action, (side, side), kernel, n, chains=32, seed=int(1e5 * kappa) + side).estimates["binder"]
            curve.append((e.value, e.error))
        curves.append(curve)
    found = list(crossing(line, *curves))
    print(found)
    assert len(found) == 1
    assert found[0][0] == pytest.approx(0.2708, abs=0.002)
    assert found[0][1] < 0.001


def test_complex_field_and_external_field() -> None:
    # two decoupled ways to the same number: HMC alone against clusters and flips, with h breaking the symmetry
    action = ScalarAction.from_albergo(-4, 5.0, components=2, h=0.15)
    one = sample(action, (4, 4), HMC(action, steps=8), 1500, chains=64, seed=1)
    two = sample(action, (4, 4), Composite([Wolff(action), Metropolis(action), Flip(action)]), 1500, chains=64, seed=2)
    for key in ("phi2", "chi2"):
        a, b = one.estimates[key], two.estimates[key]
        assert a.value == pytest.approx(b.value, abs=3.5 * math.hypot(a.error, b.error))
    first = [r.obs(r.magnetisation[:, 0]) for r in (one, two)]
    for o in first:
        o.gamma_method()
    assert first[0].value == pytest.approx(first[1].value, abs=3.5 * math.hypot(first[0].dvalue, first[1].dvalue))
    assert first[0].value > 0.02


def test_same_seed_same_chain_and_batch_size_does_not_matter_for_the_law() -> None:
    kernel = Composite([HMC(SYMMETRIC), Wolff(SYMMETRIC), Metropolis(SYMMETRIC), Flip(SYMMETRIC)])
    runs = [sample(SYMMETRIC, (4, 4), kernel, 20, chains=24, seed=7) for _ in range(2)]
    assert np.array_equal(runs[0].phi2, runs[1].phi2)
    one = sample(SYMMETRIC, (4, 4), HMC(SYMMETRIC), 6000, chains=1, seed=1).estimates["phi2"]
    many = sample(SYMMETRIC, (4, 4), HMC(SYMMETRIC), 300, chains=200, seed=2).estimates["phi2"]
    assert one.value == pytest.approx(many.value, abs=3.5 * math.hypot(one.error, many.error))


def test_any_number_of_threads_gives_the_same_bits() -> None:
    # a training, log w of its flow, and a chain of every kernel; the compiled kernels know no threads
    def everything() -> list[np.ndarray]:
        trainer = fit(build(FlowConfig((8, 8), couplings=2), 1), SYMMETRIC, TrainConfig(steps=4, batch=128, seed=1))
        flow, a = Independence(SYMMETRIC, trainer.proposal, 8), SYMMETRIC
        kernel = Composite([flow, HMC(a), Wolff(a), Metropolis(a), FourierHMC(a, steps=2)])
        run = sample(a, (8, 8), kernel, 10, chains=64, seed=7, burn_in=2)
        return [run.phi2, run.correlator, trainer.proposal.propose(4096, np.random.default_rng(1))[1]]

    threads, found = torch.get_num_threads(), []
    for number in (1, 2):
        torch.set_num_threads(number)
        found.append(everything())
        assert torch.get_num_threads() == number
    torch.set_num_threads(threads)
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_step_size_is_tuned_in_burn_in_only() -> None:
    run = sample(SYMMETRIC, (8, 8), HMC(SYMMETRIC, dt=0.5), 300, chains=32, seed=1)
    assert run.acceptance["accepted"] == pytest.approx(0.85, abs=0.05)
    assert isinstance(run.kernel, HMC)
    assert run.kernel.dt < 0.5
    fixed = sample(SYMMETRIC, (8, 8), HMC(SYMMETRIC, dt=0.5), 50, chains=32, seed=1, tune=False)
    assert fixed.kernel == HMC(SYMMETRIC, dt=0.5)
    assert fixed.acceptance["accepted"] < 0.1
    assert "smaller" in (fixed.advice() or "")


def test_short_runs_are_marked() -> None:
    run = sample(SYMMETRIC, (8, 8), HMC(SYMMETRIC, steps=3, dt=0.02), 30, chains=1, seed=1, tune=False)
    assert run.estimates["chi2"].status == "not converged"
    assert "not converged" in str(run.estimates["chi2"])
    assert run.verdict.status != "ok"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: sample(BROKEN, (4, 4, 4), HMC(BROKEN), 100), "2-dimensional"),
        (lambda: sample(BROKEN, (4, 4), HMC(BROKEN), 5), "at least 10"),
        (lambda: sample(BROKEN, (4, 4), HMC(BROKEN), 100, chains=0), "chains"),
        (lambda: sample(BROKEN, (8, 8), HMC(BROKEN), 10**7, chains=1024), "GiB"),
        (lambda: sample(BROKEN, (4096, 8192), HMC(BROKEN), 100), "sites"),
        (lambda: HMC(BROKEN, dt=-0.1), "dt"),
        (
            lambda: HMC(BROKEN, scheme="verlet")(
                initial_state(BROKEN, (4, 4), 1, np.random.default_rng(0)), np.random.default_rng(0)
            ),
            "scheme",
        ),
        (lambda: sample(BROKEN, (4, 4), HMC(BROKEN), 100, start="cold"), "start"),
        (lambda: Composite([]), "at least one"),
    ],
)
def test_bad_runs_are_refused(make, word) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LatticeError, match=word):
        make()
