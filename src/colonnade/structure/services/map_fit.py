"""`structure.map_fit`: PowerFit as a portal."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Outputs, Selection, Structure3D, Table
from colonnade.service import Resources, service
from colonnade.structure.services.common import PARTNER_COLORS, StructureFile, blamed, read, view

if TYPE_CHECKING:
    from colonnade.structure.fitting import MapFit
    from colonnade.structure.structures import Structure
    from colonnade.structure.voxels import DensityMap

MAP_COLOR = "#BBBBBB"
MOST_WORK = 6e10
"""Voxels of the map as it is searched times rotations of the longest fit that is taken."""


def check_map(path: Path) -> None:
    """Refuse at submission what is no map."""
    from colonnade.structure.fitting import read_map

    read_map(path)


MapFile = Annotated[
    InputFile,
    Accept(".mrc", ".map", ".ccp4", ".mrc.gz", ".map.gz", ".ccp4.gz", limit="80 MB", check=check_map),
]


class MapFitInputs(Inputs):
    """A density map and what lies in it."""

    map: MapFile = Param(title="Density map", help="CCP4 or MRC, up to 256 voxels a side, cubic voxels.")
    resolution: float = Param(title="Resolution of the map", unit="Å", ge=2, le=60)
    structure: StructureFile = Param(title="Structure", help="PDB or mmCIF of what is fitted into the map.")
    chains: str = Param("", title="Chains", help="As in 'A,B'; empty: all.", max_length=100)
    angle: float = Param(
        10.0,
        title="Rotational sampling",
        unit="°",
        ge=4.8,
        le=63,
        help="The nearest of the sets with 62.8, 36.47, 20.83, 16.29, 12.29, 9.72, 8.17, 7.4 and 5.27° is taken. Half "
        "the angle takes eight times as long.",
    )
    refine: int = Param(
        5, title="Solutions to refine", ge=0, le=20, help="The best so many are refined off the grid of the search."
    )
    model: int = Param(1, title="Model", ge=1, le=100_000, level="expert", help="Which model of a file with several.")
    fits: int = Param(10, title="Solutions to keep", ge=1, le=50, level="expert")
    laplace: bool = Param(True, title="Laplace filter", level="expert", help="Stresses contours.")
    core_weighted: bool = Param(
        True, title="Core-weighted correlation", level="expert", help="Weighs the inside of the structure more."
    )

    def read(self) -> tuple[DensityMap, Structure]:
        """Map and structure."""
        from colonnade.structure.fitting import read_map

        with blamed(type(self), "structure"):
            structure = read(self.structure, model=self.model, chains=self.chains)
        return read_map(self.map.path), structure

    @model_validator(mode="after")
    def _can_be_fitted(self) -> MapFitInputs:
        from colonnade.structure.fitting import check_fit
        from colonnade.structure.rotations import rotation_set

        density, structure = self.read()
        with blamed(type(self), "structure"):
            check_fit(density, structure, self.resolution, self.angle)
        voxels = density.values.size * min(1.0, 4 * density.spacing / self.resolution) ** 3
        work = voxels * len(rotation_set(self.angle))
        if work > MOST_WORK:
            raise ValueError(
                f"angle: {len(rotation_set(self.angle))} rotations of {voxels:.2g} voxels are {work / MOST_WORK:.1f} "
                "times the longest search taken here; use a wider angle."
            )
        return self


class MapFitOutputs(Outputs):
    """Where the structure lies in the map, and how sure that is."""

    correlation: Estimate
    lead: Estimate
    notes: list[str] = Param(title="What to know about this fit")
    overlay: Structure3D
    fits: Table
    scores: Figure
    correlation_map: Figure
    models: list[Artifact] = Param(title="Fitted structures")
    lcc: Artifact
    solutions: Artifact


@service(
    "structure.map_fit",
    title="Fit of a structure into a density map",
    summary="Finds where a structure lies in a cryo-EM map, over all rotations and translations (PowerFit).",
    paper="arXiv:2107.01056",
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=4)),
    examples={
        "Enterotoxin C3 in a simulated 10 Å map of its complex (3BZD)": {
            "map": "example:structure.map_fit/3BZD-10A.mrc.gz",
            "resolution": 10,
            "structure": "example:structure.map_fit/3BZD.pdb",
            "chains": "B",
            "angle": 20.83,
        }
    },
    software=("powerfit-em", "scipy", "gemmi"),
)
def map_fit(inputs: MapFitInputs, job: Job) -> MapFitOutputs:
    """Fit a structure into a density map by an exhaustive search.

    PowerFit (van Zundert & Bonvin, AIMS Biophysics 2:73, 2015) scores every rotation and translation by the
    core-weighted local cross-correlation after a Laplace filter. The best solutions are then refined off its grid.
    Fisher's z over its standard error tells how much better one fit is than the next.
    """
    from colonnade.structure.fitting import fit_map

    density, structure = inputs.read()
    found = fit_map(
        density,
        structure,
        inputs.resolution,
        angle=inputs.angle,
        laplace=inputs.laplace,
        core_weighted=inputs.core_weighted,
        refine=inputs.refine,
        most=inputs.fits,
        track=job.track,
    )
    job.log(f"{found.rotations} rotations searched, {len(found.fits)} distinct solutions")
    return _outputs(inputs, job, found, density, structure)


def _outputs(inputs: MapFitInputs, job: Job, found: MapFit, density: DensityMap, structure: Structure) -> MapFitOutputs:
    from colonnade.structure.plots.fitting import correlation_slices, fit_scores

    first = found.fits[0]
    lead = first.relative_z - found.fits[1].relative_z if len(found.fits) > 1 else first.relative_z
    found.lcc.to_mrc(job.files / "lcc.mrc")
    return MapFitOutputs(
        correlation=Estimate(
            value=first.correlation if first.refined is None else first.refined,
            title="Correlation of the best fit with the map",
            caption="At the grid of the search." if first.refined is None else "Of the filtered densities, refined.",
        ),
        lead=Estimate(
            value=lead, unit="σ", title="Lead of the best fit", caption="Fisher z before that of the next solution."
        ),
        notes=_notes(found, lead, structure),
        overlay=_overlay(job, found, density, structure),
        fits=_table(found),
        scores=Figure.of(fit_scores(found), title="Fisher z of the fits"),
        correlation_map=Figure.of(correlation_slices(found), title="Correlation over the map"),
        models=_models(job, found, structure),
        lcc=job.artifact("lcc.mrc", title="Local cross-correlation (MRC)"),
        solutions=job.artifact("solutions.out", _solutions(found), title="Solutions", media_type="text/plain"),
    )


def _notes(found: MapFit, lead: float, structure: Structure) -> list[str]:
    notes = []
    if len(found.fits) == 1:
        notes.append("No other solution has half the correlation of this one.")
    elif lead < 3:
        notes.append(
            f"The best fit leads the next by {lead:.1f} σ only: other solutions explain the map about as well. Look at "
            "them, at the resolution given, and at what else lies in the map."
        )
    if found.angle > 12:
        notes.append(f"Rotations were {found.angle:g}° apart; refinement finds the pose from there when it is near.")
    return [*notes, *structure.issues] or ["Nothing in the files or the settings limits the use of this fit."]


def _table(found: MapFit) -> Table:
    fits = found.fits
    return Table.of(
        {
            "rank": list(range(1, len(fits) + 1)),
            "correlation": [round(f.correlation, 4) for f in fits],
            "Fisher z": [round(f.fisher_z, 4) for f in fits],
            "z over its error": [round(f.relative_z, 2) for f in fits],
            "refined correlation": [None if f.refined is None else round(f.refined, 4) for f in fits],
            **{name: [round(float(f.translation[k]), 3) for f in fits] for k, name in enumerate(("tx", "ty", "tz"))},
        },
        units={"z over its error": "σ", "tx": "Å", "ty": "Å", "tz": "Å"},
        title="Fits",
        caption="The shift goes with the rotation of solutions.out: x becomes R x + t.",
    )


def _solutions(found: MapFit) -> str:
    head = "# rank, correlation, Fisher z, z over its error, t (3), R (9, by rows): x -> R x + t\n"
    rows = (
        f"{k:4d} {f.correlation:8.4f} {f.fisher_z:8.4f} {f.relative_z:8.3f} "
        + " ".join(f"{v:10.4f}" for v in (*f.translation, *f.rotation.ravel()))
        for k, f in enumerate(found.fits, start=1)
    )
    return head + "\n".join(rows) + "\n"


def _models(job: Job, found: MapFit, structure: Structure) -> list[Artifact]:
    models = []
    for k, fit in enumerate(found.fits, start=1):
        placed = fit.of(structure)
        one_letter = len(placed) <= 99_999 and all(len(chain) == 1 for chain in set(placed.chain.tolist()))
        text, ending = (placed.to_pdb(), "pdb") if one_letter else (placed.to_mmcif(), "cif")
        models.append(job.artifact(f"fit_{k}.{ending}", text, title=f"Fit of rank {k}"))
    return models


def _overlay(job: Job, found: MapFit, density: DensityMap, structure: Structure) -> Structure3D:
    """The first fit in the map, whose voxels above a contour are dummy atoms."""
    from colonnade.structure.structures import join

    contour = float(density.values.mean() + 2.5 * density.values.std())
    placed = found.fits[0].of(structure)
    both = join([placed, density.as_atoms(contour)], "overlay")
    chains = list(dict.fromkeys(both.chain.tolist()))
    own = len(set(placed.chain.tolist()))
    selections = [
        Selection(chain=c, color=PARTNER_COLORS[k % 6], label=f"chain {c}") for k, c in enumerate(chains[:own])
    ]
    selections += [Selection(chain=c, color=MAP_COLOR, style="surface", label="map") for c in chains[own:]]
    return view(
        job,
        "overlay",
        both,
        selections,
        title="The best fit in the map",
        caption=f"The map is drawn from its voxels above {contour:.3g}.",
    )
