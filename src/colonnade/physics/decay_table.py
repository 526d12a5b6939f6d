"""Decay tables: who decays into what, how often, with the masses and lifetimes that decays need.

The Belle II table (DECAY_BELLE2.DEC, carried by the package `decaylanguage`) or a file of your own in EvtGen's format.
Only exclusive modes can be used: modes that hand quarks to a fragmentation program (half of all B decays) are left
out and the others scaled up; `DecayTable.exclusive` says what share of each mother's decays remained.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.errors import PhysicsError, engine

MOST_DAUGHTERS = 9
LIGHT = 29.9792458  # cm/ns
STABLE = (11, 13, 22, 211, 321, 2212, 2112, 130, 12, 14, 16)  # decays of these are the detector's business
_FORMAT = 6  # of the cached table


@dataclass(frozen=True)
class DecayTable:
    """Particles, numbered from 0, and their decay modes, ordered by mother.

    Attributes:
        pdg: (particles,) PDG identifiers.
        mass: (particles,) GeV.
        lifetime: (particles,) mean proper lifetime, ns; 0 when it is too short to see.
        first: (particles + 1,) the modes of particle i are first[i] to first[i + 1].
        cumulative: (modes,) running sum of the branching fractions of one mother, ending in 1.
        daughters: (modes, 9) particle numbers, -1 for none.
        ceiling: (modes,) largest phase-space weight.
        exclusive: (particles,) summed branching fractions of the modes that could be used.
        unknown: names in the file that no particle table knows.
    """

    pdg: NDArray[np.int64]
    mass: NDArray[np.float64]
    lifetime: NDArray[np.float64]
    first: NDArray[np.int64]
    cumulative: NDArray[np.float64]
    daughters: NDArray[np.int64]
    ceiling: NDArray[np.float64]
    exclusive: NDArray[np.float64]
    unknown: tuple[str, ...] = ()

    def index(self, pdg: int) -> int:
        """The number of the particle with this PDG identifier.

        Raises:
            PhysicsError: the table does not have it.
        """
        found = np.flatnonzero(self.pdg == pdg)
        if not len(found):
            raise PhysicsError(f"The decay table knows no particle with the PDG identifier {pdg}.")
        return int(found[0])

    def modes(self, pdg: int) -> list[tuple[float, tuple[int, ...]]]:
        """(branching fraction, PDG identifiers of the daughters) of one mother, the fractions scaled to a sum of 1."""
        number = self.index(pdg)
        low, high = self.first[number], self.first[number + 1]
        fractions = np.diff(self.cumulative[low:high], prepend=0.0)
        return [
            (float(fraction), tuple(int(self.pdg[d]) for d in self.daughters[mode] if d >= 0))
            for fraction, mode in zip(fractions, range(low, high), strict=True)
        ]


@cache
def belle2_table() -> DecayTable:
    """The Belle II decay table; read in some seconds once, from the cache folder afterwards."""
    from colonnade.physics.catalog import default_folder

    decaylanguage = engine("decaylanguage")
    source = Path(decaylanguage.__file__).parent / "data" / "DECAY_BELLE2.DEC"
    signature = hashlib.sha256(source.read_bytes() + str(_FORMAT).encode()).hexdigest()[:16]
    kept = default_folder() / f"decay-table-{signature}.npz"
    if kept.exists():
        return _load(kept)
    table = read_decay_table(source)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".part.npz")
        names = json.dumps(table.unknown)
        stored: dict[str, Any] = {name: getattr(table, name) for name in _ARRAYS} | {"unknown": names}
        np.savez(draft, **stored)
        draft.replace(kept)
    except OSError:  # a folder that cannot be written to only costs the time of the next reading
        pass
    return table


_ARRAYS = ("pdg", "mass", "lifetime", "first", "cumulative", "daughters", "ceiling", "exclusive")


def _load(file: Path) -> DecayTable:
    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in _ARRAYS}
        return DecayTable(**arrays, unknown=tuple(json.loads(str(stored["unknown"]))))


def read_decay_table(file: Path | str) -> DecayTable:
    """Read a decay file in EvtGen's format (.DEC).

    Raises:
        PhysicsError: it is no decay file, or no decay in it can be used.
    """
    decaylanguage = engine("decaylanguage")
    parser = decaylanguage.DecFileParser(str(file))
    try:
        parser.parse()
        mothers = list(parser.list_decay_mother_names())
    except Exception as error:  # the parser's own errors have no common base
        raise PhysicsError(f"{Path(file).name} is no decay file in EvtGen's format: {_first_line(error)}.") from None
    aliases = parser.dict_aliases()
    decays: dict[str, list[_Mode]] = {}
    for name in mothers:  # a particle's own modes win over those of an alias of it
        for fraction, names in _modes(parser, name):
            real = tuple(aliases.get(daughter, daughter) for daughter in names)
            decays.setdefault(name, []).append((fraction, real))
    return _build(decays)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _modes(parser: Any, mother: str) -> Iterable[_Mode]:
    dec = engine("decaylanguage.dec.dec")
    for mode in parser._find_decay_modes(mother):
        yield float(dec.get_branching_fraction(mode)), tuple(dec.get_final_state_particle_names(mode))


_Mode = tuple[float, tuple[str, ...]]

# Excited D mesons that the particle table lacks: PDG identifier and mass in MeV (D1(2430): Particle Data Group 2022;
# radial excitations: the values of EvtGen's particle file).
_MORE = {
    "D'_1+": (20413, 2412.0),
    "D'_10": (20423, 2412.0),
    "D(2S)+": (100411, 2580.0),
    "D(2S)0": (100421, 2580.0),
    "D*(2S)+": (100413, 2640.0),
    "D*(2S)0": (100423, 2640.0),
}


@dataclass(frozen=True)
class _Known:
    pdg: int
    mass: float  # GeV
    lifetime: float  # ns


@cache
def _particle(name: str) -> _Known | None:
    """What is known of a particle by its name in EvtGen; None for quarks and for names that nobody knows."""
    particle = engine("particle")
    plain = name.removeprefix("anti-")
    mirrored = plain[:-1] + "+" if plain.endswith("-") else plain
    if mirrored in _MORE:
        pdg, mass = _MORE[mirrored]
        return _Known(pdg if plain == name and plain == mirrored else -pdg, mass / 1000, 0.0)
    try:
        found = particle.Particle.from_evtgen_name(name)
    except Exception:  # several kinds, by what the name resembles
        return None
    identifier = abs(int(found.pdgid))
    mass = 0.0 if identifier in (12, 14, 16) else found.mass
    if mass is None or identifier <= 10 or found.pdgid.is_diquark:
        return None
    age = found.lifetime if found.lifetime is not None and np.isfinite(found.lifetime) else 0.0
    return _Known(int(found.pdgid), mass / 1000, age if age > 1e-7 else 0.0)


def _build(decays: dict[str, list[_Mode]]) -> DecayTable:
    named = {name for mother, modes in decays.items() for _, daughters in modes for name in (mother, *daughters)}
    known = {name: found for name in sorted(named) if (found := _particle(name)) is not None}
    names, unknown = list(known), sorted(named - set(known))
    number = {name: index for index, name in enumerate(names)}
    mass = np.array([found.mass for found in known.values()])
    first, cumulative, daughters = [0], [], []
    exclusive = np.zeros(len(names))
    for index, name in enumerate(names):
        stable = abs(known[name].pdg) in STABLE
        chosen = [] if stable else list(_open(decays.get(name, []), mass[index], mass, number))
        total = sum(fraction for fraction, _ in chosen)
        exclusive[index] = total
        running = np.cumsum([fraction / total for fraction, _ in chosen]) if chosen else np.zeros(0)
        if len(running):
            running[-1] = 1.0
        cumulative.append(running)
        daughters += [list(d) + [-1] * (MOST_DAUGHTERS - len(d)) for _, d in chosen]
        first.append(len(daughters))
    if not daughters:
        raise PhysicsError("The decay file holds no decay whose particles are known and whose energy suffices.")
    modes = np.array(daughters)
    return DecayTable(
        pdg=np.array([found.pdg for found in known.values()]),
        mass=mass,
        lifetime=np.array([found.lifetime for found in known.values()]),
        first=np.array(first),
        cumulative=np.concatenate(cumulative),
        daughters=modes,
        ceiling=_ceiling(mass, np.array(first), modes),
        exclusive=exclusive,
        unknown=tuple(unknown),
    )


def _ceiling(mass: NDArray[np.float64], first: NDArray[np.int64], daughters: NDArray[np.int64]) -> NDArray[np.float64]:
    from colonnade.physics.phase_space import largest_weights

    mother = np.repeat(mass, np.diff(first))
    masses = np.where(daughters >= 0, mass[daughters], 0.0)
    return largest_weights(mother, masses, (daughters >= 0).sum(axis=1))


def _open(
    modes: list[_Mode], mother: float, mass: NDArray[np.float64], number: dict[str, int]
) -> Iterable[tuple[float, tuple[int, ...]]]:
    """Modes of known particles that a mother at her pole mass has the energy for."""
    for fraction, names in modes:
        if fraction <= 0 or not 1 <= len(names) <= MOST_DAUGHTERS or any(name not in number for name in names):
            continue
        numbers = tuple(number[name] for name in names)
        total = float(mass[list(numbers)].sum())
        if total < mother or (len(numbers) == 1 and abs(total - mother) < 1e-4):
            yield fraction, numbers
