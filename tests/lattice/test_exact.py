"""Exact references against closed forms, brute force and each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from colonnade.lattice import LatticeError, ScalarAction, chain1d, free_field, hotrg, ising_kaufman, site, torus


def action(lam: float, m2: float = -4.0) -> ScalarAction:
    return ScalarAction.from_albergo(m2, lam)


def test_free_field_closed_form() -> None:
    exact = free_field(ScalarAction.from_canonical(1.0, 0.0), (4, 4))
    assert exact.log_z == pytest.approx(2.687045629857506, abs=1e-12)
    assert exact.phi2 == pytest.approx(0.26349206349206344, abs=1e-14)
    assert exact.chi2 == pytest.approx(1.0, abs=1e-13)


def test_free_field_is_a_gaussian_determinant() -> None:
    free = ScalarAction.from_albergo(0.7, 0.0)
    basis = np.eye(12).reshape(12, 3, 4)
    matrix = np.stack([-free.force(e[None]).ravel() for e in basis])  # Hessian of S
    exact = free_field(free, (3, 4))
    assert exact.log_z == pytest.approx(6 * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(matrix)[1], abs=1e-12)
    assert np.allclose(exact.two_point.ravel(), np.linalg.inv(matrix)[0], atol=1e-13)


def test_site_integral() -> None:
    from scipy.special import gamma

    exact = site(action(6.975))  # w2 = 0: a pure quartic
    assert np.exp(exact.log_z) == pytest.approx(gamma(0.25) / (2 * 6.975**0.25), rel=1e-12)
    assert exact.phi2 == pytest.approx(gamma(0.75) / gamma(0.25) / np.sqrt(6.975), rel=1e-12)


def test_chain_against_the_free_field_limit_and_the_torus() -> None:
    weak = ScalarAction.from_albergo(1.0, 1e-7, d=1)
    free = free_field(ScalarAction.from_albergo(1.0, 0.0, d=1), (16,))
    chain = chain1d(weak, 16)
    assert chain.log_z == pytest.approx(free.log_z, abs=1e-5)
    assert np.allclose(chain.two_point, free.two_point, atol=1e-6)
    # a 1 x L torus is a chain whose sites carry a link to themselves: w2 -> w2 - w0
    a = action(3.0)
    line = ScalarAction(w0=a.w0, w2=a.w2 - a.w0, w4=a.w4, d=1)
    assert torus(a, (1, 8)).log_z == pytest.approx(chain1d(line, 8).log_z, abs=1e-9)


@pytest.mark.parametrize(
    ("side", "lam", "log_z", "phi2", "chi2", "tolerance"),
    [
        (2, 6.975, 1.173184710778, 0.195626210163, 0.5442096309, 1e-9),
        (4, 6.975, 3.218324, 0.1673917, 0.934971, 6e-6),
        (4, 3.0, 12.6819, 0.54552, 7.6906, 5e-4),
    ],
)
def test_torus_against_independent_values(side, lam, log_z, phi2, chi2, tolerance) -> None:  # type: ignore[no-untyped-def]
    # another implementation (bond chi = 6 without the cavity weight), good to the stated tolerance
    exact = torus(action(lam), (side, side))
    assert exact.log_z == pytest.approx(log_z, abs=tolerance)
    assert exact.phi2 == pytest.approx(phi2, abs=tolerance)
    assert exact.chi2 == pytest.approx(chi2, abs=tolerance)
    assert exact.log_z_error < tolerance
    assert np.allclose(exact.two_point, exact.two_point.T, atol=2 * tolerance)


def test_torus_by_quadrature() -> None:
    # 2 x 2 sites on a plain grid: no tensor network involved
    a = ScalarAction.from_albergo(-4, 6.975, h=0.3)
    x = np.linspace(-2.1, 2.1, 29)
    fields = np.stack(np.meshgrid(x, x, x, x, indexing="ij"), -1).reshape(-1, 2, 2)
    weight = np.exp(-a(fields)) * (x[1] - x[0]) ** 4
    exact = torus(a, (2, 2))
    assert exact.log_z == pytest.approx(np.log(weight.sum()), abs=1e-6)
    assert exact.phi2 == pytest.approx((weight * fields[:, 0, 0] ** 2).sum() / weight.sum(), abs=1e-6)
    product = fields[:, 0, 0] * fields[:, 1, 1]
    assert exact.two_point[1, 1] == pytest.approx((weight * product).sum() / weight.sum(), abs=1e-6)


@pytest.mark.parametrize("lam", [6.975, 3.0])
def test_hotrg_agrees_with_the_torus(lam: float) -> None:
    small, large = torus(action(lam), (4, 4), 5), hotrg(action(lam), (4, 4), 10, moments=lam == 3.0)
    assert large.log_z == pytest.approx(small.log_z, abs=2e-5 + 3 * small.log_z_error)
    assert large.log_z_error < 1e-3  # it includes the change from bond 6
    if large.phi2 is not None:
        assert large.phi2 == pytest.approx(small.phi2, abs=5e-5)
        assert large.phi4 == pytest.approx(small.phi4, abs=1e-4)
        assert large.chi2 == pytest.approx(small.chi2, rel=3e-4)


def test_hotrg_moments_with_an_external_field() -> None:
    tilted = ScalarAction.from_albergo(-4, 3.0, h=0.1)
    small, large = torus(tilted, (2, 2)), hotrg(tilted, (2, 2), 12, moments=True)
    assert large.phi2 == pytest.approx(small.phi2, abs=1e-5)
    assert large.chi2 == pytest.approx(small.chi2, rel=1e-4)


def test_hotrg_at_eight() -> None:
    assert hotrg(action(6.008), (8, 8), 16).log_z == pytest.approx(15.9864, abs=2e-4)
    for shape in ((4, 8), (8, 4), (2, 8)):
        reference = torus(action(5.0), shape, 5)
        assert hotrg(action(5.0), shape, 12).log_z == pytest.approx(reference.log_z, abs=1e-4)


def test_log_z_shifts_with_the_normalisation() -> None:
    a = action(5.0)
    hopping = a.to_hopping()
    same = ScalarAction.from_hopping(hopping.kappa, hopping.quartic)
    shift = 4 * np.log(hopping.scale)
    assert torus(same, (2, 2)).log_z == pytest.approx(torus(a, (2, 2)).log_z + shift, abs=1e-9)
    # field_albergo = sqrt(kappa) ... : V/2 log kappa between the two
    assert hopping.scale == pytest.approx(hopping.kappa**-0.5)


@pytest.mark.parametrize("beta", [0.2, 0.4406867935, 0.7])
@pytest.mark.parametrize("shape", [(4, 4), (2, 3), (3, 4)])
def test_kaufman_by_brute_force(beta: float, shape: tuple[int, int]) -> None:
    spins = np.array(list(itertools.product([-1, 1], repeat=shape[0] * shape[1]))).reshape(-1, *shape)
    links = (spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).sum((1, 2))
    assert ising_kaufman(beta, shape) == pytest.approx(np.log(np.exp(beta * links).sum()), abs=1e-10)


def test_ising_limit_of_the_field() -> None:
    # lambda -> infinity in the hopping form freezes |phi| = 1: Z -> z_site^V Z_Ising(2 kappa) / 2^V
    kappa, shape = 0.2, (4, 4)
    gaps = []
    for lam in (50.0, 100.0):
        exact = torus(ScalarAction.from_hopping(kappa, lam), shape, 4)
        single = site(ScalarAction.from_hopping(kappa, lam)).log_z
        gaps.append(exact.log_z - 16 * (single - np.log(2)) - ising_kaufman(2 * kappa, shape))
    assert gaps[0] / gaps[1] == pytest.approx(2.0, abs=0.1)  # the correction falls as 1/lambda
    assert 2 * gaps[1] - gaps[0] == pytest.approx(0.0, abs=0.003)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torus(action(3.0), (5, 6)),
        lambda: hotrg(action(3.0), (6, 8)),
        lambda: hotrg(action(3.0), (8, 8), 64),
        lambda: free_field(action(3.0), (4, 4)),
        lambda: chain1d(action(3.0), 8),
        lambda: torus(ScalarAction.from_albergo(1.0, 0.0), (4, 4)),
        lambda: torus(ScalarAction.from_albergo(-1.0, 1.0, components=2), (4, 4)),
        lambda: ising_kaufman(-0.1, (4, 4)),
    ],
)
def test_what_is_not_available_is_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LatticeError):
        make()
