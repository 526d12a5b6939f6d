"""Distances between languages from URIEL (Littell et al. 2017), as the package lang2vec carries it.

Every distance is angular, (2/pi) arccos(cos), as URIEL+ computes it: 0 for equal vectors, 1 for orthogonal ones.
Syntactic, phonological, inventory and featural vectors are those completed by URIEL's nearest neighbours, so that every
language has one; what a language's vector was completed from is not said by the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import MultilingualError, one_of
from colonnade.multilingual.languages import Language, language

DISTANCES = ("genetic", "geographic", "syntactic", "phonological", "inventory", "featural")
_FILES = {"genetic": "family_features", "geographic": "geocoord_features"}
_PREFIXES = {"syntactic": "S_", "phonological": "P_", "inventory": "INV_", "featural": ""}


@dataclass(frozen=True)
class _Vectors:
    rows: dict[str, int]
    names: tuple[str, ...]
    values: FloatArray


def distance(a: str, b: str, kind: str = "syntactic") -> float:
    """URIEL's distance between two languages, 0 to 1.

    Raises:
        MultilingualError: as `distances`.
    """
    return float(distances([a, b], kind)[0, 1])


def distances(codes: Sequence[str], kind: str = "syntactic") -> FloatArray:
    """Distances between languages as people write them, (N, N), symmetric, 0 on the diagonal.

    Args:
        codes: languages.
        kind: one of `DISTANCES`.

    Raises:
        MultilingualError: a kind or language is unknown, or URIEL has nothing on one.
    """
    one_of("kind", kind, DISTANCES)
    data = _load(kind)
    picked = np.stack([_row(data, language(code), kind) for code in codes]).astype(np.float64)
    unit = picked / np.linalg.norm(picked, axis=1, keepdims=True)
    angles = 2 / math.pi * np.arccos(np.clip(unit @ unit.T, -1, 1))
    np.fill_diagonal(angles, 0)
    same = (picked[:, None] == picked[None]).all(axis=2)  # else arccos makes 1e-8 of rounding errors
    return np.asarray(np.where(same, 0, angles))


def families(code: str) -> tuple[str, ...]:
    """The language's groups in the family tree, from the widest to the narrowest; none for an isolate without data.

    Raises:
        MultilingualError: the language is unknown to URIEL.
    """
    data = _load("genetic")
    found = language(code)
    if found.individual not in data.rows:
        raise _absent(found, "genetic")
    row = data.values[data.rows[found.individual]]
    groups = [(int(data.values[:, i].sum()), data.names[i].removeprefix("F_")) for i in np.flatnonzero(row)]
    return tuple(name for _, name in sorted(groups, key=lambda item: -item[0]))


def nearest(target: str, sources: Sequence[str], kinds: Sequence[str] = DISTANCES) -> list[tuple[str, float]]:
    """Sources by mean distance to the target over `kinds`, nearest first: where to transfer from."""
    total = sum(distances([target, *sources], kind)[0, 1:] for kind in kinds) / len(kinds)
    order = np.argsort(total, kind="stable")
    return [(sources[i], float(np.asarray(total)[i])) for i in order]


def available() -> bool:
    """Whether lang2vec, whose files are read, is installed."""
    try:
        metadata.distribution("lang2vec")
    except metadata.PackageNotFoundError:
        return False
    return True


@cache
def _load(kind: str) -> _Vectors:
    # Found by its distribution: a script of the same name lies beside the `colonnade` command and hides the package.
    try:
        place = metadata.distribution("lang2vec").locate_file("lang2vec/data")
    except metadata.PackageNotFoundError:
        raise MultilingualError("typological distances need lang2vec; pip install 'colonnade[multilingual]'") from None
    with np.load(Path(str(place)) / f"{_FILES.get(kind, 'feature_predictions')}.npz", allow_pickle=False) as stored:
        names, rows = stored["feats"].tolist(), {str(code): i for i, code in enumerate(stored["langs"])}
        values = stored["data"][:, :, 0]
    kept = [i for i, name in enumerate(names) if name.startswith(_PREFIXES.get(kind, ""))]
    return _Vectors(rows, tuple(names[i] for i in kept), values if len(kept) == len(names) else values[:, kept])


def _row(data: _Vectors, wanted: Language, kind: str) -> FloatArray:
    index = data.rows.get(wanted.individual, data.rows.get(wanted.code))
    if index is None or not (data.values[index] > 0).any():
        raise _absent(wanted, kind)
    return np.asarray(np.maximum(data.values[index], 0))


def _absent(wanted: Language, kind: str) -> MultilingualError:
    return MultilingualError(f"URIEL has no {kind} vector for {wanted.name} ({wanted.individual})")
