"""Hydrodynamics, freeze-out and the spinodal fluid against exact solutions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, optimize, special

from colonnade.physics import cooper_frye, equation_of_state, heavy_ions, hydro, spinodal
from colonnade.physics.cooper_frye import freeze_out, sample
from colonnade.physics.hydro import Fluid, evolve, pressure_table

CONFORMAL = pressure_table(equation_of_state.ideal())


def uniform(energy: float, nx: int = 6, ny: int = 6) -> Fluid:
    return Fluid(np.full((nx, ny), energy), np.zeros((nx, ny)), np.zeros((nx, ny)))


def test_bjorken_cooling() -> None:
    """e ~ tau^-4/3 for matter that only expands along the beam (Bjorken 1983)."""
    times, history = evolve(uniform(20.0), CONFORMAL, step=0.05, cell=0.5, steps=120, tau=0.6)
    assert np.abs(history[:, 0, 3, 3] / (20 * (0.6 / times) ** (4 / 3)) - 1).max() < 1e-3
    assert np.abs(history[:, 1:]).max() < 1e-12


def gubser(tau: float, x: np.ndarray, y: np.ndarray, q: float = 0.25) -> Fluid:
    """The ideal flow of Gubser, Phys. Rev. D 82 (2010) 085027."""
    r2 = x**2 + y**2
    bracket = 1 + 2 * q**2 * (tau**2 + r2) + q**4 * (tau**2 - r2) ** 2
    energy = 50 * (2 * q) ** (8 / 3) / tau ** (4 / 3) / bracket ** (4 / 3)
    slope = 2 * q**2 * tau / (1 + q**2 * (tau**2 + r2))
    return Fluid(energy, slope * x, slope * y)


def gubser_error(cells: int) -> float:
    cell = 12.0 / cells
    axis = (np.arange(cells) - (cells - 1) / 2) * cell
    x, y = np.meshgrid(axis, axis, indexing="ij")
    steps = round(2.0 / (0.2 * cell))
    times, history = evolve(gubser(1.0, x, y), CONFORMAL, step=0.2 * cell, cell=cell, steps=steps)
    exact = gubser(times[-1], x, y)
    inside = np.hypot(x, y) < 2.5  # the edges of the box, where the flow goes on in truth, are heard no further
    errors = [np.abs(history[-1, 0] / exact.energy - 1), np.abs(history[-1, 1] - exact.vx)]
    return max(float(error[inside].max()) for error in errors)


def test_gubser_flow() -> None:
    coarse, fine = gubser_error(60), gubser_error(120)
    assert fine < 0.004
    assert coarse / fine > 2.5  # nearly the second order of the scheme


def riemann(left: float, right: float, place: np.ndarray, time: float) -> np.ndarray:
    """Energy density of a conformal gas (p = e/3) that was at rest with a wall at 0: rarefaction, plateau, shock."""
    c = 1 / np.sqrt(3)
    invariant = c / (1 + c**2)

    def behind(e: float) -> float:
        return float(np.tanh(invariant * np.log(left / e)))

    def shocked(e: float) -> float:
        return float(np.sqrt((e - right) / 3 * (e - right) / ((right + e / 3) * (e + right / 3))))

    star = optimize.brentq(lambda e: behind(e) - shocked(e), right * 1.0001, left)
    flow = behind(star)
    front = np.sqrt((star - right) / 3 * (star + right / 3) / ((star - right) * (right + star / 3)))
    tail = (flow - c) / (1 - flow * c)
    speed = place / time
    inside = np.tanh(np.linspace(0, np.arctanh(flow), 4000))  # flow along the rarefaction
    edge = (inside - c) / (1 - inside * c)
    energy = left * np.exp(-np.arctanh(inside) / invariant)
    fan = np.interp(speed, edge, energy)
    return np.select([speed < -c, speed < tail, speed < front], [left, fan, star], right)


def test_shock_tube() -> None:
    cells, cell = 400, 0.025
    place = (np.arange(cells) - (cells - 1) / 2) * cell
    start = uniform(1.0, cells, 1)
    start.energy[place < 0] = 10.0
    times, history = evolve(start, CONFORMAL, step=0.2 * cell, cell=cell, steps=800, tau=0.0, expanding=False)
    exact = riemann(10.0, 1.0, place, float(times[-1]))
    assert np.abs(history[-1, 0, :, 0] - exact).mean() / 10 < 0.004
    flat = np.abs(exact - np.median(exact[np.abs(place - 1.2) < 0.3])) < 1e-6  # the plateau
    inner = flat & (place > place[flat].min() + 0.2) & (place < place[flat].max() - 0.2)
    assert np.abs(history[-1, 0, inner, 0] / exact[inner] - 1).max() < 0.005


def test_energy_is_conserved_in_flat_space() -> None:
    axis = (np.arange(40) - 19.5) * 0.4
    energy = np.maximum(10 * np.exp(-(axis[:, None] ** 2 + 0.5 * axis**2) / 2), hydro.FLOOR)
    state = equation_of_state.first_order()
    still = np.zeros_like(energy)
    fluid = Fluid(energy, still, still)
    _, history = evolve(fluid, pressure_table(state), step=0.1, cell=0.4, steps=25, expanding=False)
    e, vx, vy = np.moveaxis(history, 1, 0)
    total = ((e + state.p(e)) / (1 - vx**2 - vy**2) - state.p(e)).sum(axis=(1, 2))
    assert np.abs(total / total[0] - 1).max() < 1e-5


def test_the_two_equations_of_state() -> None:
    smooth, mixed = equation_of_state.cross_over(), equation_of_state.first_order()
    melting = np.linspace(equation_of_state.MELTING * 1.02, equation_of_state.MELTED * 0.98, 50)
    assert np.ptp(mixed.p(melting)) < 1e-9
    assert np.ptp(mixed.t(melting)) < 1e-3
    assert (np.diff(smooth.p(melting)) > 0).all()
    for state in (smooth, mixed):  # s = (e + p) / T never falls
        energy = np.geomspace(0.01, 100, 300)
        assert (np.diff((energy + state.p(energy)) / state.t(energy)) > -1e-9).all()


def frozen(energy_before: np.ndarray, velocity: np.ndarray | None = None) -> cooper_frye.Surface:
    """The surface of matter that freezes out everywhere at one moment."""
    history = np.zeros((2, 3, *energy_before.shape))
    history[0, 0] = energy_before
    if velocity is not None:
        history[:, 1:] = velocity
    return freeze_out(np.array([0.9, 1.1]), history, 0.5, 0.3)


def test_static_fireball(rng) -> None:
    """dN / (pT dpT) ~ sum over n of mT K1(n mT / T): the Bose gas seen from the side."""
    temperature, mass = 0.14, cooper_frye.PION
    surface = frozen(np.ones((20, 20)))
    degeneracy = 100_000
    momenta = sample(surface, temperature, rng, degeneracy=degeneracy)
    volume = 1.0 * (20 * 0.5) ** 2  # tau times area, per unit of rapidity
    n = np.arange(1, 30)
    scale = degeneracy * volume / (2 * np.pi**2 * cooper_frye.HBARC**3)
    density = mass**2 * temperature * (special.kn(2, n * mass / temperature) / n).sum()
    assert len(momenta) == pytest.approx(scale * density, rel=0.005)
    assert len(momenta) > 200_000

    def law(pt: float) -> float:
        mt = np.hypot(pt, mass)
        return float(pt * mt * special.k1(n * mt / temperature).sum())

    edges = np.linspace(0, 0.8, 9)
    found, _ = np.histogram(np.hypot(momenta[:, 0], momenta[:, 1]), edges)
    expected = np.array([integrate.quad(law, a, b)[0] for a, b in pairwise(edges)])
    expected *= len(momenta) / integrate.quad(law, 0, 5)[0]
    assert (np.abs(found - expected) < 0.005 * expected + 4 * np.sqrt(expected)).all()
    angle = np.arctan2(momenta[:, 1], momenta[:, 0])
    assert abs(np.cos(2 * angle).mean()) < 4 / np.sqrt(2 * len(angle))


def elliptic_flow(rx: float, ry: float, rng) -> tuple[float, float]:
    """v2 with respect to x, and its error, of a blob of those radii."""
    axis = (np.arange(40) - 19.5) * 0.5
    energy = np.maximum(20 * np.exp(-(axis[:, None] ** 2 / rx**2 + axis[None] ** 2 / ry**2) / 2), hydro.FLOOR)
    still = np.zeros_like(energy)
    state = equation_of_state.cross_over()
    table, cold = pressure_table(state), state.energy_at(0.14)
    times, history = evolve(Fluid(energy, still, still), table, step=0.18, cell=0.5, steps=80, tau=0.6, until=cold)
    momenta = sample(freeze_out(times, history, 0.5, cold), 0.14, rng, degeneracy=1000)
    angle = np.arctan2(momenta[:, 1], momenta[:, 0])
    return float(np.cos(2 * angle).mean()), float(1 / np.sqrt(2 * len(angle)))


def test_elliptic_flow_has_the_sign_of_the_gradient(rng) -> None:
    round_, error = elliptic_flow(2.5, 2.5, rng)
    assert abs(round_) < 4 * error
    almond, error = elliptic_flow(2.0, 3.0, rng)  # the steeper gradient is along x
    assert almond > 0.03 + 5 * error


def test_heavy_ion_images(rng) -> None:
    made = heavy_ions.heavy_ion_events(6, rng)
    assert made["image"].shape == (6, 24, 24)
    assert sorted(made["label"]) == [0, 0, 0, 1, 1, 1]
    assert (made["image"].sum(axis=(1, 2)) > 100).all()
    rows = made["image"].sum(axis=(0, 2))
    assert rows[:8].sum() > 5 * rows[16:].sum()  # spectra fall with pT


def wave(law: spinodal.Pressure, density: float, cells: int, time: float) -> tuple[float, float, float]:
    """Amplitude of a sound wave at rest after `time` over its start, the wave number, and n0 a²."""
    cell, gradient, small = 0.4, 0.5, 1e-4
    k = 2 * np.pi / (cells * cell)
    shape = np.cos(k * cell * np.arange(cells))[:, None] * np.ones((1, 4))
    start = density * (1 + small * shape)
    end, _ = spinodal.expand(start, law, duration=time, expansion=np.inf, gradient=gradient, cell=cell)
    return float((end * shape).sum() / (start * shape).sum()), k, density * gradient**2


@pytest.mark.parametrize(("cells", "tolerance"), [(64, 0.002), (32, 0.01)])
def test_growth_of_the_spinodal_instability(cells: int, tolerance: float) -> None:
    """A wave in the unstable region grows as cosh(gamma t), gamma² = -k² p'(n) - n a² k⁴."""
    law = spinodal.pressure(0.8, maxwell=False)
    density = (law.inner + law.outer) / 2
    assert law.slope(density) < 0
    found, k, stiffness = wave(law, density, cells, 1.0)
    rate = np.sqrt(-(k**2) * law.slope(density) - stiffness * k**4)
    assert found == pytest.approx(np.cosh(rate), rel=tolerance)
    assert found > 1


