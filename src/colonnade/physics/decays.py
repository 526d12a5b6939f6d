"""Υ(4S) -> B anti-B at an asymmetric collider, every decay down to stable particles, and a parametric selection.

The public set (Kahn et al.) asks which simulated events will pass a selection before the costly detector simulation
is run. Its label comes from the Belle II software; ours from a stated parametric one (see `passes`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.errors import PhysicsError, between, engine, one_of
from colonnade.physics.tokens import tokens

if TYPE_CHECKING:
    from colonnade.physics.decay_table import DecayTable

Array = NDArray[np.float64]

NODES = 100
UPSILON, UPSILON_MASS = 300553, 10.5794
B_MASS = {"neutral": 5.27972, "charged": 5.27941}
B_PDG = {"neutral": 511, "charged": 521}
CHUNK = 500
LOWEST_ACCEPTANCE = 2e-4
LIGHT_MM = 299.792458  # mm/ns


@dataclass(frozen=True)
class DecaySettings:
    """Physics of the B events.

    Args:
        generator: "table", the exclusive modes of the Belle II decay table by phase space; or "pythia", all of its
            modes with fragmentation, at a fortieth of the speed.
        pair: "neutral" B0 anti-B0, or "charged" B+ B-.
        boost: beta gamma of the Υ(4S) in the laboratory (0.28 at SuperKEKB, 0.425 at KEKB).
        balanced: as many events that pass the selection as fail; otherwise as they come.
        tracking: efficiency of a charged particle within acceptance.
        photons: efficiency of a photon within acceptance.
        charged_max: most charged particles of a B that the selection reconstructs.
    """

    generator: Literal["table", "pythia"] = "table"
    pair: Literal["neutral", "charged"] = "neutral"
    boost: float = 0.28
    balanced: bool = True
    tracking: float = 0.95
    photons: float = 0.98
    charged_max: int = 7

    def __post_init__(self) -> None:
        one_of("generator", self.generator, ("table", "pythia"))
        one_of("pair", self.pair, ("neutral", "charged"))
        between("boost", self.boost, 0, 2)
        between("tracking", self.tracking, 0.01, 1)
        between("photons", self.photons, 0.01, 1)
        between("charged_max", self.charged_max, 1, 20)


@dataclass(frozen=True)
class Trees:
    """Decay trees of many events, mothers before their daughters.

    Attributes:
        values: (n, 100, 8) production time [ns], E [GeV], x, y, z [cm], px, py, pz [GeV].
        pdg: (n, 100) PDG identifiers, 0 for padding.
        mother: (n, 100) index of the mother, -1 for the root and for padding.
        whole: particles left undecayed because the tree was full.
    """

    values: Array
    pdg: NDArray[np.int64]
    mother: NDArray[np.int64]
    whole: int = 0

    def take(self, chosen: NDArray[Any]) -> Trees:
        return Trees(self.values[chosen], self.pdg[chosen], self.mother[chosen], self.whole)


def belle_events(n: int, rng: np.random.Generator, settings: DecaySettings | None = None) -> dict[str, Any]:
    """`n` events in the layout of the public set.

    Returns:
        `particles` (n, 100, 9): the values of `Trees` and the token of the PDG identifier; `mother` (n, 100);
        `label` (n,) 1 when the event passes the selection; `report`: events made and passed,
        and particles left undecayed because their daughters did not fit.

    Raises:
        PhysicsError: hardly any event passes (or fails) the selection; says the measured share.
        MissingEngine: Pythia or the decay table is not installed.
    """
    settings = settings or DecaySettings()
    make = _source(settings, rng)
    wanted = {1: n // 2, 0: n - n // 2} if settings.balanced else {}
    found: dict[int, list[Trees]] = {0: [], 1: []}
    made = passed = whole = 0
    while _missing(found, wanted, n):
        trees = make(CHUNK)
        label = passes(trees, rng, settings)
        made, passed, whole = made + CHUNK, passed + int(label.sum()), whole + trees.whole
        for value in (0, 1):
            found[value].append(trees.take(label == value))
        if made >= 20_000 and settings.balanced and min(passed, made - passed) < LOWEST_ACCEPTANCE * made:
            raise PhysicsError(
                f"The selection lets {passed} of {made} events pass, too few on one side for a balanced set: change "
                "tracking, photons or charged_max, or set balanced to false."
            )
    return _layout(found, wanted, n, rng) | {"report": {"events": made, "passed": passed, "truncated": whole}}


def _missing(found: dict[int, list[Trees]], wanted: dict[int, int], n: int) -> bool:
    counts = {value: sum(len(trees.pdg) for trees in parts) for value, parts in found.items()}
    if wanted:
        return any(counts[value] < number for value, number in wanted.items())
    return sum(counts.values()) < n


def _layout(found: dict[int, list[Trees]], wanted: dict[int, int], n: int, rng: np.random.Generator) -> dict[str, Any]:
    parts, labels = [], []
    for value in (0, 1):
        values = np.concatenate([t.values for t in found[value]])[: wanted.get(value)]
        pdg = np.concatenate([t.pdg for t in found[value]])[: wanted.get(value)]
        mother = np.concatenate([t.mother for t in found[value]])[: wanted.get(value)]
        parts.append((values, pdg, mother))
        labels.append(np.full(len(pdg), value, np.int8))
    values, pdg, mother = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    label = np.concatenate(labels)
    order = rng.permutation(len(label))[:n]
    particles = np.concatenate([values, tokens(pdg)[..., None]], axis=-1)
    return {"particles": particles[order], "mother": mother[order].astype(np.int16), "label": label[order]}


def _source(settings: DecaySettings, rng: np.random.Generator) -> Callable[[int], Trees]:
    if settings.generator == "table":
        return lambda count: table_trees(count, rng, settings)
    return PythiaDecays(int(rng.integers(1, 900_000_000)), rng, settings)


def initial_pair(n: int, rng: np.random.Generator, settings: DecaySettings) -> Array:
    """(n, 3, 4) E, px, py, pz of the Υ(4S) and its two B mesons in the laboratory; sin² about the beam axis."""
    b_mass = B_MASS[settings.pair]
    p = np.sqrt(UPSILON_MASS**2 / 4 - b_mass**2)
    cosine = _sine_squared(n, rng)
    sine, angle = np.sqrt(1 - cosine**2), rng.uniform(0, 2 * np.pi, n)
    momentum = p * np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine], axis=1)
    gamma = np.sqrt(1 + settings.boost**2)
    p4 = np.zeros((n, 3, 4))
    p4[:, 0, 0], p4[:, 1:, 0] = UPSILON_MASS, UPSILON_MASS / 2
    p4[:, 1, 1:], p4[:, 2, 1:] = momentum, -momentum
    energy, along = p4[..., 0].copy(), p4[..., 3].copy()
    p4[..., 0], p4[..., 3] = gamma * energy + settings.boost * along, gamma * along + settings.boost * energy
    return p4


def _sine_squared(n: int, rng: np.random.Generator) -> Array:
    """Cosines with the density 3/4 (1 - cos²), from the inverse of its cubic distribution function."""
    return np.asarray(2 * np.cos((np.arccos(1 - 2 * rng.random(n)) + 4 * np.pi) / 3))


def table_trees(
    n: int, rng: np.random.Generator, settings: DecaySettings | None = None, table: DecayTable | None = None
) -> Trees:
    """Events by phase space along a decay table (default: that of Belle II).

    Raises:
        PhysicsError: the table does not know the B mesons.
    """
    from colonnade.physics.decay_table import belle2_table
    from colonnade.physics.phase_space import grow

    settings = settings or DecaySettings(generator="table")
    table = table or belle2_table()
    b = B_PDG[settings.pair]
    # The pair has children already, so what stands for the root in the table is never used.
    kinds = np.array([table.index(b), table.index(b), table.index(-b)])
    p4 = initial_pair(n, rng, settings)
    values, pdg, mother, whole = grow(table, kinds, p4, np.array([-1, 0, 0]), rng, NODES)
    pdg[:, 0] = UPSILON
    return Trees(values, pdg, mother, whole)


class PythiaDecays:
    """Pythia 8 as a machine that lets B mesons decay: call it with the number of events wanted."""

    def __init__(self, seed: int, rng: np.random.Generator, settings: DecaySettings) -> None:
        self._rng, self._settings = rng, settings
        self._pythia = engine("pythia8mc").Pythia("", False)
        lines = ("Print:quiet = on", "Random:setSeed = on", f"Random:seed = {seed}", "ProcessLevel:all = off")
        for line in (*lines, "ParticleDecays:mixB = off"):
            self._pythia.readString(line)
        self._pythia.init()

    def __call__(self, n: int) -> Trees:
        start = initial_pair(n, self._rng, self._settings)
        values, pdg = np.zeros((n, NODES, 8)), np.zeros((n, NODES), np.int64)
        mother = np.full((n, NODES), -1)
        values[:, 0, 1], values[:, 0, 5:] = start[:, 0, 0], start[:, 0, 1:]
        pdg[:, 0] = UPSILON
        whole = 0
        for event in range(n):
            rows = self._decay(start[event, 1:])
            kept = rows[: NODES - 1]
            whole += len(rows) > len(kept)
            table = np.array(kept)
            pdg[event, 1 : len(kept) + 1] = table[:, 0]
            mother[event, 1 : len(kept) + 1] = table[:, 1]
            values[event, 1 : len(kept) + 1] = table[:, 2:]
        return Trees(values, pdg, mother, whole)

    def _decay(self, pair: Array) -> list[tuple[float, ...]]:
        """PDG, mother index, time [ns], E, x, y, z [cm], px, py, pz of all particles of one event but the root."""
        pythia, b = self._pythia, B_PDG[self._settings.pair]
        while True:
            record = pythia.event
            record.reset()
            for sign, (energy, px, py, pz) in zip((1, -1), pair, strict=True):
                index = record.append(sign * b, 1, 0, 0, px, py, pz, energy, B_MASS[self._settings.pair])
                record[index].tau(record[index].tau0() * self._rng.standard_exponential())
            if pythia.next():
                return _hadrons([_row(particle) for particle in list(record)[1:]])


def _hadrons(rows: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """The event without its quarks, gluons and diquarks: what a string made becomes a daughter of the hadron before it.

    Only so is four-momentum conserved at every node: a string's hadrons have no single parton as mother.
    """
    place = {0: 0}  # where each particle of the record, counted from 1, or its nearest hadron above went
    kept: list[tuple[float, ...]] = []
    for index, row in enumerate(rows, start=1):
        above = place[int(row[1])]
        if _parton(abs(int(row[0]))):
            place[index] = above
            continue
        kept.append((row[0], above, *row[2:]))
        place[index] = len(kept)
    return kept


def _parton(pdg: int) -> bool:
    return pdg < 10 or pdg == 21 or (1000 < pdg < 10_000 and pdg // 10 % 10 == 0)


def _row(particle: Any) -> tuple[float, ...]:
    mother = particle.mother1()
    return (
        particle.id(),
        mother,  # Pythia counts its system line as 0, which is where our root stands
        particle.tProd() / LIGHT_MM,
        particle.e(),
        particle.xProd() / 10,
        particle.yProd() / 10,
        particle.zProd() / 10,
        particle.px(),
        particle.py(),
        particle.pz(),
    )


CHARGED = (11, 13, 211, 321, 2212)


def passes(trees: Trees, rng: np.random.Generator, settings: DecaySettings) -> NDArray[np.bool_]:
    """Whether at least one B meson of each event is fully reconstructed, as a hadronic tag would be.

    A B counts when all its stable descendants are seen: charged particles (e, mu, pi, K, p) with pT > 0.1 GeV at polar
    angles from 17 to 150 degrees, photons above 50 MeV there, each with its efficiency; no neutrino, K0L or neutron;
    at most `charged_max` charged particles, whose charges add up to the B's.
    """
    pdg, mother = np.abs(trees.pdg), trees.mother
    n, nodes = pdg.shape
    has_child = np.zeros((n, nodes + 1), bool)
    np.put_along_axis(has_child, np.where(mother >= 0, mother, nodes), True, axis=1)
    stable = (pdg > 0) & ~has_child[:, :nodes]
    seen = _seen(trees, rng, settings)
    side = _side(mother)
    charged = np.isin(pdg, CHARGED)
    complete = np.zeros(n, bool)
    for b in (1, 2):
        mine = stable & (side == b)
        complete |= (
            (mine.any(axis=1)) & ~(mine & ~seen).any(axis=1) & ((mine & charged).sum(axis=1) <= settings.charged_max)
        )
    return complete


def _seen(trees: Trees, rng: np.random.Generator, settings: DecaySettings) -> NDArray[np.bool_]:
    pdg = np.abs(trees.pdg)
    momentum = trees.values[..., 5:]
    transverse = np.hypot(momentum[..., 0], momentum[..., 1])
    angle = np.degrees(np.arctan2(transverse, momentum[..., 2]))
    inside = (angle > 17) & (angle < 150)
    luck = rng.random(pdg.shape)
    track = np.isin(pdg, CHARGED) & (transverse > 0.1) & (luck < settings.tracking)
    photon = (pdg == 22) & (trees.values[..., 1] > 0.05) & (luck < settings.photons)
    return np.asarray(inside & (track | photon))


def _side(mother: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the two B mesons (index 1 or 2) each particle descends from; 0 for the root and padding."""
    side = np.zeros(mother.shape, np.int64)
    side[:, 1], side[:, 2] = 1, 2
    for index in range(3, mother.shape[1]):
        above = mother[:, index]
        side[:, index] = np.where(above >= 0, np.take_along_axis(side, np.maximum(above, 0)[:, None], 1)[:, 0], 0)
    return side


