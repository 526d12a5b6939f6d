"""`structure.prepare`: pdb-tools as a portal."""

from __future__ import annotations

import difflib
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Outputs, Selection, Structure3D, Table
from colonnade.service import Resources, service
from colonnade.structure.services.common import PARTNER_COLORS, StructureFile, blamed

if TYPE_CHECKING:
    from colonnade.structure.prepare import Operation, Prepared
    from colonnade.structure.structures import Structure

MOST_LINES = 20_000
"""Lines of the difference that are kept."""


class PrepareInputs(Inputs):
    """A structure file and what to do with it."""

    structure: StructureFile = Param(title="Structure", help="PDB or mmCIF; an mmCIF file is turned into PDB first.")
    preset: Literal["none", "clean", "docking"] = Param(
        "clean",
        title="Preset",
        help="clean: one location per atom, no waters. docking: the first model's protein only, modified residues as "
        "their parents, no hydrogens, no insertion codes. Either runs before the operations below.",
    )
    operations: str = Param(
        "",
        title="Operations",
        help="One a line, in order: 'selchain A,B', 'delhetatm', 'selres 1:120', 'reres 1', 'rplchain A:B', 'parents', "
        "'tidy' ...; the pipelines that pdb-tools documents ('pdb_selchain -A | pdb_tidy') are read too.",
        multiline=True,
        max_length=5_000,
    )

    def pipeline(self) -> list[Operation]:
        """Preset and operations."""
        from colonnade.structure.prepare import PRESETS, parse_pipeline

        with blamed(type(self), "operations"):
            return parse_pipeline("\n".join(PRESETS[self.preset])) + parse_pipeline(self.operations)

    def run(self) -> Prepared:
        """The prepared structure; it takes about a second for each 10 MB."""
        from colonnade.structure.prepare import prepare

        steps = self.pipeline()
        with blamed(type(self), "operations"):
            return prepare(self.structure.path, steps)

    @model_validator(mode="after")
    def _can_be_run(self) -> PrepareInputs:
        if not self.pipeline():
            raise ValueError("operations: give some, or choose a preset.")
        self.run()
        return self


class PrepareOutputs(Outputs):
    """The file, and what each step did to it."""

    notes: list[str] = Param(title="What is left to know")
    structure: Structure3D
    steps: Table
    chains: Table
    pdb: Artifact
    mmcif: Artifact
    sequence: Artifact
    difference: Artifact
    pipeline: Artifact


@service(
    "structure.prepare",
    title="Preparation of structure files",
    summary="Selects, deletes, renames and renumbers in structure files, by a pipeline of pdb-tools operations.",
    paper="arXiv:2107.01056",
    resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(minutes=15)),
    examples={
        "Ubiquitin out of a complex (2OOB), renumbered": {
            "structure": "example:structure.prepare/2OOB.cif",
            "preset": "docking",
            "operations": "selchain B\nreres 1\ntidy",
        },
        "Without waters (2OOB)": {"structure": "example:structure.prepare/2OOB.cif", "preset": "clean"},
    },
    software=("pdb-tools", "gemmi"),
)
def prepare(inputs: PrepareInputs, job: Job) -> PrepareOutputs:
    """Put a structure file in order, step by step.

    Each step is an operation of pdb-tools (Rodrigues et al., F1000Research 7:1961, 2018), or `parents`, which reads
    modified residues as the amino acids that they derive from. The report says what every step removed or changed; the
    pipeline can be kept, shared, and run from a terminal with pdb-tools.
    """
    from colonnade.structure.structures import read_structure

    done = inputs.run()
    for step in done.steps:
        job.log(f"{step.operation}: {step.atoms} atoms in {step.residues} residues left")
    (job.files / "prepared.pdb").write_text(done.text, encoding="utf-8")
    result = read_structure(job.files / "prepared.pdb")
    return PrepareOutputs(
        notes=[*done.messages, *result.issues] or ["Nothing in the prepared file is out of the ordinary."],
        structure=Structure3D(
            file="prepared.pdb",
            selections=[
                Selection(chain=c, color=PARTNER_COLORS[k % 6], label=f"chain {c}")
                for k, c in enumerate(dict.fromkeys(result.chain.tolist()))
            ],
            title="The prepared structure",
        ),
        steps=_steps(done),
        chains=_chains(result),
        pdb=job.artifact("prepared.pdb", title="Prepared structure (PDB)", media_type="chemical/x-pdb"),
        mmcif=job.artifact(
            "prepared.cif", _mmcif(done.text), title="Prepared structure (mmCIF)", media_type="chemical/x-mmcif"
        ),
        sequence=job.artifact("sequence.fasta", _fasta(result), title="Sequences (FASTA)", media_type="text/plain"),
        difference=job.artifact("changes.diff", _difference(done), title="Lines changed", media_type="text/plain"),
        pipeline=job.artifact("pipeline.txt", _pipeline(inputs), title="Pipeline", media_type="text/plain"),
    )


