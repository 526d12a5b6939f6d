"""`structure.affinity`: PRODIGY as a portal."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from colonnade.inputs import InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Outputs, Selection, Structure3D, Table
from colonnade.service import Resources, service
from colonnade.structure.services.common import INTERFACE_COLORS, PARTNER_COLORS, StructureFile

if TYPE_CHECKING:
    from colonnade.structure.affinity import BindingAffinity


class AffinityInputs(Inputs):
    """A protein complex and how to read it."""

    structure: StructureFile = Param(
        title="Structure of the complex", help="PDB or mmCIF; chains are named as their author names them."
    )
    partners: str = Param(
        "",
        title="Partners",
        help="Chains of each partner: chains of one partner joined by a comma, partners separated by a space, "
        "as in 'A B' or 'H,L A'. Empty: every protein chain is a partner.",
        max_length=200,
    )
    temperature: float = Param(
        25.0, title="Temperature", unit="°C", ge=-20, le=80, help="Of the dissociation constant."
    )
    model: int = Param(1, title="Model", ge=1, le=100_000, level="expert", help="Which model of a file with several.")
    engine: Literal["prodigy", "fast"] = Param(
        "prodigy",
        title="Engine",
        level="expert",
        help="The program of the method's authors, or this package's own one, which gives the same numbers.",
    )
    distance_cutoff: float = Param(
        5.5, title="Contact distance", unit="Å", ge=2, le=20, level="guru", help="The model was fitted with 5.5 Å."
    )
    accessibility: float = Param(
        0.05,
        title="Surface threshold",
        ge=0,
        le=1,
        level="guru",
        help="Relative accessibility from which a residue is surface; the model was fitted with 0.05.",
    )

    @property
    def selection(self) -> list[str] | None:
        """The partners as the library takes them."""
        return self.partners.split() or None

    @model_validator(mode="after")
    def _partners_exist(self) -> AffinityInputs:
        from colonnade.structure import StructureError, read_structure
        from colonnade.structure.affinity import check_contact

        try:
            structure = read_structure(self.structure.path, model=self.model)
            check_contact(structure, self.selection, self.distance_cutoff)
        except StructureError as error:
            raise ValueError(str(error).replace("selection:", "partners:", 1)) from None
        return self


class AffinityOutputs(Outputs):
    """What PRODIGY predicts, and what it saw."""

    delta_g: Estimate
    kd: Estimate
    notes: list[str] = Param(title="What to know about this prediction")
    complex: Structure3D
    contact_map: Figure
    contact_classes: Figure
    model_terms: Table
    interface: Table
    contacts: Table
    summary: Artifact


@service(
    "structure.affinity",
    title="Binding affinity of a protein complex",
    summary="Predicts ΔG and Kd of a protein-protein complex from its contacts and its surface (PRODIGY).",
    paper="arXiv:2107.01056",
    resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(minutes=10)),
    examples={
        "T-cell receptor with enterotoxin C3 (3BZD)": {
            "structure": "example:structure.affinity/3BZD.pdb",
            "partners": "A B",
        },
        "Ubiquitin with the UBA domain of Cbl-b (2OOB, mmCIF)": {
            "structure": "example:structure.affinity/2OOB.cif",
            "partners": "A B",
        },
    },
    software=("prodigy-prot", "gemmi", "freesasa", "biopython"),
)
def affinity(inputs: AffinityInputs, job: Job) -> AffinityOutputs:
    """Predict the binding free energy ΔG and the dissociation constant Kd of a protein-protein complex.

    PRODIGY (Vangone & Bonvin, eLife 4:e07454, 2015) counts the contacts between residues of the partners by class
    (charged, polar, apolar) and adds the make-up of the surface that stays outside the interface. On the 81 complexes
    it was fitted on, it is off by 1.9 kcal/mol (root mean square); that error stands beside every prediction.
    """
    from colonnade.structure import binding_affinity, contact_classes, contact_map, read_structure

    job.log(f"Reading {inputs.structure.name}")
    structure = replace(
        read_structure(inputs.structure.path, model=inputs.model), name=inputs.structure.name.partition(".")[0]
    )
    found = binding_affinity(
        structure,
        inputs.selection,
        temperature=inputs.temperature,
        distance_cutoff=inputs.distance_cutoff,
        accessibility=inputs.accessibility,
        engine=inputs.engine,
    )
    job.log(str(found))
    return AffinityOutputs(
        delta_g=Estimate(
            value=found.delta_g,
            error=found.delta_g_error,
            unit="kcal/mol",
            title="Binding free energy ΔG",
            caption="The error is the model's on its benchmark of 81 complexes.",
        ),
        kd=Estimate(
            value=found.kd,
            interval=(found.kd_low, found.kd_high),
            unit="M",
            title=f"Dissociation constant Kd at {found.temperature:g} °C",
            caption="The interval is that of the model's error in ΔG.",
        ),
        notes=list(found.warnings) or ["Nothing in the file or the settings limits the use of this prediction."],
        complex=_complex(found, inputs.structure, job),
        contact_map=Figure.of(contact_map(found), title="Contact map"),
        contact_classes=Figure.of(contact_classes(found), title="Contacts by class"),
        model_terms=_model_terms(found),
        interface=_interface(found),
        contacts=_contacts(found),
        summary=job.artifact("summary.txt", f"{found}\n", title="Summary", media_type="text/plain"),
    )


def _complex(found: BindingAffinity, file: InputFile, job: Job) -> Structure3D:
    """The user's own file, its partners and their interface residues coloured."""
    packed = file.name.lower().endswith(".gz")
    content = file.path.read_bytes()
    name = file.name[:-3] if packed else file.name
    (job.files / name).write_bytes(gzip.decompress(content) if packed else content)
    chains = [
        Selection(chain=chain, color=PARTNER_COLORS[index % 6], label=f"partner {index + 1}: chain {chain}")
        for index, group in enumerate(found.selection)
        for chain in group
    ]
    sides = [
        Selection(
            chain=chain,
            residues=[row.residue.number for row in found.interface if row.residue.chain == chain],
            color=INTERFACE_COLORS[index % 6],
            style="ball_and_stick",
            label=f"interface of chain {chain}",
        )
        for index, group in enumerate(found.selection)
        for chain in group
        if any(row.residue.chain == chain for row in found.interface)
    ]
    return Structure3D(
        file=name,
        format="mmcif" if name.lower().endswith("cif") else "pdb",
        selections=chains + sides,
        title="The complex and its interface",
        caption="Residues with a contact to the other partner are shown as sticks.",
    )


