"""The operations of `prepare` that are not those of pdb-tools.

``parents`` has no counterpart there. ``selaltloc`` has, but that one takes residues that differ only in their
insertion code for one residue and drops atoms of all but one (version 2.7.0), which antibodies would not survive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colonnade.structure import residues

Lines = list[str]


def read_as_parents(lines: Lines) -> tuple[Lines, Lines]:
    """Modified residues under the names, and with the atoms, of their parents."""
    after: list[str] = []
    changed: dict[str, str] = {}
    for line in lines:
        name = line[17:20].strip()
        parent = residues.parent(name) if line.startswith(("ATOM", "HETATM", "ANISOU")) else None
        if parent is None or parent == name or residues.kind(name) != "amino":
            after.append(line)
            continue
        atom, element = line[12:16].strip(), line[76:78].strip()
        new = atom if atom in residues.heavy_atoms(parent) or atom == "OXT" else None
        new = new or residues.RENAMED_ATOMS.get((parent, atom)) or residues.TERMINAL_OXYGENS.get(atom)
        changed[f"{name} {line[21]}{line[22:27].strip()}"] = parent
        if new is None:
            continue
        record = "ANISOU" if line.startswith("ANISOU") else "ATOM  "
        body = f"{record}{line[6:12]} {new:<3}{line[16]}{parent:>3}{line[20:]}"
        if new != atom and element:
            body = f"{body[:76]}{new[0]:>2}{body[78:]}"
        after.append(body)
    return after, [f"{old} read as {new}" for old, new in changed.items()]


def one_location(lines: Lines, label: str | None = None) -> tuple[Lines, Lines]:
    """One location of each atom: the one with this label where there is one, else that of highest occupancy.

    Of several residue names at one position the one with most occupancy stays. The labels are taken off.
    """
    best: dict[tuple[Any, ...], tuple[float, int]] = {}
    names: dict[tuple[Any, ...], dict[str, float]] = {}
    sites: list[tuple[Any, ...] | None] = []
    model = 0
    for line in lines:
        model += line.startswith("MODEL")
        atom = line.startswith(("ATOM", "HETATM"))
        site = (model, line[21:27]) if atom or line.startswith("ANISOU") else None
        sites.append(site)
        if atom and site is not None:
            weight = 2.0 if line[16] == label else float(line[54:60].strip() or 1.0)
            here = names.setdefault(site, {})
            here[line[17:20]] = here.get(line[17:20], 0.0) + weight
    kept_name = {site: max(count, key=lambda name: count[name]) for site, count in names.items()}
    chosen: dict[tuple[Any, ...], str] = {}
    for k, (line, site) in enumerate(zip(lines, sites, strict=True)):
        if site is None or line.startswith("ANISOU") or line[17:20] != kept_name[site]:
            continue
        key: tuple[Any, ...] = (site, line[12:16])
        weight = 2.0 if line[16] == label else float(line[54:60].strip() or 1.0)
        if key not in best or weight > best[key][0]:
            best[key], chosen[key] = (weight, k), line[16]
    after = []
    for k, (line, site) in enumerate(zip(lines, sites, strict=True)):
        key = (site, line[12:16])
        if site is None or best.get(key, (0.0, -1))[1] == k:
            after.append(line if site is None else f"{line[:16]} {line[17:]}")
        elif line.startswith("ANISOU") and chosen.get(key) == line[16] and line[17:20] == kept_name[site]:
            after.append(f"{line[:16]} {line[17:]}")
    labelled = {site for line, site in zip(lines, sites, strict=True) if site is not None and line[16] != " "}
    return after, [f"{len(labelled)} residues had alternate locations"] if labelled else []


OWN: dict[str, Callable[..., tuple[Lines, Lines]]] = {"parents": read_as_parents, "selaltloc": one_location}
"""Name -> operation: lines and option in, lines and messages out."""
