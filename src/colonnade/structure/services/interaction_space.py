"""`structure.interaction_space`: the successor of DisVis as a portal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.service import Resources, service
from colonnade.structure.services.bodies import BodyPair
from colonnade.structure.services.common import blamed
from colonnade.structure.services.interaction_space_results import InteractionSpaceOutputs, outputs

if TYPE_CHECKING:
    from colonnade.structure.restraints import Restraint
    from colonnade.structure.space import SearchPlan

MOST_WORK = 5e11
"""Voxels times rotations of the longest search that is taken, about an hour and a half of one core."""
QUICK_ANGLE = 36.47
"""Rotations of the look beforehand at how many restraints can hold at once, degrees."""
SETTINGS = ("angle", "spacing", "interaction_radius", "max_clash", "min_interaction", "contact_distance")


class InteractionSpaceInputs(BodyPair):
    """Two bodies, the distances between them, and how finely to search."""

    angle: float = Param(
        9.72,
        title="Rotational sampling",
        unit="°",
        ge=5,
        le=63,
        help="The nearest of the sets with 62.8, 36.47, 20.83, 16.29, 12.29, 9.72, 8.17, 7.4 and 5.27° is taken. Half "
        "the angle takes eight times as long.",
    )
    spacing: float = Param(
        2.0, title="Grid spacing", unit="Å", ge=0.5, le=4, help="Half the spacing takes eight times as long."
    )
    prior: float = Param(
        0.1,
        title="Expected share of false restraints",
        gt=0,
        lt=1,
        help="What is believed before the search; the probability of each restraint to be false starts from it.",
    )
    ambiguous_upper: float | None = Param(
        None,
        title="Upper distance of ambiguous restraints",
        unit="Å",
        ge=2,
        le=50,
        level="expert",
        help="Replaces theirs. HADDOCK's 2 Å are an effective distance over all atoms; between CA atoms give about 10.",
    )
    interaction_radius: float = Param(
        3.0, title="Interaction radius", unit="Å", ge=0.5, le=10, level="expert", help="Thickness of the surface layer."
    )
    max_clash: float = Param(
        200.0, title="Largest clash volume", unit="Å³", ge=0, le=10_000, level="expert", help="Of a complex."
    )
    min_interaction: float = Param(
        300.0, title="Smallest interaction volume", unit="Å³", ge=1, le=10_000, level="expert", help="Of a complex."
    )
    contact_distance: float = Param(
        10.0, title="Contact distance", unit="Å", ge=3, le=20, level="expert", help="Of CA atoms, for the contacts."
    )
    device: Literal["cpu", "cuda"] = Param("cpu", title="Device", level="guru", help="Where the search runs.")

    @property
    def settings(self) -> dict[str, float]:
        """The settings of the search as the library takes them."""
        return {name: getattr(self, name) for name in SETTINGS}

    def all_restraints(self) -> list[Restraint]:
        """Those of the file and those typed in, with the upper distance that was asked for."""
        from dataclasses import replace

        from_file, typed = self.given()
        found = from_file + typed
        if not found:
            raise ValueError("restraints: give a restraint file, or type some in.")
        if self.ambiguous_upper is None:
            return found
        return [replace(r, upper=max(self.ambiguous_upper, r.lower)) if r.ambiguous else r for r in found]

    def plan(self, contacts_from: int | None = None, **coarser: float) -> SearchPlan:
        """The search, checked; `coarser` are settings in place of the given ones."""
        from colonnade.structure.space import SearchPlan

        bodies, restraints = self.bodies(), self.all_restraints()
        with blamed(type(self), "restraints" if self.restraints else "restraint_lines"):
            return SearchPlan.of(*bodies, restraints, self.settings | coarser, contacts_from)

    @model_validator(mode="after")
    def _can_be_searched(self) -> InteractionSpaceInputs:
        plan = self.plan()
        if plan.work > MOST_WORK:
            raise ValueError(
                f"angle: {len(plan.rotations)} rotations of {' x '.join(map(str, plan.frame.shape))} voxels are "
                f"{plan.work / MOST_WORK:.1f} times the longest search taken here; use a wider angle or spacing."
            )
        if self.device != "cpu":
            import torch

            if not torch.cuda.is_available():
                raise ValueError("device: cuda is not available on this machine; use cpu.")
        return self


@service(
    "structure.interaction_space",
    title="Interaction space under distance restraints",
    summary="Counts all complexes of two proteins that crosslinks allow, and finds the crosslinks that are false.",
    paper="arXiv:2107.01056",
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=4)),
    examples={
        "Proteasome subunits PRE5 and PUP2, seven crosslinks, coarse": {
            "fixed": "example:structure.interaction_space/PRE5.pdb",
            "scanning": "example:structure.interaction_space/PUP2.pdb",
            "restraints": "example:structure.interaction_space/PRE5-PUP2.dat",
            "angle": 20.83,
        },
        "Proteasome subunits PRE5 and PUP2, seven crosslinks, fine": {
            "fixed": "example:structure.interaction_space/PRE5.pdb",
            "scanning": "example:structure.interaction_space/PUP2.pdb",
            "restraints": "example:structure.interaction_space/PRE5-PUP2.dat",
            "angle": 9.72,
        },
    },
    software=("torch", "numba", "gemmi"),
)
def interaction_space(inputs: InteractionSpaceInputs, job: Job) -> InteractionSpaceOutputs:
    """Count every complex of two rigid bodies by the distance restraints that it satisfies.

    All rotations and translations of the scanning structure are searched by FFT, as DisVis does (van Zundert & Bonvin,
    Bioinformatics 31:3222, 2015): a complex touches without clashing. Restraints that the others contradict are found
    by their z-score (suspect from 1) and by their probability to be false. One search counts the complexes of every
    subset of the restraints, so that leaving some out needs no second one.
    """
    glance = inputs.plan(angle=max(QUICK_ANGLE, inputs.angle), spacing=max(2.0, inputs.spacing)).run(inputs.device)
    job.log(f"A quick look: {glance.consistent} of {glance.n} restraints can hold at once.")
    plan = inputs.plan(contacts_from=max(min(1, glance.n), glance.consistent - 1))
    found = plan.run(inputs.device, job.track)
    job.log(f"{found.rotations} rotations searched: {found.consistent} of {found.n} restraints can hold at once.")
    return outputs(inputs.prior, job, found, *inputs.bodies())
