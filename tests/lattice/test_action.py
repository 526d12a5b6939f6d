"""The action: normalisations, force, bounds, precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.lattice import LatticeError, ScalarAction

COUPLING = st.floats(0.05, 5.0)


@given(m2=st.floats(-5, 5), lam=COUPLING, seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_three_normalisations_are_one_action(m2: float, lam: float, seed: int) -> None:
    action = ScalarAction.from_albergo(m2, lam)
    phi = np.random.default_rng(seed).standard_normal((3, 4, 6))
    hopping, canonical = action.to_hopping(), action.to_canonical()
    same = [
        (ScalarAction.from_hopping(hopping.kappa, hopping.quartic), hopping.scale),
        (ScalarAction.from_canonical(canonical.mass, canonical.quartic), canonical.scale),
        (ScalarAction.from_canonical(canonical.mass, 6 * canonical.quartic, quartic=24), canonical.scale),
    ]
    for other, scale in same:
        assert np.allclose(other(scale * phi), action(phi), rtol=1e-12, atol=1e-12 * np.abs(phi**4).sum())
    back = ScalarAction.from_hopping(hopping.kappa, hopping.quartic).to_albergo()
    assert back.mass == pytest.approx(m2, abs=1e-9)
    assert back.quartic == pytest.approx(lam, rel=1e-9)


def test_known_relation_between_albergo_and_hopping() -> None:
    # m2 = -4 in two dimensions is lambda_hopping = 1/2, kappa = sqrt(1 / (2 lambda))
    hopping = ScalarAction.from_albergo(-4, 6.975).to_hopping()
    assert hopping.quartic == pytest.approx(0.5)
    assert hopping.kappa == pytest.approx(math.sqrt(0.5 / 6.975))
    same = ScalarAction.from_kappa_mass(2.0, -8.0, 6.975)
    assert same == ScalarAction.from_albergo(-4, 6.975)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("components", [1, 2])
def test_force_is_the_gradient(d: int, components: int) -> None:
    action = ScalarAction.from_albergo(-1.3, 0.7, d=d, h=0.2, components=components)
    inner = () if components == 1 else (components,)
    phi = torch.randn(2, *inner, *(4, 2, 3)[:d], dtype=torch.float64, generator=torch.Generator().manual_seed(d))
    phi.requires_grad_()
    (gradient,) = torch.autograd.grad(action(phi).sum(), phi)
    force = action.force(phi.detach())
    assert torch.allclose(force, -gradient, rtol=1e-12, atol=1e-12)
    assert np.allclose(action.force(phi.detach().numpy()), force.numpy(), rtol=1e-12, atol=1e-12)


def test_float32_fields_are_summed_in_float64() -> None:
    action = ScalarAction.from_albergo(-4, 6.0)
    phi = np.random.default_rng(0).standard_normal((1, 128, 128))
    single = action(phi.astype(np.float32))
    assert single.dtype == np.float64
    assert action(torch.from_numpy(phi).float()).dtype == torch.float64
    # the terms carry float32 rounding, but their sum of 16384 adds none
    assert single == pytest.approx(action(phi), rel=2e-7)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ScalarAction.from_albergo(1.0, -0.1), ["unbounded below", "-0.1"]),
        (lambda: ScalarAction.from_albergo(-1.0, 0.0), ["unbounded below", "positive mass"]),
        (lambda: ScalarAction.from_albergo(float("nan"), 1.0), ["w2", "nan", "finite"]),
        (lambda: ScalarAction.from_hopping(float("inf"), 1.0), ["w0", "inf", "finite"]),
        (lambda: ScalarAction.from_albergo(1.0, 1.0, h=float("nan")), ["h", "nan"]),
        (lambda: ScalarAction.from_couplings(m2=-4, kappa=0.3, lam=1.0), ["m2", "kappa", "both"]),
        (lambda: ScalarAction.from_couplings(lam=1.0), ["m2", "kappa", "neither"]),
        (lambda: ScalarAction.from_canonical(1.0, 1.0, quartic=6), ["quartic", "6", "24"]),
        (lambda: ScalarAction.from_albergo(-4, 1.0)(np.zeros((4, 4))), ["2 axes", "needs 3"]),
    ],
)
def test_bad_actions_are_refused_in_a_sentence(make, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LatticeError) as error:
        make()
    assert all(word in str(error.value) for word in words)
    assert isinstance(error.value, ValueError)
