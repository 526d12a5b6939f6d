"""`structure.tensor_fit`: alignment and susceptibility tensors from NMR data, as a portal."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Outputs, Selection, Structure3D, Table
from colonnade.service import Resources, service
from colonnade.structure.services.common import PARTNER_COLORS, StructureFile, blamed, read, view

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from colonnade.structure.structures import Structure
    from colonnade.structure.tensor_data import Datum, TensorFit

AXIS_COLORS = ("#D55E00", "#009E73", "#0072B2")
OUTLIER_COLOR = "#EE6677"


def check_text(path: Path) -> None:
    """Refuse at submission what is no text."""
    if b"\x00" in path.read_bytes():
        raise ValueError(f"{path.name} is not a text file.")


DataFile = Annotated[InputFile, Accept(".dat", ".txt", ".csv", ".npc", ".rdc", limit="2 MB", check=check_text)]


class TensorFitInputs(Inputs):
    """A structure and what was measured on it."""

    structure: StructureFile = Param(title="Structure", help="PDB or mmCIF.")
    data: DataFile = Param(
        title="Couplings or shifts",
        help="RDC lines 'A 12 N A 12 H -8.31 0.5' (two atoms, Hz, error) or PCS lines 'A 12 H 0.231 0.02' (atom, ppm, "
        "error). Error and, with one protein chain, the chain may be left out.",
    )
    kind: Literal["rdc", "pcs"] = Param(
        "rdc", title="Kind of data", help="Residual dipolar couplings or pseudocontact shifts."
    )
    metal: str = Param(
        "",
        title="Metal",
        help="For shifts: x, y, z in Å as in '12.1 -3.4 8.0', or an atom of the file as in 'A 201 CA'. "
        "Empty: the middle of the molecule, from where it is fitted.",
        max_length=100,
    )
    move: bool = Param(
        False,
        title="Fit the position of the metal",
        help="Needs eight shifts or more; without a metal it is always fitted.",
    )
    bond: float | None = Param(
        None,
        title="Bond length of the couplings",
        unit="Å",
        ge=0.8,
        le=3,
        level="expert",
        help="For the largest coupling; empty: the distance in the structure. Amide bonds are often taken at 1.02 Å.",
    )
    model: int = Param(1, title="Model", ge=1, le=100_000, level="expert", help="Which model of a file with several.")
    chains: str = Param("", title="Chains", level="expert", help="As in 'A,B'; empty: all.", max_length=100)
    resamples: int = Param(
        500, title="Resampled fits", ge=100, le=5_000, level="expert", help="For the intervals of the tensor."
    )

    def read(self) -> Structure:
        """The structure."""
        with blamed(type(self), "structure"):
            return read(self.structure, model=self.model, chains=self.chains)

    def values(self) -> list[Datum]:
        """The data."""
        from colonnade.structure.structures import read_text
        from colonnade.structure.tensor_data import parse_data

        with blamed(type(self), "data"):
            return parse_data(read_text(self.data.path), self.kind)

    def fit(self, resamples: int, seed: int) -> TensorFit:
        """The fit with this number of fits to resampled data."""
        from colonnade.structure.tensor_data import fit_tensor

        structure, data = self.read(), self.values()
        place = _metal(self.metal, structure) if self.kind == "pcs" else None
        with blamed(type(self), "data"):
            return fit_tensor(
                structure,
                data,
                self.kind,
                metal=place,
                move=self.kind == "pcs" and (self.move or not self.metal.strip()),
                bond=self.bond,
                resamples=resamples,
                seed=seed,
            )

    @model_validator(mode="after")
    def _can_be_fitted(self) -> TensorFitInputs:
        self.fit(resamples=1, seed=0)
        return self


class TensorFitOutputs(Outputs):
    """The tensor, and how well it explains the data."""

    axial: Estimate
    rhombic: Estimate
    q_factor: Estimate
    correlation: Estimate
    notes: list[str] = Param(title="What to know about this fit")
    tensor: Table
    comparison: Figure
    deviations: Figure
    resampling: Figure
    structure: Structure3D
    values: Table
    matrix: Artifact


@service(
    "structure.tensor_fit",
    title="Tensor from dipolar couplings or pseudocontact shifts",
    summary="Fits an alignment tensor to RDCs, or a magnetic susceptibility anisotropy to PCSs, of a known structure.",
    paper="arXiv:2107.01056",
    resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(minutes=20)),
    examples={
        "Ubiquitin, simulated amide couplings with noise": {
            "structure": "example:structure.tensor_fit/2OOB.cif",
            "data": "example:structure.tensor_fit/ubiquitin-rdc.dat",
            "kind": "rdc",
        },
        "Ubiquitin, simulated pseudocontact shifts, metal fitted": {
            "structure": "example:structure.tensor_fit/2OOB.cif",
            "data": "example:structure.tensor_fit/ubiquitin-pcs.dat",
            "kind": "pcs",
            "chains": "B",
            "metal": "28 4 24",
            "move": True,
        },
    },
    software=("numpy", "scipy", "gemmi"),
)
def tensor_fit(inputs: TensorFitInputs, job: Job) -> TensorFitOutputs:
    """Fit the tensor behind residual dipolar couplings or pseudocontact shifts to a known structure.

    Both depend linearly on the five components of a tensor, which is found by least squares (Losonczi et al., J. Magn.
    Reson. 138:334, 1999; Bertini, Luchinat & Parigi, Prog. NMR Spectrosc. 40:249, 2002); the position of the metal can
    be fitted too. The Q factor says how well structure and data agree; intervals come from fits to resampled data.
    """
    found = inputs.fit(inputs.resamples, job.seed)
    job.log(f"{len(found.data)} values fitted: Q = {found.tensor.q_factor:.3f}")
    scale, unit = (1e4, "10⁻⁴") if found.kind == "rdc" else (1.0, "10⁻³² m³")
    name = "alignment tensor" if found.kind == "rdc" else "susceptibility anisotropy"

    def estimate(value: float, column: int, title: str, factor: float, unit: str) -> Estimate:
        low, high = found.interval(column)
        return Estimate(
            value=value * factor,
            interval=(min(low * factor, value * factor), max(high * factor, value * factor)),
            unit=unit,
            title=title,
            caption="95 % interval over fits to resampled data.",
        )

    return TensorFitOutputs(
        axial=estimate(found.tensor.axial, 0, f"Axial component of the {name}", scale, unit),
        rhombic=estimate(found.tensor.rhombic, 1, f"Rhombic component of the {name}", scale, unit),
        q_factor=Estimate(value=found.tensor.q_factor, title="Q factor", caption="0 is a perfect fit, 1 none."),
        correlation=Estimate(value=found.tensor.correlation, title="Correlation of calculated and observed"),
        notes=_notes(found),
        tensor=_tensor(found, scale, unit),
        comparison=_figure("correlation_plot", found, "Calculated and observed"),
        deviations=_figure("deviation_plot", found, "Deviations by residue"),
        resampling=_figure("resampling_plot", found, "How well the data fix the tensor"),
        structure=_view(inputs, found, job),
        values=_values(found),
        matrix=job.artifact("tensor.txt", _text(found), title="Tensor", media_type="text/plain"),
    )


def _metal(text: str, structure: Structure) -> NDArray[np.float64]:
    """Position of the metal: coordinates, an atom, or the middle of the molecule."""
    import numpy as np

    words = text.replace(",", " ").split()
    if not words:
        middle: NDArray[np.float64] = structure.xyz.mean(axis=0) + 0.123  # off any atom
        return middle
    try:
        place = np.array([float(word) for word in words])
    except ValueError:
        place = np.zeros(0)
    if place.shape == (3,) and np.isfinite(place).all() and np.abs(place).max() < 1e4:
        return place
    match = re.fullmatch(r"(\S+) (-?\d+)([A-Za-z]?) (\S+)", " ".join(words))
    if match is None:
        raise ValueError("metal: give x, y, z in Å as in '12.1 -3.4 8.0', or an atom as in 'A 201 CA'")
    chosen = (structure.chain == match[1]) & (structure.resid == int(match[2])) & (structure.icode == match[3])
    rows = np.flatnonzero(chosen & (structure.atom == match[4]))
    if not len(rows):
        raise ValueError(f"metal: there is no atom {' '.join(words)} in {structure.name}")
    found: NDArray[np.float64] = structure.xyz[rows[0]]
    return found


def _figure(name: str, found: TensorFit, title: str) -> Figure:
    from colonnade.structure.plots import tensor as plots

    return Figure.of(getattr(plots, name)(found), title=title)


def _notes(found: TensorFit) -> list[str]:
    from colonnade.structure.plots.tensor import OUTLIER, deviations

    notes = list(found.notes)
    far = [str(datum) for datum, d in zip(found.data, deviations(found), strict=True) if abs(d) > OUTLIER]
    if far:
        notes.append(f"{len(far)} values are beyond {OUTLIER:g} standard deviations: {', '.join(far[:8])}.")
    if len(found.data) < 15:
        notes.append(f"{len(found.data)} values for five unknowns leave little to judge the fit by.")
    if found.tensor.q_factor > 0.4:
        notes.append("The Q factor is high: structure and data do not agree, or the data are of several conformations.")
    return notes or ["Nothing in the data or the structure limits the use of this fit."]


def _tensor(found: TensorFit, scale: float, unit: str) -> Table:
    tensor = found.tensor
    rows: list[tuple[str, float, float | None, str]] = [
        (f"{label} (molecular frame)", float(value) * scale, float(error) * scale, unit)
        for label, value, error in zip(("xx", "yy", "xy", "xz", "yz"), tensor.components, tensor.errors, strict=True)
    ]
    rows += [(f"principal {a}", float(v) * scale, None, unit) for a, v in zip("xyz", tensor.principal, strict=True)]
    rows.append(("rhombicity", float(tensor.rhombic / tensor.axial), None, ""))
    rows += [(f"Euler angle {a}", float(v), None, "°") for a, v in zip("αβγ", tensor.euler_angles, strict=True)]
    if tensor.origin is not None:
        rows += [(f"metal {a}", float(v), None, "Å") for a, v in zip("xyz", tensor.origin, strict=True)]
    columns = list(zip(*rows, strict=True))
    return Table.of(
        {"quantity": columns[0], "value": columns[1], "error": columns[2], "unit": columns[3]},
        title="Tensor",
        caption="Euler angles turn the molecular into the principal frame (z, y', z''); axes have no sign.",
    )


def _values(found: TensorFit) -> Table:
    from colonnade.structure.plots.tensor import deviations

    return Table.of(
        {
            "atoms": [str(datum) for datum in found.data],
            "observed": found.tensor.observed,
            "error": [datum.error for datum in found.data],
            "calculated": found.tensor.calculated.round(4),
            "deviation": deviations(found).round(2),
        },
        units=dict.fromkeys(("observed", "error", "calculated"), "Hz" if found.kind == "rdc" else "ppm")
        | {"deviation": "σ"},
        title="Data and fit",
    )


def _text(found: TensorFit) -> str:
    tensor = found.tensor
    rows = "\n".join(" ".join(f"{value: .6e}" for value in row) for row in tensor.matrix)
    return (
        f"# {found.kind}, {len(found.data)} values, Q {tensor.q_factor:.4f}\n# tensor in the frame of the structure "
        f"({'no unit' if found.kind == 'rdc' else '1e-32 m3'})\n{rows}\n"
    )


def _view(inputs: TensorFitInputs, found: TensorFit, job: Job) -> Structure3D:
    """The structure with the principal axes as rows of dummy atoms, as long as the principal values."""
    from colonnade.structure.structures import join
    from colonnade.structure.tensor_view import axes_as_atoms

    structure = inputs.read()
    both = join([structure, axes_as_atoms(found.tensor, structure.xyz.mean(axis=0))], "tensor")
    chains = list(dict.fromkeys(both.chain.tolist()))
    own = chains[:-3]
    selections = [Selection(chain=c, color=PARTNER_COLORS[k % 6], label=f"chain {c}") for k, c in enumerate(own)]
    selections += [
        Selection(chain=c, color=color, style="spacefill", label=f"principal axis {a}")
        for c, color, a in zip(chains[-3:], AXIS_COLORS, "xyz", strict=True)
    ]
    return view(
        job,
        "tensor",
        both,
        selections,
        title="The principal axes in the structure",
        caption="Each axis is as long as its principal value; its origin is the metal, or the middle of the molecule.",
    )
