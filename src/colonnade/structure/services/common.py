"""What the forms of several structure portals share: the fields for files, and the colours of partners."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from colonnade.inputs import Accept, InputFile


def check_structure(path: Path) -> None:
    from colonnade.structure import check_structure_file

    check_structure_file(path)


StructureFile = Annotated[
    InputFile,
    Accept(
        *(ending + packed for packed in ("", ".gz") for ending in (".pdb", ".ent", ".cif", ".mmcif")),
        limit="20 MB",
        check=check_structure,
    ),
]

PARTNER_COLORS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")
INTERFACE_COLORS = ("#1B3A6B", "#9E1B32", "#0B4F1C", "#7A6A00", "#0E7C9B", "#5E0E47")
