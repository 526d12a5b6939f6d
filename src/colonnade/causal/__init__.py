"""Causal discovery in visual model-based reinforcement learning (Ke et al., arXiv:2107.00848).

Two worlds with known causal graphs, thousands of times faster than one Python environment; world models and what
they really learn; and causal discovery on a table of your own.

    >>> from colonnade.causal import ChemistryWorld, certificate, compare, discover, table_of
    >>> world = ChemistryWorld(graph="chain3", colors=3, min_edge_tv=0.2, seed=0)
    >>> [edge.identifiable for edge in certificate(world, rows=2000)]
    [True, True]
    >>> data = world.collect(episodes=100, steps=50, seed=1)        # 5,000 random interventions
    >>> found = discover(table_of(data), method="interventional", alpha=0.001)
    >>> found.edges()
    [('x0', 'x1'), ('x1', 'x2')]
    >>> compare(found.adjacency, world.structure.adjacency).shd
    0

Importing this package loads neither torch nor numba: each name is imported when it is first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "baselines": ["Predictor", "StatePredictor", "trivial_predictors"],
        "data": ["Transitions", "collect", "ood_splits"],
        "discovery": ["Discovery", "discover"],
        "env": ["CausalEnv", "CausalVectorEnv", "env_ids"],
        "errors": ["CausalError"],
        "evaluation": ["Scores", "evaluate", "reconstruction"],
        "graph": ["Edge", "Graph", "parse_graph"],
        "influence": ["Comparison", "Influence", "compare", "influence_matrix", "next_intervention"],
        "knowledge": ["Knowledge"],
        "mechanism": ["edge_information", "edge_strength"],
        "metrics": ["Identification", "Ranking", "identification", "ranking"],
        "models": ["ModelConfig", "WorldModel"],
        "oracle": ["certificate", "expected_match", "interventional", "log_likelihood", "next_state"],
        "planning": ["Plans", "plan"],
        "reward": ["RewardHead", "fit_reward"],
        "simulation": ["simulator"],
        "table": ["InterventionTable", "make_table", "read_table", "table_of"],
        "training": ["Curve", "fit"],
        "zoo": ["pretrained"],
        "world": ["ChemistryWorld", "PhysicsWorld"],
    },
)
