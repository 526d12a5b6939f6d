"""The five data sets: what each holds, where the official file is, and who is to be cited.

Names, shapes, labels and checksums are those of the registry of the ErUM-Data data sets (arXiv:2107.00656, and the
package `pd4ml` 0.3.1 that came with it). Generated and official events share one schema; a generated event carries
some columns more, the truth that the official files leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from colonnade.physics.errors import PhysicsError

HOST = "https://syncandshare.desy.de/index.php/s"
PAPER = "Benato et al., Comput. Softw. Big Sci. 6 (2022) 9, arXiv:2107.00656"


@dataclass(frozen=True)
class Column:
    """One quantity of every event.

    Args:
        name: how the column is called.
        shape: of one event's values; () for a number.
        dtype: numpy name of the element type.
        unit: of the values.
        meaning: what it is, in a few words.
        key: its place in the official file ("X_0" stands for X_train_0 and X_test_0); empty: generated sets only.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    unit: str
    meaning: str
    key: str = ""

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True)
class Spec:
    """What is known of a data set.

    Args:
        name: short name; `official` is the registry's.
        file, share, md5: of the official file.
        events: official numbers of (train, test) events.
        task: "classification" (labels 0 and 1) or "regression".
        target: column that is to be predicted; `classes` or `unit` say what its values mean.
        columns: all columns, the target among them.
        origin: "generated" or "surrogate": how near ours comes to what the official events are.
        shard: most events in one shard of a generated set.
    """

    name: str
    official: str
    title: str
    file: str
    share: str
    md5: str
    events: tuple[int, int]
    task: Literal["classification", "regression"]
    target: str
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    origin: Literal["generated", "surrogate"]
    made_by: str
    licence: str
    citation: str
    shard: int

    @property
    def url(self) -> str:
        return f"{HOST}/{self.share}/download/{self.file}"

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise PhysicsError(f"{self.name} has no column {name!r}; it has {', '.join(c.name for c in self.columns)}.")


def _label(meaning: str) -> Column:
    return Column("label", (), "int8", "", meaning, "y")


NOT_STATED = "not stated by the authors"

SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec(
            name="top",
            official="TopTagging",
            title="Top-quark jets against QCD jets",
            file="1_top_tagging_2M.npz",
            share="TWqT3E9j6q5yYSF",
            md5="708a8369d75ceff2229bd8c46b47afea",
            events=(1_614_000, 404_000),
            task="classification",
            target="label",
            classes=("QCD", "top"),
            columns=(
                Column("p4", (200, 4), "float32", "GeV", "E, px, py, pz of the constituents, hardest first", "X_0"),
                Column("jet", (4,), "float32", "GeV", "E, px, py, pz of the jet before truncation"),
                _label("0 QCD, 1 top"),
            ),
            origin="generated",
            made_by="Pythia 8, a fast energy-flow detector, FastJet",
            licence="CC-BY-4.0 (Zenodo 2603256)",
            citation=f"Kasieczka et al., SciPost Phys. 7 (2019) 014, arXiv:1902.09914; {PAPER}",
            shard=5000,
        ),
        Spec(
            name="spinodal",
            official="Spinodal",
            title="Spinodal clumping in the phase transition of nuclear matter",
            file="2_spinodal_29k.npz",
            share="RN9AYWLgKHEPEfF",
            md5="c22326822d9bac7c074467ccccc6fe4f",
            events=(20_300, 8_700),
            task="classification",
            target="label",
            classes=("Maxwell", "spinodal"),
            columns=(
                Column("image", (20, 20), "float32", "pions", "histogram of pion momenta (px, py)", "X_0"),
                _label("0 Maxwell construction, 1 spinodal"),
            ),
            origin="surrogate",
            made_by="a two-dimensional expanding fluid with a van der Waals equation of state",
            licence=NOT_STATED,
            citation=f"Steinheimer et al., JHEP 12 (2019) 122, arXiv:1906.06562; {PAPER}",
            shard=2000,
        ),
        Spec(
            name="eos",
            official="EOSL",
            title="Equation of state of the quark-gluon plasma",
            file="3_EOSL_or_EOSQ_180k.npz",
            share="NXojejGjKdSJSR2",
            md5="c070a9743163c3f467ceb87ac4e19fd1",
            events=(126_850, 54_176),
            task="classification",
            target="label",
            classes=("EOSL (cross-over)", "EOSQ (first order)"),
            columns=(
                Column("image", (24, 24), "float32", "pions", "pion spectrum: rows pT, columns azimuth", "X_0"),
                _label("0 cross-over, 1 first order"),
            ),
            origin="surrogate",
            made_by="2+1D boost-invariant ideal hydrodynamics with Cooper-Frye sampling",
            licence=NOT_STATED,
            citation=f"Pang et al., Nature Commun. 9 (2018) 210, arXiv:1612.04262; {PAPER}",
            shard=1000,
        ),
        Spec(
            name="airshower",
            official="Airshower",
            title="Depth of the shower maximum of cosmic-ray air showers",
            file="4_airshower_100k_regression.npz",
            share="8oJoYcaCRaC9dL7",
            md5="367dc93bec6111a1990f85cc8ff58d1f",
            events=(70_000, 30_000),
            task="regression",
            target="xmax",
            classes=(),
            columns=(
                Column(
                    "signal", (9, 9, 80), "float32", "VEM", "trace of each station, bins of 25 ns; -1 silent", "X_0"
                ),
                Column("time", (9, 9, 1), "float32", "s", "arrival time at each station; -1 silent", "X_1"),
                Column("xmax", (), "float32", "g/cm²", "depth of the shower maximum", "y"),
                Column("lgE", (), "float32", "", "log10 of the energy in eV"),
                Column("mass", (), "float32", "", "mass number of the primary"),
                Column("axis", (3,), "float32", "", "unit vector from the core towards the shower's origin"),
            ),
            origin="generated",
            made_by="a vectorised parametrisation of station signals",
            licence=NOT_STATED,
            citation=f"Erdmann, Glombitza, Walz, Astropart. Phys. 97 (2018) 46, arXiv:1708.00647; {PAPER}",
            shard=2000,
        ),
        Spec(
            name="belle",
            official="Belle",
            title="Selection of simulated B-meson decays before the detector simulation",
            file="6_belle_selective_400k.npz",
            share="CWD9CdCHgizgNxq",
            md5="85b10c9df3903455ab247a0ab4b51e5f",
            events=(280_000, 120_000),
            task="classification",
            target="label",
            classes=("fails the selection", "passes the selection"),
            columns=(
                Column(
                    "particles",
                    (100, 9),
                    "float32",
                    "ns, GeV, cm",
                    "production time, energy, x, y, z, px, py, pz, token of the PDG identifier",
                    "X_0",
                ),
                Column("mother", (100,), "int16", "", "index of the mother; -1 for the root and for padding", "X_1"),
                _label("1 the event passes the selection"),
            ),
            origin="generated",
            made_by="Pythia 8, or phase space along the Belle II decay table, and a parametric selection",
            licence=NOT_STATED,
            citation=f"Kahn et al., CHEP 2019, EPJ Web Conf. 251 (2021) 03010; {PAPER}",
            shard=5000,
        ),
    )
}
NAMES = tuple(SPECS)


def spec(name: str) -> Spec:
    """The description of a data set.

    Raises:
        PhysicsError: there is none of that name.
    """
    if name not in SPECS:
        raise PhysicsError(f"dataset must be one of {', '.join(NAMES)}, but is {name!r}.")
    return SPECS[name]
