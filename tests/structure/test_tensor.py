"""Tensors from synthetic couplings and shifts of a real structure, with noise and without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.structure import (
    Tensor,
    TensorError,
    dipolar_maximum,
    example,
    fit_pcs,
    fit_rdc,
    read_structure,
)

Array = np.ndarray


def atoms() -> tuple[Array, Array]:
    """CA of ubiquitin, and directions to the next atom (C), standing in for bonds."""
    ubiquitin = read_structure(example("2OOB")).protein.in_chains("B")
    return ubiquitin.xyz[ubiquitin.atom == "CA"], (
        ubiquitin.xyz[ubiquitin.atom == "C"] - ubiquitin.xyz[ubiquitin.atom == "CA"]
    )


def random_tensor(rng: np.random.Generator, size: float) -> Array:
    raw = rng.normal(size=(3, 3))
    tensor = raw + raw.T
    tensor -= np.eye(3) * np.trace(tensor) / 3
    return size * tensor / np.abs(tensor).max()


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_noise_free_couplings_give_the_tensor_back(seed: int) -> None:
    true = random_tensor(np.random.default_rng(seed), 1e-3)
    _, bonds = atoms()
    unit = bonds / np.linalg.norm(bonds, axis=1, keepdims=True)
    maximum = dipolar_maximum("N", "H", 1.02)
    fit = fit_rdc(bonds, maximum * np.einsum("ni,ij,nj->n", unit, true, unit), maximum)
    assert fit.matrix == pytest.approx(true, abs=1e-12)
    assert fit.q_factor < 1e-9 and fit.correlation == pytest.approx(1.0)
    rebuilt = fit.axes @ np.diag(fit.principal) @ fit.axes.T
    assert rebuilt == pytest.approx(true, abs=1e-12) and np.linalg.det(fit.axes) == pytest.approx(1.0)
    assert fit.axial == pytest.approx(1.5 * fit.principal[2])
    assert 0.0 <= abs(fit.rhombic / fit.axial) <= 2 / 3 + 1e-9


def test_errors_with_noise_are_right_on_average() -> None:
    """Over 300 noisy data sets, deviations in units of the quoted error have unit variance."""
    rng = np.random.default_rng(4)
    true = random_tensor(rng, 8e-4)
    _, bonds = atoms()
    unit = bonds / np.linalg.norm(bonds, axis=1, keepdims=True)
    maximum = dipolar_maximum("N", "H", 1.02)
    clean = maximum * np.einsum("ni,ij,nj->n", unit, true, unit)
    wanted = np.array([true[0, 0], true[1, 1], true[0, 1], true[0, 2], true[1, 2]])
    for errors in (None, np.full(len(clean), 0.5)):
        fits = [fit_rdc(bonds, clean + rng.normal(0, 0.5, len(clean)), maximum, errors) for _ in range(300)]
        pulls = np.array([(fit.components - wanted) / fit.errors for fit in fits])
        assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(300)
        assert pulls.std(axis=0) == pytest.approx(np.ones(5), abs=0.2)


@pytest.mark.parametrize("move", [False, True])
def test_shifts_give_tensor_and_metal(move: bool) -> None:
    rng = np.random.default_rng(8)
    xyz, _ = atoms()
    metal = xyz.mean(axis=0) + np.array([18.0, 6.0, -9.0])
    true = random_tensor(rng, 20.0)
    r = xyz - metal
    shifts = 1e4 * np.einsum("ni,ij,nj->n", r, true, r) / (4 * np.pi * np.linalg.norm(r, axis=1) ** 5)
    start = metal + (np.array([1.5, -1.0, 1.0]) if move else 0.0)
    fit = fit_pcs(xyz, shifts, start, move=move)
    assert fit.origin == pytest.approx(metal, abs=1e-3)
    assert fit.matrix == pytest.approx(true, rel=1e-3, abs=1e-3)
    noisy = fit_pcs(xyz, shifts + rng.normal(0, 0.02, len(shifts)), start, move=move)
    assert noisy.origin is not None and np.linalg.norm(noisy.origin - metal) < 1.0
    assert noisy.q_factor < 0.1


def test_shift_on_the_axis_is_the_closed_form() -> None:
    """For an axial tensor, δ = Δχ_ax (3 cos²θ - 1) / (12 π r³)."""
    tensor = Tensor(np.array([-10.0, -10.0, 0, 0, 0]), np.eye(5), np.ones(2), np.ones(2))
    assert tensor.axial == pytest.approx(30.0) and tensor.rhombic == pytest.approx(0.0)
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(12, 3)) * 10
    distance = np.linalg.norm(xyz, axis=1)
    shifts = 1e4 * 30.0 * (3 * (xyz[:, 2] / distance) ** 2 - 1) / (12 * np.pi * distance**3)
    assert fit_pcs(xyz, shifts, np.zeros(3)).matrix == pytest.approx(tensor.matrix, abs=1e-9)


def test_dipolar_maximum_of_the_amide_bond() -> None:
    assert dipolar_maximum("N", "H", 1.02) == pytest.approx(22_950, rel=0.01)
    assert dipolar_maximum("N", "H", 2.04) == pytest.approx(dipolar_maximum("N", "H", 1.02) / 8)
    assert dipolar_maximum("C", "H", 1.1) < 0


def test_turning_the_molecule_turns_the_tensor() -> None:
    rng = np.random.default_rng(2)
    xyz, _ = atoms()
    shifts = rng.normal(size=len(xyz))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    a, b = fit_pcs(xyz, shifts, np.zeros(3)), fit_pcs(xyz @ turn.T, shifts, np.zeros(3))
    assert b.matrix == pytest.approx(turn @ a.matrix @ turn.T, rel=1e-6, abs=1e-9)
    assert b.principal == pytest.approx(a.principal)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_rdc(np.ones((4, 3)), np.ones(4), 1.0), "4 values are too few; at least 5"),
        (lambda: fit_rdc(np.ones((9, 3)), np.ones(9), 1.0), "leave the tensor undetermined"),
        (lambda: fit_rdc(np.ones((9, 2)), np.ones(9), 1.0), r"expected \(N, 3\)"),
        (
            lambda: fit_rdc(np.vstack([np.eye(3), np.zeros((3, 3))]), np.ones(6), 1.0),
            "number 4 has no length",
        ),
        (lambda: fit_rdc(np.full((9, 3), np.nan), np.ones(9), 1.0), "not finite"),
        (lambda: fit_pcs(np.eye(9)[:, :3], np.ones(9), np.zeros(3)), "closer than 0.5 Å"),
        (lambda: fit_pcs(np.random.rand(6, 3) + 5, np.ones(6), np.zeros(3), move=True), "at least 8"),
        (lambda: fit_pcs(np.random.rand(6, 3) + 5, np.ones(6), np.zeros(3), np.zeros(6)), "above zero"),
        (lambda: dipolar_maximum("X", "H", 1.0), "'X' is not one of H, C, N"),
        (lambda: dipolar_maximum("N", "H", 0.0), "0 Å is outside the range of 0.5 to 10 Å"),
    ],
)
def test_what_cannot_be_fitted_is_said(call: object, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        call()  # type: ignore[operator]