def _model_terms(found: BindingAffinity) -> Table:
    from colonnade.structure.affinity import CLASS_NAMES

    terms: dict[str, float] = {f"{CLASS_NAMES[kind]} contacts": count for kind, count in found.contacts.items()}
    terms |= {
        "apolar surface outside the interface (%)": round(found.nis_apolar, 2),
        "polar surface outside the interface (%)": round(found.nis_polar, 2),
        "charged surface outside the interface (%)": round(found.nis_charged, 2),
    }
    values = [float(value) for value in terms.values()]
    return Table.of({"quantity": list(terms), "value": values}, title="What the model is computed from")


def _interface(found: BindingAffinity) -> Table:
    rows = found.interface
    return Table.of(
        {
            "partner": [row.group + 1 for row in rows],
            "chain": [row.residue.chain for row in rows],
            "residue": [f"{row.residue.number}{row.residue.insertion}" for row in rows],
            "name": [row.residue.name for row in rows],
            "contacts": [row.contacts for row in rows],
            "closest": [round(row.closest, 2) for row in rows],
        },
        units={"closest": "Å"},
        title="Interface residues",
    )


def _contacts(found: BindingAffinity) -> Table:
    from colonnade.structure.affinity import CLASS_NAMES

    rows = found.contact_list
    return Table.of(
        {
            "first": [str(row.first) for row in rows],
            "second": [str(row.second) for row in rows],
            "class": [CLASS_NAMES[row.kind] for row in rows],
            "distance": [round(row.distance, 2) for row in rows],
        },
        units={"distance": "Å"},
        title="Contacts",
    )
