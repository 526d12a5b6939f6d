"""Shared data of fundamental physics, loaded or generated, and one graph network for all of it.

    >>> from colonnade import physics
    >>> showers = physics.generate("airshower", n=300, seed=7)      # or physics.load("airshower", "test", folder)
    >>> showers
    Dataset(airshower, 300 events, 2 shards)
    >>> showers.arrays(["signal"], stop=2)["signal"].shape         # VEM, 25 ns a bin
    (2, 9, 9, 80)
    >>> graph = physics.Builder("airshower").fit(showers.arrays())(showers.arrays(stop=2))
    >>> graph.edge_index.shape[1]                                   # 8-connected grid, both directions
    1088

Importing this package loads no engine: each name is imported when it is first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "benchmark": ["compare"],
        "cards": ["data_card", "model_card"],
        "catalog": ["describe", "generate", "load"],
        "decays": ["DecaySettings", "check_tree", "table_trees"],
        "errors": ["MissingEngine", "PhysicsError"],
        "features": ["Builder"],
        "graphs": ["Graph", "knn"],
        "jetclass": ["classify", "load_jetclass"],
        "jets": ["JetSettings", "make_jets"],
        "metrics": ["auc", "rejection", "roc"],
        "models": ["MODELS", "build"],
        "multitask": ["pretrain", "shared_weights"],
        "official": ["to_npz"],
        "schema": ["NAMES"],
        "shards": ["Dataset"],
        "showers": ["ShowerSettings", "air_showers"],
        "symmetry": ["infrared_safety", "invariances"],
        "training": ["carried_tagger", "evaluate", "fit", "load_model"],
        "user_jets": ["read_jets"],
    },
)
