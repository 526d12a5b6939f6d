"""Structural biology: what is known of a protein complex, from its structure or from sparse data.

    >>> from colonnade.structure import binding_affinity, example, read_structure
    >>> complex = read_structure(example("2OOB"))       # PDB or mmCIF; complex.issues says what was not clean
    >>> complex.chains
    ('A', 'B')
    >>> result = binding_affinity(complex, ["A", "B"], temperature=25.0)
    >>> print(f"ΔG = {result.delta_g:.2f} ± {result.delta_g_error} kcal/mol, {result.n_contacts} contacts")
    ΔG = -6.23 ± 1.9 kcal/mol, 36 contacts

Importing this package loads no engine: each name is imported when it is first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "affinity": [
            "BindingAffinity",
            "Contact",
            "InterfaceResidue",
            "binding_affinity",
            "dissociation_constant",
        ],
        "capri": ["Capri", "Reference", "capri", "dockq"],
        "clusters": ["cluster", "common_contacts"],
        "docking": ["Cluster", "Docking", "Pose", "dock"],
        "dynamics": ["Dynamics", "Settings", "simulate"],
        "examples": ["example", "example_files"],
        "fitting": ["Fit", "MapFit", "fit_map", "read_map", "simulated_map"],
        "ligands": ["LigandAffinity", "LigandContact", "ligand_affinity", "small_molecules"],
        "plots.affinity": ["contact_classes", "contact_map"],
        "plots.fitting": ["correlation_slices", "fit_scores"],
        "plots.ligands": ["atom_contacts", "pocket"],
        "plots.space": [
            "complexes_by_restraints",
            "interaction_matrix",
            "residue_interactions",
            "restraint_scores",
            "subsets",
            "violation_map",
        ],
        "prepare": ["OPERATIONS", "PRESETS", "Operation", "Prepared", "parse_pipeline"],
        "restraints": [
            "AtomId",
            "CROSSLINKERS",
            "Restraint",
            "RestraintError",
            "crosslink",
            "distances",
            "format_disvis",
            "format_tbl",
            "interface_restraints",
            "parse_restraints",
            "read_restraints",
        ],
        "rotations": ["RotationSet", "rotation_set"],
        "space": ["SearchPlan", "advice", "interaction_space"],
        "space_result": ["Contacts", "InteractionSpace", "Placement"],
        "structures": [
            "ResidueId",
            "Structure",
            "StructureError",
            "check_structure_file",
            "join",
            "read_models",
            "read_structure",
        ],
        "plots.tensor": ["correlation_plot", "deviation_plot", "resampling_plot"],
        "workflow": ["Screening", "affinity_of", "screen"],
        "tensor_data": ["Datum", "TensorFit", "fit_tensor", "parse_data"],
        "tensor": ["Tensor", "TensorError", "dipolar_maximum", "fit_pcs", "fit_rdc"],
        "voxels": ["DensityMap"],
    },
)
