"""What the forms of several structure portals share: the fields for files, and the colours of partners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from colonnade.inputs import Accept, InputFile, Inputs
from colonnade.job import Job
from colonnade.results import Selection, Structure3D

if TYPE_CHECKING:
    from colonnade.structure.structures import Structure


def check_structure(path: Path) -> None:
    """Refuse at submission what is no structure with protein in it."""
    from colonnade.structure.structures import check_structure_file

    check_structure_file(path)


def check_body(path: Path) -> None:
    """Refuse at submission what is no structure with protein or nucleic acid in it."""
    from colonnade.structure.structures import StructureError, check_size, describe_kinds, read_structure

    structure = read_structure(path)
    check_size(structure, path.name)
    if not {"protein", "nucleic"} & set(structure.kind.tolist()):
        raise StructureError(f"{path.name} has neither protein nor nucleic acid; it holds {describe_kinds(structure)}.")


def check_restraints(path: Path) -> None:
    """Refuse at submission what is no restraint file."""
    from colonnade.structure.restraints import read_restraints

    read_restraints(path)


_ENDINGS = [ending + packed for packed in ("", ".gz") for ending in (".pdb", ".ent", ".cif", ".mmcif")]
StructureFile = Annotated[InputFile, Accept(*_ENDINGS, limit="20 MB", check=check_structure)]
BodyFile = Annotated[InputFile, Accept(*_ENDINGS, limit="20 MB", check=check_body)]
RestraintFile = Annotated[InputFile, Accept(".dat", ".txt", ".tbl", ".csv", limit="2 MB", check=check_restraints)]

PARTNER_COLORS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")
INTERFACE_COLORS = ("#1B3A6B", "#9E1B32", "#0B4F1C", "#7A6A00", "#0E7C9B", "#5E0E47")


@contextmanager
def blamed(inputs: type[Inputs], default: str) -> Iterator[None]:
    """A mistake that the library names becomes one of the form: of the field that its sentence starts with, or of
    `default`.
    """
    try:
        yield
    except ValueError as error:
        text = str(error)
        named = text.partition(":")[0] in inputs.model_fields
        raise ValueError(text if named else f"{default}: {text}") from None


def read(file: InputFile, *, model: int = 1, chains: str = "") -> Structure:
    """The structure of an uploaded file under its own name, with only these chains (separated by commas) if any.

    Raises:
        StructureError: there is no such model or chain.
    """
    from colonnade.structure.structures import StructureError, read_structure

    structure = replace(read_structure(file.path, model=model), name=file.name.partition(".")[0])
    wanted = [name for name in chains.replace(",", " ").split() if name]
    there = list(dict.fromkeys(structure.chain.tolist()))
    if absent := [name for name in wanted if name not in there]:
        raise StructureError(f"{file.name} has no chain {', '.join(absent)}; its chains are {', '.join(there)}.")
    return structure.in_chains(wanted) if wanted else structure


def view(
    job: Job, name: str, structure: Structure, selections: Sequence[Selection], *, title: str, caption: str = ""
) -> Structure3D:
    """Write a structure for the 3D view: PDB, or mmCIF where that has no room."""
    from colonnade.structure.structures import StructureError

    try:
        text, kind = structure.to_pdb(), "pdb"
    except StructureError:
        text, kind = structure.to_mmcif(), "mmcif"
    file = f"{name}.{'pdb' if kind == 'pdb' else 'cif'}"
    (job.files / file).write_text(text, encoding="utf-8")
    return Structure3D(
        file=file, format="pdb" if kind == "pdb" else "mmcif", selections=list(selections), title=title, caption=caption
    )
