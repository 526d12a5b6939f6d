"""`structure.ligand_affinity`: PRODIGY-LIG as a portal."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from colonnade.inputs import InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Outputs, Selection, Structure3D, Table
from colonnade.service import Resources, service
from colonnade.structure.services.common import PARTNER_COLORS, StructureFile, blamed

if TYPE_CHECKING:
    from colonnade.structure.ligands import LigandAffinity

LIGAND_COLOR, NEAR_COLOR = "#D55E00", "#1B3A6B"
CLOSE = 4.5
"""Protein residues with an atom this close to the ligand are shown as sticks, Å."""


class LigandAffinityInputs(Inputs):
    """A protein with a small molecule bound to it."""

    structure: StructureFile = Param(title="Structure of the complex", help="PDB or mmCIF, with the ligand in it.")
    chains: str = Param(
        "", title="Chains of the protein", help="As in 'A,B'; empty: every chain with amino acids.", max_length=100
    )
    ligand: str = Param(
        "",
        title="Ligand",
        help="Chain and residue name, as in 'B:IMZ', or 'B:IMZ:201' where there are several. May be left out when the "
        "file has only one small molecule.",
        max_length=40,
    )
    electrostatics: float | None = Param(
        None,
        title="Electrostatic energy",
        unit="kcal/mol",
        ge=-10_000,
        le=10_000,
        help="Of the water refinement of HADDOCK, for the second model. Left out, it is read from a HADDOCK file.",
    )
    model: int = Param(1, title="Model", ge=1, le=100_000, level="expert", help="Which model of a file with several.")
    engine: Literal["fast", "prodigy-lig"] = Param(
        "fast",
        title="Engine",
        level="expert",
        help="This package's own one, or the program of the method's authors, which gives the same numbers but takes "
        "only chains of one capital letter and residue names of three.",
    )
    distance: float = Param(
        10.5, title="Contact distance", unit="Å", ge=2, le=20, level="guru", help="The model was fitted with 10.5 Å."
    )

    def predict(self) -> LigandAffinity:
        """The prediction; it takes less than a second."""
        from colonnade.structure.ligands import ligand_affinity

        with blamed(type(self), "structure"):
            return ligand_affinity(
                self.structure.path,
                self.chains,
                self.ligand,
                electrostatics=self.electrostatics,
                distance=self.distance,
                model=self.model,
                engine=self.engine,
            )

    @model_validator(mode="after")
    def _can_be_predicted(self) -> LigandAffinityInputs:
        self.predict()
        return self


class LigandAffinityOutputs(Outputs):
    """What PRODIGY-LIG predicts, and what it saw."""

    delta_g: Estimate
    delta_g_elec: Estimate | None = None
    score: Estimate | None = None
    notes: list[str] = Param(title="What to know about this prediction")
    complex: Structure3D
    contact_classes: Figure
    pocket: Figure
    near: Table
    summary: Artifact


@service(
    "structure.ligand_affinity",
    title="Binding affinity of a small molecule",
    summary="Predicts ΔG of a small molecule bound to a protein from its contacts, atom by atom (PRODIGY-LIG).",
    paper="arXiv:2107.01056",
    resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(minutes=10)),
    examples={
        "MDM2 with a benzodiazepinedione (1T4E)": {
            "structure": "example:structure.ligand_affinity/1T4E.pdb",
            "chains": "A",
            "ligand": "B:DIZ",
        },
        "MDM2 with an imidazoline, refined by HADDOCK (1RV1)": {
            "structure": "example:structure.ligand_affinity/1RV1-haddock.pdb",
            "chains": "A",
            "ligand": "B:IMZ",
        },
    },
    software=("prodigy-lig", "biopython", "gemmi"),
)
def ligand_affinity(inputs: LigandAffinityInputs, job: Job) -> LigandAffinityOutputs:
    """Predict the binding free energy ΔG of a small molecule to a protein.

    PRODIGY-LIG (Vangone et al., Bioinformatics 35:1585, 2019; Kurkcuoglu et al., J. Comput. Aided Mol. Des. 32:175,
    2018) counts pairs of atoms of ligand and protein within 10.5 Å by their elements; ΔG is linear in these counts.
    Given the electrostatic energy of a HADDOCK refinement, a second model and a score for ranking ligands are
    evaluated as well.
    """
    job.log(f"Reading {inputs.structure.name}")
    found = inputs.predict()
    with_elec = found.electrostatics is not None and found.delta_g_elec is not None and found.score is not None
    caption = "A model of contacts only; the authors' program gives no error. Compare ligands of one protein with it."
    return LigandAffinityOutputs(
        delta_g=Estimate(
            value=found.delta_g,
            unit="kcal/mol",
            title="Binding free energy ΔG, without electrostatics",
            caption=caption,
        ),
        delta_g_elec=Estimate(
            value=found.delta_g_elec or 0.0,
            unit="kcal/mol",
            title="Binding free energy ΔG, with electrostatics",
            caption=f"With an electrostatic energy of {found.electrostatics:g} kcal/mol.",
        )
        if with_elec
        else None,
        score=Estimate(
            value=found.score or 0.0, title="Score", caption="For ranking ligands or poses; the lower the better."
        )
        if with_elec
        else None,
        notes=list(found.notes) or ["Nothing in the file or the settings limits the use of this prediction."],
        complex=_complex(found, inputs.structure, job),
        contact_classes=_classes(found),
        pocket=_pocket(found),
        near=_near(found),
        summary=job.artifact("summary.txt", f"{found}\n", title="Summary", media_type="text/plain"),
    )


def _complex(found: LigandAffinity, file: InputFile, job: Job) -> Structure3D:
    """The user's own file, with the ligand and the residues around it as sticks."""
    packed = file.name.lower().endswith(".gz")
    content, name = file.path.read_bytes(), file.name.removesuffix(".gz").removesuffix(".GZ")
    (job.files / name).write_bytes(gzip.decompress(content) if packed else content)
    close = [row.residue for row in found.near if row.closest <= CLOSE]
    chains = list(dict.fromkeys(row.residue.chain for row in found.near))
    selections = [Selection(chain=c, color=PARTNER_COLORS[k % 6], label=f"chain {c}") for k, c in enumerate(chains)]
    selections += [
        Selection(
            chain=c,
            residues=[r.number for r in close if r.chain == c],
            color=NEAR_COLOR,
            style="ball_and_stick",
            label=f"within {CLOSE:g} Å",
        )
        for c in chains
        if any(r.chain == c for r in close)
    ]
    ligand = Selection(
        chain=found.ligand.chain,
        residues=[found.ligand.number],
        color=LIGAND_COLOR,
        style="ball_and_stick",
        label=found.ligand.name,
    )
    return Structure3D(
        file=name,
        format="mmcif" if name.lower().endswith("cif") else "pdb",
        selections=[*selections, ligand],
        title="The ligand in its pocket",
        caption=f"Residues with an atom within {CLOSE:g} Å of the ligand are shown as sticks.",
    )


def _classes(found: LigandAffinity) -> Figure:
    from colonnade.structure.plots.ligands import atom_contacts

    return Figure.of(atom_contacts(found), title="Atom contacts by class")


def _pocket(found: LigandAffinity) -> Figure:
    from colonnade.structure.plots.ligands import pocket

    return Figure.of(pocket(found), title="The pocket, residue by residue")


def _near(found: LigandAffinity) -> Table:
    return Table.of(
        {
            "chain": [row.residue.chain for row in found.near],
            "residue": [f"{row.residue.number}{row.residue.insertion}" for row in found.near],
            "name": [row.residue.name for row in found.near],
            "closest": [round(row.closest, 2) for row in found.near],
            "atom pairs": [row.pairs for row in found.near],
        },
        units={"closest": "Å"},
        title=f"Protein residues within {found.distance:g} Å",
    )