def test_no_growth_under_maxwell() -> None:
    law = spinodal.pressure(0.8, maxwell=True)
    loop = spinodal.pressure(0.8, maxwell=False)
    density = (loop.inner + loop.outer) / 2
    assert law.slope(density) == pytest.approx(0, abs=1e-9)
    for time in (1.0, 4.0):
        found, k, stiffness = wave(law, density, 32, time)
        assert found == pytest.approx(np.cos(np.sqrt(stiffness) * k**2 * time), abs=0.02)
        assert found <= 1


def test_maxwell_construction_has_equal_areas() -> None:
    law = spinodal.pressure(0.8, maxwell=False)
    flat = float(law.at(law.gas))
    assert law.at(law.liquid) == pytest.approx(flat, abs=1e-5)
    density = np.linspace(law.gas, law.liquid, 20_001)
    assert np.trapezoid((law.at(density) - flat) / density**2, density) == pytest.approx(0, abs=1e-5)
    assert law.gas < law.inner < law.outer < law.liquid


@pytest.mark.parametrize("maxwell", [True, False])
def test_baryon_number_is_conserved(maxwell: bool, rng) -> None:
    start = spinodal.initial_density(1.8, 0.05, rng)
    end, _ = spinodal.expand(start, spinodal.pressure(0.8, maxwell), duration=6.4, expansion=8.0, gradient=0.25)
    assert end.sum() == pytest.approx(start.sum(), rel=1e-12)
    assert end.min() >= 0


def test_only_the_spinodal_matter_clumps(rng) -> None:
    start = spinodal.initial_density(1.8, 0.05, rng)
    spread = {}
    for maxwell in (True, False):
        law = spinodal.pressure(0.8, maxwell)
        end, _ = spinodal.expand(start, law, duration=6.4, expansion=8.0, gradient=0.25)
        spread[maxwell] = end[18:30, 18:30].std() / end[18:30, 18:30].mean()
    assert spread[False] > 1.5 * spread[True]
