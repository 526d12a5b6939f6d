"""The two engines of `binding_affinity`: the same atoms in, residue contacts and surface shares out."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.structure import residues
from colonnade.structure.structures import ResidueId, Structure, StructureError

Result = tuple[NDArray[np.int64], tuple[float, float, float], str]
"""(P, 2) residue indices in contact; apolar, polar and charged per cent of the surface; the program's
version.
"""

Groups = tuple[tuple[str, ...], ...]

_LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def fast(used: Structure, groups: Groups, cutoff: float, accessibility: float) -> Result:
    """Own engine: a k-d tree for the contacts, `surface.residues_above` for the surface."""
    # PRODIGY's coordinates are single precision: the same rounding gives the same contacts at the very
    # cutoff.
    xyz = used.xyz.astype(np.float32).astype(np.float64)
    return (
        _residue_pairs(used, xyz, groups, cutoff),
        _surface_shares(used, xyz, accessibility),
        version("colonnade"),
    )


def _residue_pairs(used: Structure, xyz: NDArray[np.float64], groups: Groups, cutoff: float) -> NDArray[np.int64]:
    from scipy.spatial import cKDTree

    index = {chain: g for g, group in enumerate(groups) for chain in group}
    names, code = np.unique(used.chain, return_inverse=True)
    group = np.array([index[str(name)] for name in names])[code]
    rows = [np.flatnonzero(group == g) for g in range(len(groups))]
    trees = [cKDTree(xyz[r]) for r in rows]
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for g in range(len(groups)):
        for h in range(g + 1, len(groups)):
            near = trees[g].sparse_distance_matrix(trees[h], cutoff, output_type="ndarray")
            first, second = used.residue[rows[g][near["i"]]], used.residue[rows[h][near["j"]]]
            pairs.append(np.column_stack([first, second]))
    found: NDArray[np.int64] = np.unique(np.concatenate(pairs), axis=0)
    return found


def _surface_shares(used: Structure, xyz: NDArray[np.float64], accessibility: float) -> tuple[float, float, float]:
    from colonnade.structure.surface import residues_above

    radii = np.array(list(map(residues.radius, used.resname.tolist(), used.atom.tolist())))
    names = used.resname[used.first].tolist()
    threshold = accessibility * np.array([residues.REFERENCE_SURFACE[name] for name in names])
    exposed = residues_above(xyz, radii, used.residue, threshold)
    classes = [residues.SURFACE_CLASS[name] for name, out in zip(names, exposed, strict=True) if out]
    apolar, polar, charged = (100.0 * classes.count(letter) / max(len(classes), 1) for letter in "APC")
    return apolar, polar, charged


def prodigy(used: Structure, groups: Groups, cutoff: float, accessibility: float) -> Result:
    """The authors' program, `prodigy-prot`, on a model built from the cleaned atoms."""
    try:
        from prodigy_prot.modules.prodigy import Prodigy
    except ImportError:
        raise StructureError(
            "engine: 'prodigy' needs the package prodigy-prot, which is not installed; use engine='fast'."
        ) from None
    chains = [chain for group in groups for chain in group]
    if len(chains) > len(_LABELS):
        raise StructureError(f"selection: engine 'prodigy' takes at most {len(_LABELS)} chains; use engine='fast'.")
    # One-letter chains and residues numbered by position: FreeSASA, inside, has room for no more.
    label = dict(zip(chains, _LABELS, strict=False))
    selection = [",".join(label[chain] for chain in group) for group in groups]
    run = Prodigy(_biopython_model(used, label), selection=selection)
    try:
        run.predict(distance_cutoff=cutoff, acc_threshold=accessibility)
    except ValueError as error:
        if "No contacts" not in str(error):
            raise
        return np.zeros((0, 2), dtype=np.int64), (0.0, 0.0, 0.0), version("prodigy-prot")
    pairs = np.array([(a.xtra["index"], b.xtra["index"]) for a, b in run.ic_network], dtype=np.int64)
    shares = (run.nis_a, 100.0 - run.nis_a - run.nis_c, run.nis_c)
    return pairs, shares, version("prodigy-prot")


def _biopython_classes() -> tuple[Any, Any, Any, Any]:
    """Biopython's entities, which have no types."""
    from Bio.PDB.Atom import Atom
    from Bio.PDB.Chain import Chain
    from Bio.PDB.Model import Model
    from Bio.PDB.Residue import Residue

    return Atom, Chain, Model, Residue


def _biopython_model(used: Structure, label: dict[str, str]) -> Any:
    Atom, Chain, Model, Residue = _biopython_classes()
    model = Model(0)
    chains = {}
    for name, letter in label.items():
        chains[name] = Chain(letter)
        model.add(chains[name])
    ends = np.r_[used.first[1:], len(used)]
    count = dict.fromkeys(label, 0)
    for index, (start, end) in enumerate(zip(used.first.tolist(), ends.tolist(), strict=True)):
        chain = str(used.chain[start])
        count[chain] += 1
        residue = Residue((" ", count[chain], " "), str(used.resname[start]), " ")
        residue.xtra["index"] = index
        for i in range(start, end):
            atom, element = str(used.atom[i]), str(used.element[i])
            xyz = used.xyz[i].astype(np.float32)
            # A PDB atom name starts in its second column unless the element has two letters.
            full = f" {atom:<3}" if len(element) == 1 and len(atom) < 4 else f"{atom:<4}"
            residue.add(Atom(atom, xyz, 0.0, 1.0, " ", full, i, element))
        chains[chain].add(residue)
    return model


ENGINES: dict[str, Callable[[Structure, Groups, float, float], Result]] = {"prodigy": prodigy, "fast": fast}


def prodigy_lig(text: str, chains: list[str], ligand: ResidueId, distance: float) -> dict[str, int]:
    """The authors' program for ligands: number of atom pairs by class.

    Raises:
        StructureError: it does not take names like these, or cannot tell several ligands of one name apart.
    """
    import io
    import warnings

    from Bio import PDB
    from prodigy_lig.prodigy_lig import ProdigyLig

    is_mmcif = text.lstrip().lower().startswith("data_")
    parser: Any = getattr(PDB, "FastMMCIFParser" if is_mmcif else "PDBParser")(QUIET=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = parser.get_structure("complex", io.StringIO(text))
        names = [",".join(chains), f"{ligand.chain}:{ligand.name}"]
        try:
            program = ProdigyLig(structure, names, None, distance)
            program.predict()
        except (RuntimeError, RuntimeWarning, KeyError) as refused:
            raise StructureError(
                f"The program prodigy-lig does not take this: {str(refused).rstrip('.')}. It wants chains of one "
                "capital letter, residue names of three and one copy of the ligand; the engine 'fast' takes any."
            ) from None
    counts: dict[str, int] = program.contact_counts
    return counts