def _steps(done: Prepared) -> Table:
    from colonnade.structure.prepare import OPERATIONS

    rows = done.steps
    return Table.of(
        {
            "step": list(range(1, len(rows) + 1)),
            "operation": [str(row.operation) for row in rows],
            "what it does": [OPERATIONS[row.operation.name][0] for row in rows],
            "lines changed": [row.changed for row in rows],
            "models": [row.models for row in rows],
            "chains": [row.chains for row in rows],
            "residues": [row.residues for row in rows],
            "atoms": [row.atoms for row in rows],
        },
        title="Steps",
        caption="Lines of coordinates that the step removed, added or changed, and what was left after it.",
    )


def _chains(structure: Structure) -> Table:
    ids = list(structure.residue_ids())
    kinds = structure.kind[structure.first].tolist()
    names = list(dict.fromkeys(residue.chain for residue in ids))
    of = {name: [k for k, residue in enumerate(ids) if residue.chain == name] for name in names}
    count = {
        kind: [sum(kinds[k] == kind for k in of[name]) for name in names]
        for kind in ("protein", "nucleic", "ligand", "water")
    }
    spans = [f"{ids[of[name][0]].number}–{ids[of[name][-1]].number}" for name in names]
    return Table.of({"chain": names, "residues from–to": spans} | count, title="What is in the prepared file")


def _mmcif(text: str) -> str:
    import gemmi

    document = gemmi.read_pdb_string(text)
    document.setup_entities()
    return str(document.make_mmcif_document().as_string())


def _fasta(structure: Structure) -> str:
    from colonnade.structure.residues import ONE_LETTER

    protein = structure.protein
    letters: dict[str, str] = {}
    for residue in protein.residue_ids():
        letters[residue.chain] = letters.get(residue.chain, "") + ONE_LETTER.get(residue.name, "X")
    rows = [f">{structure.name}|{chain}\n" + "\n".join(_wrapped(s)) + "\n" for chain, s in letters.items()]
    return "".join(rows)


def _wrapped(sequence: str) -> list[str]:
    return [sequence[i : i + 60] for i in range(0, len(sequence), 60)]


def _difference(done: Prepared) -> str:
    before, after = done.before.splitlines(keepends=True), done.text.splitlines(keepends=True)
    lines = difflib.unified_diff(before, after, "before.pdb", "prepared.pdb", n=0)
    kept = [line for _, line in zip(range(MOST_LINES), lines, strict=False)]
    return "".join(kept) or "no line changed\n"


def _pipeline(inputs: PrepareInputs) -> str:
    steps = inputs.pipeline()
    commands = " | ".join(step.command for step in steps if step.name != "parents")
    mine = any(step.name == "parents" for step in steps)
    own = "# parents is Colonnade's own; pdb-tools has none\n" if mine else ""
    return "\n".join(map(str, steps)) + f"\n\n# from a terminal\n{own}# cat structure.pdb | {commands}\n"
