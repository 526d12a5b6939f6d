"""Small whole numbers for PDG identifiers, as embeddings and one-hot features need them.

The table is ordered by how often a particle occurs in generated B events. The public set numbers particles by a table
that was not published with it; only models of one origin can be used together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RARE = 181  # the token of every particle that is not listed
# fmt: off
FREQUENT: tuple[int, ...] = (
    22, 111, -211, 211, 300553, 511, -511, 310, 321, -321, 130, -421, 421, -411, 411, 413, -413, 221, -311, 311,
    431, -431, 213, -213, 113, 223, 313, -313, -323, 323, 433, 20213, -433, -20213, 331, 423, -423, 11, -11,
    333, -10431, 10431, 21, 9000221, 443, 13, -12, -13, -14, 20433, 12, -20433, 14, -415, 2212, 415, -2212,
    -20313, 20313, -2112, 10413, 2112, -10413, 16, -16, 10323, -10323, 10313, 100443, -10313, 20443, 441, 15,
    30443, -15, 10441, 4122, -3122, 3122, -4122, 100441, 20413, -10411, 10411, -10433, 315, -2114, 10433, 2214,
    -20413, -3222, 445, 2114, -315, 3212, 10321, -10311, -3212, 10311, -2214, 3222, 1114, -3214, -2224, 20113,
    -10321, -3112, 4112, -4112, 9000111, 4114, 225, 2224, -4212, -3224, -4132, 3214, 3224, 3112, 4222, 4224,
    -4314, -4114, 4212, -1114, 10221, -4224, -4222, -4232, 9010221, 20323, 325, 4132, -3322, -9000211, 3322,
    9000211, 215, 115, -3114, 4312, 4214, 3312, -4334, -4332, -3324, -3312, -30323, 10113, 100323, 3124, -3334,
    319, 10223, 30313, -3124, 100221, -319, 521, -521, 1, -1, 2, -2, 3, -3, 4, -4, 2101, -2101, 2103, -2103,
    1103,
)
# fmt: on


def tokens(pdg: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tokens from 1 up for PDG identifiers, `RARE` for those without one; 0 stays 0, the padding."""
    listed = np.array(FREQUENT, np.int64)
    order = np.argsort(listed)
    place = np.searchsorted(listed[order], pdg)
    found = order[np.minimum(place, len(listed) - 1)]
    token = np.where(listed[found] == pdg, found + 1, RARE)
    return np.where(pdg == 0, 0, token)


def identifiers(token: NDArray[np.float32] | NDArray[np.int64]) -> NDArray[np.int64]:
    """PDG identifiers of tokens; 0 for padding, and 99, a place for user-defined particles, for rare ones."""
    table = np.full(RARE + 1, 99, np.int64)
    table[0], table[1 : len(FREQUENT) + 1] = 0, FREQUENT
    return table[np.clip(token, 0, RARE).astype(np.int64)]
