"""The part of a form that the portals of two bodies share: both, and the distances between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colonnade.inputs import Inputs, Param
from colonnade.structure.services.common import BodyFile, RestraintFile, blamed, read

if TYPE_CHECKING:
    from colonnade.structure.restraints import Restraint
    from colonnade.structure.structures import Structure


class BodyPair(Inputs):
    """Two bodies and the distances between them, from a file and typed in."""

    fixed: BodyFile = Param(title="Fixed structure", help="PDB or mmCIF; the larger partner. It stays in place.")
    scanning: BodyFile = Param(
        title="Scanning structure", help="PDB or mmCIF; it is turned and moved. Where it starts does not matter."
    )
    restraints: RestraintFile | None = Param(
        None,
        title="Restraint file",
        help="DisVis lines ('A 27 CA B 18 CA 0 23': chain, residue, atom twice, least and largest distance in Å) or a "
        "CNS .tbl file. Numbers are the author's.",
    )
    restraint_lines: str = Param(
        "",
        title="Restraints typed in",
        help="The same lines, instead of a file or added to it.",
        multiline=True,
        max_length=20_000,
    )
    fixed_chains: str = Param(
        "", title="Chains of the fixed structure", level="expert", help="As in 'A,B'; empty: all.", max_length=100
    )
    scanning_chains: str = Param(
        "", title="Chains of the scanning structure", level="expert", help="As in 'A,B'; empty: all.", max_length=100
    )
    fixed_model: int = Param(1, title="Model of the fixed structure", ge=1, le=100_000, level="expert")
    scanning_model: int = Param(1, title="Model of the scanning structure", ge=1, le=100_000, level="expert")

    def bodies(self) -> tuple[Structure, Structure]:
        """Both structures, read."""
        with blamed(type(self), "fixed"):
            fixed = read(self.fixed, model=self.fixed_model, chains=self.fixed_chains)
        with blamed(type(self), "scanning"):
            scanning = read(self.scanning, model=self.scanning_model, chains=self.scanning_chains)
        return fixed, scanning

    def given(self) -> tuple[list[Restraint], list[Restraint]]:
        """The restraints of the file, and those typed in."""
        from colonnade.structure.restraints import parse_restraints, read_restraints

        with blamed(type(self), "restraints"):
            from_file = read_restraints(self.restraints.path) if self.restraints else []
        with blamed(type(self), "restraint_lines"):
            typed = parse_restraints(self.restraint_lines) if self.restraint_lines.strip() else []
        return from_file, typed


class DockedBodies(BodyPair):
    """What docking asks for besides: interface residues, and the known complex."""

    active_fixed: str = Param(
        "",
        title="Interface residues of the fixed structure",
        help="As in 'A 38, A 40, A 45'. Each must touch one of those of the other structure.",
        max_length=2000,
    )
    active_scanning: str = Param(
        "", title="Interface residues of the scanning structure", help="As in 'B 15, B 17'.", max_length=2000
    )
    reference: BodyFile | None = Param(
        None,
        title="Known complex",
        level="expert",
        help="When the answer is known: models are compared with it (irmsd, fnat, lrmsd, DockQ). Same chain names.",
    )

    def bodies(self) -> tuple[Structure, Structure]:
        """Both structures, read, without waters and hydrogens; chain names must differ."""
        from colonnade.structure import docking
        from colonnade.structure.structures import StructureError

        fixed, scanning = super().bodies()
        with blamed(type(self), "fixed"):
            docking.check_body(fixed, "fixed")
        with blamed(type(self), "scanning"):
            docking.check_body(scanning, "scanning")
            shared = [chain for chain in docking.chain_names(scanning) if chain in docking.chain_names(fixed)]
            if shared:
                raise StructureError(
                    f"scanning: both structures have a chain {', '.join(shared)}; rename it in one of them, so that "
                    "restraints and models name residues without doubt."
                )
        return fixed, scanning

    def all_restraints(self, bodies: tuple[Structure, Structure]) -> list[Restraint]:
        """Those of the file, those typed in, and those of the interface residues; every atom is there.

        Raises:
            ValueError: naming the field, and what is wrong.
        """
        from colonnade.structure.docking import without_hydrogens
        from colonnade.structure.restraints import resolve

        found, typed = self.given()
        with blamed(type(self), "restraints"):
            resolve(without_hydrogens(found), *bodies)
        with blamed(type(self), "restraint_lines"):
            resolve(without_hydrogens(typed), *bodies)
        with blamed(type(self), "active_fixed"):
            interface = self._interface()
            resolve(without_hydrogens(interface), *bodies)
        return found + typed + interface

    def _interface(self) -> list[Restraint]:
        from colonnade.structure.restraints import interface_restraints

        sides = [[r.strip() for r in text.replace(";", ",").replace("\n", ",").split(",") if r.strip()]
                 for text in (self.active_fixed, self.active_scanning)]  # fmt: skip
        if not any(sides):
            return []
        if not all(sides):
            empty = "active_fixed" if not sides[0] else "active_scanning"
            raise ValueError(f"{empty}: interface residues are needed on both structures, or on none.")
        return interface_restraints(sides[0], [], sides[1], [])

    def known(self, bodies: tuple[Structure, Structure]) -> Structure | None:
        """The known complex, with the chains of both bodies."""
        from colonnade.structure import docking
        from colonnade.structure.structures import StructureError

        if self.reference is None:
            return None
        with blamed(type(self), "reference"):
            known = read(self.reference)
            wanted = [chain for body in bodies for chain in docking.chain_names(body)]
            if absent := [chain for chain in wanted if chain not in known.chain]:
                raise StructureError(f"{self.reference.name} has no chain {', '.join(absent)}, as the bodies have.")
        return known
