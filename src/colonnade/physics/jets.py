"""Boosted top-quark jets and their QCD background, from hard process to energy-flow constituents.

The chain of the public top-tagging set (arXiv:1902.09914; arXiv:2107.00656, section 2.1) with a fast detector of our
own in place of Delphes: Pythia 8 at 14 TeV, energy flow, anti-kT jets, a top quark and its three decay quarks inside
the jet for the signal.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.detector import Particles, energy_flow
from colonnade.physics.errors import PhysicsError, between, engine, one_of

CONSTITUENTS = 200
BATCH = 250  # collisions that are reconstructed together
TRIP = 50  # collisions per round trip to Pythia: larger ones spend more on memory than they save
PATIENCE = 3000  # collisions without enough jets before the acceptance is judged
LOWEST_ACCEPTANCE = 2e-3  # jets per collision below which a request is refused


@dataclass(frozen=True)
class JetSettings:
    """Physics of the jets.

    Args:
        pt_min, pt_max: transverse momentum of a jet, GeV.
        eta_max: largest |eta| of a jet axis.
        radius: anti-kT radius.
        energy: centre-of-mass energy, GeV.
        mpi: multiparton interactions (off in the public set).
        detector: "fast" energy flow, or "none": stable particles but neutrinos.
        matching: largest distance of the top quark and its decay quarks from the jet axis.
    """

    pt_min: float = 550.0
    pt_max: float = 650.0
    eta_max: float = 2.0
    radius: float = 0.8
    energy: float = 14_000.0
    mpi: bool = False
    detector: Literal["fast", "none"] = "fast"
    matching: float = 0.8

    def __post_init__(self) -> None:
        between("pt_min", self.pt_min, 200, 2000, "GeV")
        between("pt_max", self.pt_max, 200, 2500, "GeV")
        if self.pt_min >= self.pt_max:
            raise PhysicsError(f"pt_min must be below pt_max, but is {self.pt_min:g} against {self.pt_max:g} GeV.")
        between("radius", self.radius, 0.2, 1.5)
        between("eta_max", self.eta_max, 0.1, 2.5)
        between("energy", self.energy, 5000, 100_000, "GeV")
        between("matching", self.matching, 0.05, 10)
        one_of("detector", self.detector, ("fast", "none"))


@dataclass(frozen=True)
class Jets:
    """Jets of one kind.

    Attributes:
        p4: (n, 200, 4) E, px, py, pz in GeV of the hardest constituents, sorted by pT, zero-padded; float32.
        jet: (n, 4) E, px, py, pz in GeV of the whole jet.
        count: (n,) constituents before truncation.
        collisions: how many collisions were generated.
        failed: how many Pythia gave up on.
    """

    p4: NDArray[np.float32]
    jet: NDArray[np.float32]
    count: NDArray[np.int32]
    collisions: int
    failed: int


def top_tagging(n: int, rng: np.random.Generator, settings: JetSettings | None = None) -> dict[str, Any]:
    """Balanced top and QCD jets in the layout of the public set, in random order.

    Args:
        n: number of jets.
        rng: source of all randomness.
        settings: physics.

    Returns:
        `p4` (n, 200, 4), `jet` (n, 4), `label` (n,) 0 QCD or 1 top, and `report`, the counts of both generators.
    """
    settings = settings or JetSettings()
    counts = {"top": n // 2, "qcd": n - n // 2}
    made = {kind: make_jets(kind, count, rng, settings) for kind, count in counts.items() if count}  # type: ignore[arg-type]
    order = rng.permutation(n)
    labels = np.concatenate([np.full(len(part.p4), int(kind == "top"), np.int8) for kind, part in made.items()])
    return {
        "p4": np.concatenate([part.p4 for part in made.values()])[order],
        "jet": np.concatenate([part.jet for part in made.values()])[order],
        "label": labels[order],
        "report": {kind: {"collisions": part.collisions, "failed": part.failed} for kind, part in made.items()},
    }


def make_jets(
    kind: Literal["top", "qcd"], n: int, rng: np.random.Generator, settings: JetSettings | None = None
) -> Jets:
    """`n` jets of one kind.

    Raises:
        PhysicsError: so few collisions give such a jet that the request would hardly end; says the measured share.
        MissingEngine: Pythia or FastJet is not installed.
    """
    settings = settings or JetSettings()
    found: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]] = []
    accepted = collisions = failed = 0
    for record in _collisions(kind, rng, settings):
        collisions += BATCH
        failed += BATCH - len(record.offsets) + 1
        chosen = _accepted(record, kind, rng, settings)
        found.append(chosen)
        accepted += len(chosen[0])
        if accepted >= n:
            break
        if collisions >= PATIENCE and accepted < LOWEST_ACCEPTANCE * collisions:
            raise PhysicsError(
                f"The cuts let {accepted} of {collisions} {kind} collisions pass (acceptance "
                f"{accepted / collisions:.1e}, at least {LOWEST_ACCEPTANCE:g} is needed): widen pt_min, pt_max, "
                f"eta_max, radius or matching."
            )
    p4, jet, count = (np.concatenate(parts)[:n] for parts in zip(*found, strict=True))
    return Jets(p4, jet, count, collisions, failed)


@dataclass(frozen=True)
class _Record:
    """The event records of a batch, flat; `offsets` (events + 1) says where each begins."""

    p4: NDArray[np.float64]
    pdg: NDArray[np.int64]
    status: NDArray[np.int64]
    mother: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def event(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


_PROCESSES = {
    "qcd": ("HardQCD:all = on",),
    "top": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "24:onMode = off", "24:onIfAny = 1 2 3 4 5"),
}


def pythia_settings(kind: str, seed: int, settings: JetSettings) -> list[str]:
    """The lines that set up Pythia; the parton-level window is wider than the jet's by 10 and 15 %."""
    return [
        "Print:quiet = on",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        f"Beams:eCM = {settings.energy}",
        f"PartonLevel:MPI = {'on' if settings.mpi else 'off'}",
        f"PhaseSpace:pTHatMin = {0.9 * settings.pt_min}",
        f"PhaseSpace:pTHatMax = {1.15 * settings.pt_max}",
        *_PROCESSES[kind],
    ]


