"""What the portal `structure.interaction_space` shows: tables, figures, the 3D view, files to go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Outputs, Selection, Structure3D, Table
from colonnade.structure.services.common import PARTNER_COLORS, view

if TYPE_CHECKING:
    from colonnade.structure.space_result import InteractionSpace
    from colonnade.structure.structures import Structure

VIOLATED_COLOR, HELD_COLOR, SPACE_COLOR = "#D55E00", "#009E73", "#E69F00"


class InteractionSpaceOutputs(Outputs):
    """What the restraints allow, and which of them contradict the others."""

    consistent: Estimate
    complexes: Estimate
    positions: Estimate
    notes: list[str] = Param(title="What to know")
    restraints: Table
    scores: Figure
    counts: Figure
    violations: Figure
    subsets: Figure
    complex: Structure3D
    counts_table: Table
    violation_table: Table
    interactions: Figure | None = None
    interaction_matrix: Figure | None = None
    interaction_table: Table | None = None
    space: Artifact
    kept: Artifact
    files: list[Artifact] = Param(title="Files to go on with")


def outputs(
    prior: float, job: Job, found: InteractionSpace, fixed: Structure, scanning: Structure
) -> InteractionSpaceOutputs:
    """All that the portal shows of a search, with this prior probability of a restraint to be false."""
    from colonnade.structure.plots.space import (
        complexes_by_restraints,
        interaction_matrix,
        residue_interactions,
        restraint_scores,
        subsets,
        violation_map,
    )

    level = found.consistent
    contacts = found.contacts if found.contacts is not None and level >= found.contacts.least and level else None
    volume = float((found.space.values == level).sum()) * found.space.spacing**3 if found.total else 0.0
    found.space.to_mrc(job.files / "accessible_interaction_space.mrc")
    return InteractionSpaceOutputs(
        consistent=Estimate(value=level, title=f"Restraints that hold at once, of {found.n}"),
        complexes=Estimate(
            value=float(found.at_least[level]),
            title=f"Complexes that satisfy {level} restraints",
            caption=f"Of {found.total:.6g} in all; a rotation counts with its weight in the set.",
        ),
        positions=Estimate(
            value=volume,
            unit="Å³",
            title="Where the scanning structure's centre may be",
            caption="Volume of the positions with a complex that satisfies that many restraints.",
        ),
        notes=_notes(prior, found, fixed, scanning, volume),
        restraints=_restraint_table(found, prior),
        scores=Figure.of(restraint_scores(found, prior), title="Which restraints are suspect"),
        counts=Figure.of(complexes_by_restraints(found), title="Complexes by number of restraints"),
        violations=Figure.of(violation_map(found), title="Violations"),
        subsets=Figure.of(subsets(found), title="Subsets of the restraints"),
        complex=_complex(job, found, fixed, scanning),
        counts_table=Table.of(
            {
                "restraints": list(range(found.n + 1)),
                "exactly": found.complexes,
                "at least": found.at_least,
                "share": found.at_least / found.total if found.total else found.at_least,
            },
            title="Complexes by number of restraints satisfied",
        ),
        violation_table=Table.of(
            {"restraints": list(range(1, found.n + 1))}
            | {str(i): found.violations[:, i - 1].round(4) for i in range(1, found.n + 1)},
            title="Share of the complexes with at least so many restraints that violate each",
            caption="The columns are the restraints by their number.",
        ),
        interactions=contacts and Figure.of(residue_interactions(contacts, level), title="Interactions by residue"),
        interaction_matrix=contacts and Figure.of(interaction_matrix(contacts, level), title="Interaction matrix"),
        interaction_table=contacts and _interaction_table(found, level),
        space=job.artifact(
            "accessible_interaction_space.mrc",
            title="Accessible interaction space",
            media_type="application/octet-stream",
        ),
        kept=_kept(job, found),
        files=_files(job, found),
    )


def _notes(prior: float, found: InteractionSpace, fixed: Structure, scanning: Structure, volume: float) -> list[str]:
    from colonnade.structure.space import advice

    notes = []
    if found.total == 0:
        notes.append("No pose touches without clashing: check the structures and the clash and interaction volumes.")
    elif found.consistent < found.n:
        best, count = found.best_subset()
        left = [str(r) for i, r in enumerate(found.restraints) if i not in best]
        notes.append(
            f"No complex satisfies all {found.n} restraints. At most {found.consistent} hold at once, in {count:.4g} "
            f"complexes without {'; '.join(left)}."
        )
    else:
        notes.append(f"All {found.n} restraints hold at once in {found.at_least[-1]:.4g} complexes.")
    false, without = found.false_positive_probability(prior), found.leave_one_out()
    for i in found.suspects():
        notes.append(
            f"{found.restraints[i]} is suspect: z = {found.z_scores[i]:.2f}, false with probability {false[i]:.2f}. "
            f"The others hold together in {without[i]:.4g} complexes."
        )
    if found.consistent and volume > 1000:
        notes.append(
            f"The centre of the scanning structure may be anywhere within {volume:.0f} Å³: these restraints alone do "
            "not fix the pose. For docking add what is known of the interface."
        )
    notes += advice(found.restraints)
    return notes + [f"{s.name}: {issue}" for s in (fixed, scanning) for issue in s.issues]


def _restraint_table(found: InteractionSpace, prior: float) -> Table:
    rows, false = found.summary(), found.false_positive_probability(prior)
    suspects = set(found.suspects())
    return Table.of(
        {
            "number": list(range(1, found.n + 1)),
            "restraint": [row["restraint"] for row in rows],
            "from": [r.lower for r in found.restraints],
            "to": [r.upper for r in found.restraints],
            "z": [round(row["z"], 3) for row in rows],
            "suspect": [i in suspects for i in range(found.n)],
            "false with probability": [round(float(p), 4) for p in false],
            "mean violation": [round(row["mean_violation"], 4) for row in rows],
            "satisfied by chance": [round(row["alone"], 4) for row in rows],
            "complexes of the others": [row["without"] for row in rows],
        },
        units={"from": "Å", "to": "Å"},
        title="Restraints",
        caption="A restraint is suspect from z = 1. The last column counts the complexes that satisfy all others.",
    )


def _interaction_table(found: InteractionSpace, level: int) -> Table:
    assert found.contacts is not None
    sides = {
        "fixed": (found.contacts.fixed, found.contacts.of_fixed(level)),
        "scanning": (found.contacts.scanning, found.contacts.of_scanning(level)),
    }
    rows = [
        (body, str(residue), round(float(mean), 4))
        for body, (residues, means) in sides.items()
        for residue, mean in zip(residues, means, strict=True)
        if mean >= 0.05
    ]
    rows.sort(key=lambda row: (row[0], -row[2]))
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return Table.of(
        dict(zip(("body", "residue", "mean contacts"), map(list, columns), strict=True)),
        title=f"Residues that touch where at least {level} restraints hold",
        caption="Candidates for active residues in docking.",
    )


def _complex(job: Job, found: InteractionSpace, fixed: Structure, scanning: Structure) -> Structure3D:
    """The fixed structure, the scanning one in the best complex, and where its centre may be."""
    from colonnade.structure.structures import join

    placed = scanning if found.best is None else found.best.of(scanning)
    both = join([fixed, placed], "complex")
    whole = join([both, found.space.as_atoms(found.consistent)], "complex") if found.total else both
    chains = list(dict.fromkeys(whole.chain.tolist()))
    split = len(set(fixed.chain.tolist()))
    inside = chains[: len(set(both.chain.tolist()))]
    selections = [
        Selection(chain=c, color=PARTNER_COLORS[int(k >= split)], label=("fixed", "scanning")[int(k >= split)])
        for k, c in enumerate(inside)
    ]
    new_names = dict(zip(dict.fromkeys(scanning.chain.tolist()), inside[split:], strict=True))
    held = _held(found, fixed, placed)
    for color, label, wanted in ((HELD_COLOR, "restraint holds", True), (VIOLATED_COLOR, "restraint violated", False)):
        sites: dict[str, set[int]] = {}
        for ends, good in held:
            if good == wanted:
                for (chain, number), is_scanning in zip(ends, (False, True), strict=True):
                    sites.setdefault(new_names.get(chain, chain) if is_scanning else chain, set()).add(number)
        selections += [
            Selection(chain=c, residues=sorted(numbers), color=color, style="spacefill", label=label)
            for c, numbers in sites.items()
        ]
    selections += [
        Selection(chain=c, color=SPACE_COLOR, style="surface", label="where the centre may be")
        for c in chains[len(inside) :]
    ]
    return view(
        job,
        "complex",
        whole,
        selections,
        title="Accessible space and a complex that satisfies most restraints",
        caption="The pose shown is the one of those with the largest interaction volume; it is not a docked model. "
        + " ".join(both.issues),
    )


def _held(
    found: InteractionSpace, fixed: Structure, placed: Structure
) -> list[tuple[tuple[tuple[str, int], tuple[str, int]], bool]]:
    """Both ends (chain, number) of the unambiguous restraints, and whether they hold in this pose."""
    from colonnade.structure.restraints import distances

    if found.best is None:
        return []
    length = distances(found.restraints, fixed, placed)
    return [
        (
            ((r.first[0].chain, r.first[0].number), (r.second[0].chain, r.second[0].number)),
            bool(r.lower <= d <= r.upper),
        )
        for r, d in zip(found.restraints, length, strict=True)
        if not r.ambiguous
    ]


def _kept(job: Job, found: InteractionSpace) -> Artifact:
    """The restraints without the suspects, for docking."""
    from colonnade.structure.restraints import format_tbl

    suspects = set(found.suspects())
    kept = [r for i, r in enumerate(found.restraints) if i not in suspects]
    text = format_tbl(kept) if kept else "! every restraint is suspect\n"
    return job.artifact("kept.tbl", text, title="Restraints without the suspects (CNS)", media_type="text/plain")


def _files(job: Job, found: InteractionSpace) -> list[Artifact]:
    """The same results in the files that DisVis writes."""
    from colonnade.structure.restraints import format_disvis, format_tbl

    counts = "".join(
        f"{k:5d} {found.complexes[k]:18.4f} {found.at_least[k]:18.4f} {found.at_least[k] / (found.total or 1):12.6f}\n"
        for k in range(found.n + 1)
    )
    rows = "".join(
        f"{k:5d} " + " ".join(f"{value:8.4f}" for value in row) + "\n" for k, row in enumerate(found.violations, 1)
    )
    scores = "".join(f"{i:5d} {m:8.4f} {z:8.3f}  {r}\n" for i, (m, z, r) in enumerate(
        zip(found.mean_violation, found.z_scores, found.restraints, strict=True), 1
    ))  # fmt: skip
    written = [
        job.artifact("accessible_complexes.out", "# restraints, complexes exactly, at least, share\n" + counts),
        job.artifact("violations.out", "# restraints at least, share violating each restraint\n" + rows),
        job.artifact("z-score.out", "# restraint, mean violation, z-score\n" + scores),
        job.artifact("restraints.tbl", format_tbl(found.restraints), title="All restraints (CNS)"),
    ]
    if not any(r.ambiguous for r in found.restraints):
        written.append(job.artifact("restraints.dat", format_disvis(found.restraints), title="All restraints (DisVis)"))
    return written
