"""Air showers over an array of water-Cherenkov stations: signal traces, arrival times, and Xmax to be found.

The parametrisation of Erdmann, Glombitza & Walz (Astropart. Phys. 97 (2018) 46, arXiv:1708.00647), written anew from
its equations: Xmax from the generalised Gumbel law of De Domenico et al. (JCAP 07 (2013) 050, EPOS-LHC), muonic and
electromagnetic signals that fall with distance and depth, log-normal arrival times. The published simulation draws
every particle's time. The counts in time bins of Poisson-many particles are independent Poisson numbers, so we draw
those: the same law at a cost that does not grow with energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.errors import PhysicsError, between, one_of

Array = NDArray[np.float64]

SIDE, SPACING, HEIGHT = 9, 1500.0, 1400.0  # stations a side, metres between them, metres above sea level
BINS, BIN_WIDTH = 80, 25.0  # of a trace, ns
LIGHT = 3e8  # m/s, as rounded in the published simulation
NOISE = 1.2  # VEM a bin; half of it is its spread
TRIGGER = 1.2  # times the mean noise of a whole trace
SATURATION = 1e7  # particles in a station
CLEARANCE = 200.0  # metres of a shower's maximum above ground
NUCLEI = (1, 4, 14, 56)
CHUNK = 250  # events at once

# CORSIKA's parametrisation of the US standard atmosphere after Keilhauer: a + b exp(-h/c), layers from `LAYERS` up.
_A = np.array([-149.801663, -57.932486, 0.63631894, 4.35453690e-4, 0.01128292])  # g/cm²
_B = np.array([1183.6071, 1143.0425, 1322.9748, 655.67307, 1.0])  # g/cm²
_C = np.array([9542.4834, 8000.0534, 6295.6893, 7375.2177, 1e7])  # m
LAYERS = np.array([0.0, 7e3, 11.4e3, 37e3, 100e3])  # m

# EPOS-LHC terms in 1, ln A, ln² A (rows: powers of lgE - 19).
_MU = np.array([[775.589, -7.047, -2.427], [57.589, -0.743, 0.214], [-0.820, -0.169, -0.027]])
_SIGMA = np.array([[29.403, 13.553, -3.154], [0.096, -0.961, 0.150]])
_LAMBDA = np.array([[0.563, 0.711, 0.058], [0.039, 0.067, -0.004]])


@dataclass(frozen=True)
class ShowerSettings:
    """Physics of the showers.

    Args:
        lge_min, lge_max: range of log10(E/eV), flat.
        zenith_max: largest zenith angle, degrees.
        masses: mass numbers of the primaries, equally often (1, 4, 14, 56: p, He, N, Fe).
        wavefront: "planar", or "spherical" from where half of Xmax is traversed.
    """

    lge_min: float = 18.5
    lge_max: float = 20.0
    zenith_max: float = 60.0
    masses: tuple[int, ...] = NUCLEI
    wavefront: str = "planar"

    def __post_init__(self) -> None:
        between("lge_min", self.lge_min, 17, 20.5)
        between("lge_max", self.lge_max, 17, 20.5)
        if self.lge_min > self.lge_max:
            raise PhysicsError(f"lge_min must not be above lge_max, but is {self.lge_min:g} against {self.lge_max:g}.")
        between("zenith_max", self.zenith_max, 1, 60, "degrees")
        one_of("wavefront", self.wavefront, ("planar", "spherical"))
        object.__setattr__(self, "masses", tuple(self.masses))
        if not self.masses:
            raise PhysicsError("masses must name at least one mass number, but is empty.")
        for mass in self.masses:
            between("masses", mass, 1, 56)


def air_showers(n: int, rng: np.random.Generator, settings: ShowerSettings | None = None) -> dict[str, Any]:
    """`n` showers as the array sees them.

    Args:
        n: number of events.
        rng: source of all randomness.
        settings: physics.

    Returns:
        `signal` (n, 9, 9, 80) in VEM and `time` (n, 9, 9, 1) in s, -1 where a station did not trigger; `xmax` (n,) in
        g/cm²; `lgE`, `mass` (n,); `axis` (n, 3).
    """
    settings = settings or ShowerSettings()
    parts = [_chunk(min(CHUNK, n - start), rng, settings) for start in range(0, n, CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def stations() -> Array:
    """(81, 3) x, y, z of the stations in metres: a triangular grid, every other row shifted by half a spacing."""
    x, y = np.mgrid[0:SIDE, 0:SIDE].astype(float) - (SIDE - 1) / 2
    x = x + 0.5 * (y % 2)
    flat = np.stack([x * SPACING, y * np.sin(np.pi / 3) * SPACING, np.full_like(x, HEIGHT)], axis=-1)
    return np.asarray(flat.reshape(-1, 3))


def slant_depth(height: Array, cosine: Array | float = 1.0) -> Array:
    """Matter above `height` (m above sea level) along a direction of zenith angle arccos(cosine), g/cm²."""
    layer = np.clip(np.searchsorted(LAYERS, height) - 1, 0, 4)
    exponential = _A[layer] + _B[layer] * np.exp(-height / _C[layer])
    linear = _A[4] - _B[4] * height / _C[4]
    return np.asarray(np.maximum(np.where(layer < 4, exponential, linear), 0) / cosine)


def height_at(depth: Array, cosine: Array | float = 1.0) -> Array:
    """Height above sea level, m, where `depth` g/cm² have been traversed: the inverse of `slant_depth`."""
    vertical = depth * cosine
    edges = slant_depth(LAYERS)
    layer = np.clip(5 - np.searchsorted(edges[::-1], vertical) - 1, 0, 3)
    return np.asarray(-_C[layer] * np.log((vertical - _A[layer]) / _B[layer]))


def random_xmax(lge: Array, mass: Array, rng: np.random.Generator) -> Array:
    """Depth of maximum, g/cm², after De Domenico et al. for EPOS-LHC (their equation 2.2)."""
    energy = lge - 19
    log_mass = np.log(mass)
    basis = np.stack([np.ones_like(log_mass), log_mass, log_mass**2])
    mu = (_MU @ basis * np.stack([np.ones_like(energy), energy, energy**2])).sum(axis=0)
    sigma, shape = (
        (terms @ basis * np.stack([np.ones_like(energy), energy])).sum(axis=0) for terms in (_SIGMA, _LAMBDA)
    )
    return np.asarray(mu - sigma * np.log(rng.gamma(shape, 1 / shape)))


def _chunk(n: int, rng: np.random.Generator, settings: ShowerSettings) -> dict[str, Any]:
    lge = rng.uniform(settings.lge_min, settings.lge_max, n)
    mass = rng.choice(np.array(settings.masses, float), n)
    axis = _axes(n, np.radians(settings.zenith_max), rng)
    xmax = _visible_xmax(lge, mass, axis[:, 2], rng)
    core = _cores(n, rng)
    place = stations()
    maximum = core + axis * ((height_at(xmax, axis[:, 2]) - HEIGHT) / axis[:, 2])[:, None]
    distance, ahead = distances(place, core, axis)
    expected = trace_means(distance, depth_behind(place, maximum), lge, mass)
    signal = rng.poisson(expected).astype(np.float32)
    total = signal.sum(axis=-1)
    spread = np.sqrt((0.05 * signal) ** 2 + np.float32(0.5 * NOISE) ** 2)
    measured = signal + np.float32(NOISE) + spread * rng.standard_normal(signal.shape, np.float32)
    np.maximum(measured, 0, out=measured)
    if settings.wavefront == "planar":
        front = -ahead
    else:
        origin = core + axis * ((height_at(0.5 * xmax, axis[:, 2]) - HEIGHT) / axis[:, 2])[:, None]
        front = np.linalg.norm(place - origin[:, None], axis=-1) - np.linalg.norm(core - origin, axis=-1)[:, None]
    jitter = 60e-9 * 8 / (1 + np.log10(total + 1)) * rng.standard_normal(total.shape)
    time = front / LIGHT + jitter + 100e-9 * (rng.random((n, 1)) - 0.5)
    silent = measured.sum(axis=-1) < BINS * NOISE * TRIGGER
    measured[silent] = -1
    time[silent] = -1
    return {
        "signal": measured.reshape(n, SIDE, SIDE, BINS),
        "time": time.reshape(n, SIDE, SIDE, 1).astype(np.float32),
        "xmax": xmax.astype(np.float32),
        "lgE": lge.astype(np.float32),
        "mass": mass.astype(np.float32),
        "axis": axis.astype(np.float32),
    }


def _axes(n: int, zenith_max: float, rng: np.random.Generator) -> Array:
    """Directions as a flat detector sees an isotropic flux: sin(zenith) cos(zenith)."""
    cosine = np.sqrt(1 - rng.random(n) * np.sin(zenith_max) ** 2)
    azimuth = rng.uniform(-np.pi, np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)


def _cores(n: int, rng: np.random.Generator) -> Array:
    radius, angle = SPACING / 2 * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(n, HEIGHT)], axis=1)


def _visible_xmax(lge: Array, mass: Array, cosine: Array, rng: np.random.Generator) -> Array:
    """Depths of maximum, drawn again where the shower would reach it less than 200 m above ground."""
    deepest = slant_depth(np.full(len(lge), HEIGHT + CLEARANCE), cosine)
    xmax = random_xmax(lge, mass, rng)
    for _ in range(1000):
        deep = np.flatnonzero((xmax > deepest) | (xmax <= 0))
        if not len(deep):
            return xmax
        xmax[deep] = random_xmax(lge[deep], mass[deep], rng)
    raise PhysicsError("These showers hardly ever reach their maximum above ground: lower lge_max or raise zenith_max.")


def distances(place: Array, core: Array, axis: Array) -> tuple[Array, Array]:
    """Of each station from each shower's axis, and ahead of its front through the core, both (n, stations), metres."""
    offset = place[None] - core[:, None]
    ahead = np.einsum("nsk,nk->ns", offset, axis)
    square = (offset**2).sum(axis=-1) - ahead**2
    return np.sqrt(np.maximum(square, 0)), ahead