def _collisions(kind: str, rng: np.random.Generator, settings: JetSettings) -> Iterator[_Record]:
    pythia = engine("pythia8mc").Pythia("", False)
    for line in pythia_settings(kind, int(rng.integers(1, 900_000_000)), settings):
        pythia.readString(line)
    if not pythia.init():
        raise PhysicsError(f"Pythia refused the settings {asdict(settings)}.")
    while True:
        yield _joined([read_record(pythia.nextBatch(TRIP)) for _ in range(BATCH // TRIP)])


def read_record(events: Any) -> _Record:
    """Flat arrays of a batch of Pythia events."""
    layout = events.layout
    particles = layout.content("prt").to_ListOffsetArray64(True)
    fields, momentum = particles.content, particles.content.content("p")
    column = {name: np.asarray(fields.content(name).data) for name in ("id", "status", "mother1")}
    p4 = np.stack([np.asarray(momentum.content(name).data) for name in ("e", "px", "py", "pz")], axis=1)
    return _Record(
        p4,
        column["id"].astype(np.int64),
        column["status"].astype(np.int64),
        column["mother1"].astype(np.int64),
        np.asarray(particles.offsets.data),
    )


def _joined(records: list[_Record]) -> _Record:
    starts = np.cumsum([0, *(len(record.pdg) for record in records)])
    offsets = [record.offsets[:-1] + start for record, start in zip(records, starts, strict=False)]
    p4, pdg, status, mother = (
        np.concatenate([getattr(record, name) for record in records]) for name in ("p4", "pdg", "status", "mother")
    )
    return _Record(p4, pdg, status, mother, np.concatenate([*offsets, starts[-1:]]))


def _accepted(
    record: _Record, kind: str, rng: np.random.Generator, settings: JetSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    objects = _reconstructed(record, rng, settings)
    found, members = cluster(objects, len(record.offsets) - 1, settings)
    keep = np.ones(len(found.p4), bool) if kind == "qcd" else _contains_top(record, found, settings.matching)
    p4 = np.zeros((int(keep.sum()), CONSTITUENTS, 4), np.float32)
    counts = np.zeros(len(p4), np.int32)
    for place, jet in enumerate(np.flatnonzero(keep)):
        parts = objects.p4[members[jet]]
        hardest = np.argsort(-np.hypot(parts[:, 1], parts[:, 2]), kind="stable")[:CONSTITUENTS]
        p4[place, : len(hardest)] = parts[hardest]
        counts[place] = len(parts)
    return p4, found.p4[keep].astype(np.float32), counts


def _reconstructed(record: _Record, rng: np.random.Generator, settings: JetSettings) -> Particles:
    stable = record.status > 0
    pdg = record.pdg[stable]
    particles = Particles(record.p4[stable], pdg, record.event[stable])
    if settings.detector == "fast":
        return energy_flow(particles, charges(pdg), rng)
    return particles.take(~np.isin(np.abs(pdg), (12, 14, 16)))


def cluster(objects: Particles, events: int, settings: JetSettings) -> tuple[Particles, list[NDArray[np.int64]]]:
    """The at most two hardest anti-kT jets of each event that lie in the window, and their constituents' indices."""
    ak, fastjet = engine("awkward"), engine("fastjet")
    engine("vector").register_awkward()
    columns = dict(zip(("E", "px", "py", "pz"), objects.p4.T, strict=True))
    sizes = np.bincount(objects.event, minlength=events)
    flat = ak.zip(columns, with_name="Momentum4D")
    first = np.concatenate([[0], np.cumsum(sizes)])
    with _silence():
        definition = fastjet.JetDefinition(fastjet.antikt_algorithm, settings.radius)
        sequence = fastjet.ClusterSequence(ak.unflatten(flat, sizes), definition)
        found = sequence.inclusive_jets(0.95 * settings.pt_min)
        inside = sequence.constituent_index(0.95 * settings.pt_min)
    event = np.repeat(np.arange(events), ak.to_numpy(ak.num(found, axis=1)))
    p4 = np.stack([ak.to_numpy(ak.flatten(found[name])) for name in ("E", "px", "py", "pz")], axis=1)
    counts = ak.to_numpy(ak.flatten(ak.num(inside, axis=2)))
    indices = ak.to_numpy(ak.flatten(inside, axis=None)).astype(np.int64) + np.repeat(first[event], counts)
    members = np.split(indices, np.cumsum(counts)[:-1]) if len(counts) else []
    pt = np.hypot(p4[:, 1], p4[:, 2])
    order = np.lexsort((-pt, event))
    rank = np.arange(len(order)) - np.searchsorted(event[order], event[order])
    eta = np.arcsinh(p4[:, 3] / np.maximum(pt, 1e-9))
    window = (pt >= settings.pt_min) & (pt <= settings.pt_max) & (np.abs(eta) < settings.eta_max)
    chosen = np.sort(order[(rank < 2) & window[order]])
    jets_found = Particles(p4[chosen], np.zeros(len(chosen), np.int64), event[chosen])
    return jets_found, [members[index] for index in chosen]


def _contains_top(record: _Record, found: Particles, matching: float) -> NDArray[np.bool_]:
    """Whether a top quark, its b and the two quarks of its W all lie within `matching` of the jet axis."""
    event = record.event
    quark = np.flatnonzero((np.abs(record.status) == 23) & (np.abs(record.pdg) <= 5))
    mother = record.offsets[event[quark]] + record.mother[quark]
    origin = record.pdg[mother]
    decayed = np.isin(np.abs(origin), (6, 24))
    quark, mother, origin = quark[decayed], mother[decayed], origin[decayed]
    from_top = np.abs(origin) == 6
    wanted = np.concatenate([quark, mother[from_top]])
    sign = np.concatenate([np.sign(origin), np.sign(origin[from_top])])
    eta, phi = _direction(record.p4[wanted])
    jet_eta, jet_phi = _direction(found.p4)
    matched = np.zeros(len(found.p4), bool)
    for charge in (-1, 1):
        close = np.zeros(len(found.p4), np.int64)
        mine = sign == charge
        partons = np.stack([event[wanted[mine]], np.arange(mine.sum())], axis=1)
        order = np.argsort(partons[:, 0], kind="stable")
        owner = partons[order, 0]
        begin = np.searchsorted(owner, found.event)
        for step in range(4):
            index = order[np.minimum(begin + step, len(order) - 1)]
            turn = (phi[mine][index] - jet_phi + np.pi) % (2 * np.pi) - np.pi
            near = np.hypot(eta[mine][index] - jet_eta, turn) < matching
            close += near & (partons[index, 0] == found.event)
        matched |= close == 4
    return matched


def _direction(p4: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pt = np.maximum(np.hypot(p4[:, 1], p4[:, 2]), 1e-9)
    return np.arcsinh(p4[:, 3] / pt), np.arctan2(p4[:, 2], p4[:, 1])


def charges(pdg: NDArray[np.int64]) -> NDArray[np.int64]:
    """Electric charge in units of e of the particles of these PDG identifiers, rounded to whole numbers."""
    known, inverse = np.unique(pdg, return_inverse=True)
    table: NDArray[np.int64] = np.array([_charge(int(identifier)) for identifier in known], np.int64)
    return table[inverse]


@cache
def _charge(pdg: int) -> int:
    try:
        return round(engine("particle").Particle.from_pdgid(pdg).charge or 0)
    except ValueError:  # an excited or exotic state that the table lacks
        return 0


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep FastJet's banner, which C++ writes at its first use, out of our standard output."""
    sys.stdout.flush()
    kept, sink = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(sink)
