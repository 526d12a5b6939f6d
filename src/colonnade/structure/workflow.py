"""The steps between the portals of an integrative model: which crosslinks to leave out, and affinities of models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.structure.affinity import BindingAffinity, binding_affinity
from colonnade.structure.docking import chain_names
from colonnade.structure.restraints import Restraint
from colonnade.structure.space import interaction_space
from colonnade.structure.space_result import InteractionSpace
from colonnade.structure.structures import Structure, StructureError, join

Track = Callable[[Sequence[int], str], Iterable[int]]

FEWEST = 3
"""Crosslinks below which none can be told from the others."""

LOOSE = 1000.0
"""Volume of the centre's positions from which distances do not fix a pose, Å³."""


@dataclass(frozen=True)
class Screening:
    """What the interaction space says of crosslinks.

    Attributes:
        space: all of it, or None when there were too few crosslinks to compare.
        suspects: indices of those that the others contradict, the worst first.
        kept: indices of the rest, in order.
        volume: of the centre's positions at which as many hold as ever do, Å³; 0 without a space.
    """

    space: InteractionSpace | None
    suspects: tuple[int, ...]
    kept: tuple[int, ...]
    volume: float = 0.0


def screen(
    fixed: Structure,
    scanning: Structure,
    crosslinks: Sequence[Restraint],
    *,
    angle: float = 20.83,
    spacing: float = 2.0,
    threshold: float = 1.0,
    track: Track | None = None,
) -> Screening:
    """Find the crosslinks that the others contradict: those with a z-score of at least `threshold`, at most half.

    The z-score is relative: of crosslinks that are all true, the one that is hardest to satisfy may be suspect too.

    Arguments:
        fixed: the body that stays.
        scanning: the body that is moved.
        crosslinks: fewer than three cannot be compared, and all are kept.
        angle: of the search, degrees.
        spacing: of the search, Å.
        threshold: z-score from which one is left out.
        track: wraps the search loop.
    """
    everything = tuple(range(len(crosslinks)))
    if len(crosslinks) < FEWEST:
        return Screening(None, (), everything)
    space = interaction_space(fixed, scanning, crosslinks, angle=angle, spacing=spacing, track=track)
    suspects = tuple(space.suspects(threshold)[: len(crosslinks) // 2])
    reached = space.space.values == space.consistent if space.total else np.zeros(1, dtype=bool)
    volume = float(reached.sum()) * space.space.spacing**3
    return Screening(space, suspects, tuple(i for i in everything if i not in suspects), volume)


def affinity_of(first: Structure, second: Structure, temperature: float = 25.0) -> BindingAffinity | None:
    """PRODIGY's prediction for two bodies where they stand; None without protein on both sides or without contacts."""
    proteins = first.protein, second.protein
    if not all(len(protein) for protein in proteins):
        return None
    groups = [chain_names(protein) for protein in proteins]
    try:
        return binding_affinity(join(proteins, "model"), groups, temperature=temperature, engine="fast")
    except StructureError:  # no contacts between the partners
        return None