def depth_behind(place: Array, maximum: Array) -> Array:
    """Matter from the shower's maximum to each station along their line, (n, stations), g/cm²."""
    line = maximum[:, None] - place[None]
    cosine = line[..., 2] / np.linalg.norm(line, axis=-1)
    ground = slant_depth(np.array([HEIGHT]))[0]
    return np.asarray((ground - slant_depth(maximum[:, 2])[:, None]) / cosine)


def trace_means(distance: Array, depth: Array, lge: Array, mass: Array) -> NDArray[np.float32]:
    """Expected particles in each time bin.

    Args:
        distance: (n, stations) from the axis, m.
        depth: (n, stations) behind the maximum, g/cm².
        lge, mass: (n,) of the primary.

    Returns:
        (n, stations, 80) muons and electromagnetic particles together.
    """
    expected = np.zeros((*distance.shape, BINS), np.float32)
    muons, others = signals(distance, depth, lge, mass)
    muon_time, other_time = typical_times(distance, depth)
    edges = np.arange(BINS + 1, dtype=np.float32) * np.float32(BIN_WIDTH)
    for strength, centre, shift in (
        (muons, muon_time, np.zeros_like(muon_time)),
        (others, other_time, other_time - muon_time),
    ):
        heard = strength > 1e-9  # fewer than that are not seen in any number of events that can be made
        late = np.maximum(edges - shift[heard].astype(np.float32)[:, None], np.float32(1e-12))
        share = _normal_cdf((np.log(late) - np.log(centre[heard]).astype(np.float32)[:, None]) / np.float32(0.7))
        expected[heard] += strength[heard].astype(np.float32)[:, None] * np.diff(share, axis=-1)
    return np.maximum(expected, 0)