def check_tree(mother: NDArray[Any], present: NDArray[np.bool_] | None = None) -> None:
    """Refuse mother indices that are no trees: cycles, mothers after their children, indices out of range, two roots.

    Args:
        mother: (n, nodes) index of the mother, -1 for the root and for padding.
        present: (n, nodes) which nodes are particles (default: those with a mother, and node 0).

    Raises:
        PhysicsError: names the event and the particle.
    """
    index = np.arange(mother.shape[1])
    if present is None:
        present = (mother >= 0) | (index == 0)
    wrong = (mother >= mother.shape[1]) | (mother < -1)
    _refuse(wrong, mother, "mother must be from -1 to {last}, but is {value} for particle {node} of event {event}.")
    own = mother == index
    _refuse(own, mother, "mother must be another particle, but particle {node} of event {event} is its own (a cycle).")
    late = mother > index
    _refuse(
        late,
        mother,
        "mother must come before its child, but particle {node} of event {event} has the mother {value}: sort the "
        "particles by generation; if that cannot be done the tree has a cycle.",
    )
    roots = (present & (mother < 0)).sum(axis=1)
    if (roots != 1).any():
        event = int(np.argmax(roots != 1))
        raise PhysicsError(f"mother must give exactly one root (-1), but event {event} has {roots[event]}.")