def signals(distance: Array, depth: Array, lge: Array, mass: Array) -> tuple[Array, Array]:
    """Expected numbers of muons and of electromagnetic particles in each station."""
    muonic = 0.3 * mass**0.15
    scale = (900 * 10 ** (lge - 19) / (muonic + 0.7))[:, None]
    far = np.maximum(distance, 150) / 1000
    behind = np.maximum(depth, 1e-12) / 100
    muons = scale * muonic[:, None] * far**-4.7 * np.minimum(behind**-0.1, 10)
    others = scale * 0.7 * far**-6.1 * np.minimum(behind**-0.4, 10)
    limit = np.minimum(1, SATURATION / (muons + others))
    return muons * limit, others * limit


def typical_times(distance: Array, depth: Array) -> tuple[Array, Array]:
    """Medians of the log-normal arrival times of muons and electromagnetic particles, ns; their width is 0.7."""
    spread = (distance / 750) ** 1.4
    return 50 + 140 * spread * (1 - 0.2 * depth / 1000), 80 + 200 * spread * (1 - 0.1 * depth / 1000)


_REACH, _FINE = 6.0, 512  # the normal distribution is tabulated to 6 sigma, 512 points a sigma


def _normal_table() -> NDArray[np.float32]:
    from math import erf, sqrt

    points = np.linspace(-_REACH, _REACH, int(2 * _REACH * _FINE) + 1)
    return np.array([0.5 * (1 + erf(point / sqrt(2))) for point in points], np.float32)


_TABLE = _normal_table()
_STEP = np.append(np.diff(_TABLE), np.float32(0))


def _normal_cdf(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """The normal distribution function by linear interpolation, right to 2e-7: a fraction of a particle at most."""
    place = np.clip((value + np.float32(_REACH)) * np.float32(_FINE), 0, len(_TABLE) - 1)
    index = place.astype(np.int32)
    return np.asarray(_TABLE[index] + _STEP[index] * (place - index))


def oracle_trace(distance: float, depth: float, lge: float, mass: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """One station's trace by drawing every particle's arrival time: slow, the law that `trace_means` must match."""
    one = np.array([[distance]]), np.array([[depth]])
    numbers = signals(*one, np.array([lge]), np.array([mass]))
    medians = typical_times(*one)
    edges = np.arange(BINS + 1) * BIN_WIDTH
    counts = np.zeros(BINS, np.int64)
    for number, median, shift in zip(numbers, medians, (0.0, medians[1].item() - medians[0].item()), strict=True):
        times = rng.lognormal(np.log(median.item()), 0.7, rng.poisson(number.item())) + shift
        counts += np.histogram(times, edges)[0]
    return counts