def check_mothers(mother: NDArray[Any]) -> None:
    """Refuse mother indices of which no order of the particles makes a tree: out of range, or going round in a cycle.

    Args:
        mother: (n, nodes) index of the mother, -1 for the root and for padding.

    Raises:
        PhysicsError: names the event and the particle.
    """
    nodes = mother.shape[1]
    wrong = (mother >= nodes) | (mother < -1)
    _refuse(wrong, mother, "mother must be from -1 to {last}, but is {value} for particle {node} of event {event}.")
    above = np.where(mother >= 0, mother, nodes).astype(np.int64)
    above = np.concatenate([above, np.full((len(mother), 1), nodes)], axis=1)
    for _ in range(nodes.bit_length()):  # mothers of mothers: 2, 4, 8 ... generations up there is none left
        above = np.take_along_axis(above, above, axis=1)
    round_ = above[:, :nodes] < nodes
    _refuse(round_, mother, "mother must lead to a root, but from particle {node} of event {event} it goes in a cycle.")


def _refuse(wrong: NDArray[np.bool_], mother: NDArray[Any], sentence: str) -> None:
    if wrong.any():
        event, node = np.argwhere(wrong)[0]
        told = {"event": event, "node": node, "value": mother[event, node], "last": mother.shape[1] - 1}
        raise PhysicsError(sentence.format(**told))


def count_decays(trees: Trees, pdg: int, table: DecayTable | None = None) -> list[tuple[tuple[int, ...], float, float]]:
    """Decays of the first B (index 1) by a decay table: (daughters, fraction in the table, fraction found)."""
    from colonnade.physics.decay_table import belle2_table

    found: dict[tuple[int, ...], int] = {}
    event, node = np.nonzero(trees.mother == 1)
    first = np.searchsorted(event, np.arange(len(trees.pdg)))
    for begin, end in zip(first, [*first[1:], len(event)], strict=True):
        key = tuple(sorted(int(p) for p in trees.pdg[event[begin:end], node[begin:end]]))
        found[key] = found.get(key, 0) + 1
    expected: dict[tuple[int, ...], float] = {}
    for fraction, daughters in (table or belle2_table()).modes(pdg):
        key = tuple(sorted(daughters))
        expected[key] = expected.get(key, 0.0) + fraction
    rows = [(key, fraction, found.get(key, 0) / len(trees.pdg)) for key, fraction in expected.items()]
    return sorted(rows, key=lambda row: -row[1])
