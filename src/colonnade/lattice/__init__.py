"""Sampling lattice field theories with several vacua: flows, classical samplers, exact answers.

After Hackett et al., *Flow-based sampling for multimodal and extended-mode distributions in lattice field theory*
(arXiv:2107.00734). Actions are `ScalarAction`s, configurations are arrays (n, L_1, ..., L_d), every sampler is a
kernel `kernel(state, rng) -> state, info`, and every estimate carries an error and a verdict.

>>> from colonnade.lattice import HMC, Composite, Flip, ScalarAction, sample, torus
>>> action = ScalarAction.from_albergo(m2=-4, lam=6.975)
>>> run = sample(action, (4, 4), Composite([HMC(action), Flip(action)]), n=500, chains=32, seed=1)
>>> chi2 = run.estimates["chi2"]
>>> abs(chi2.value - torus(action, (4, 4)).chi2) < 4 * chi2.error
True

Flows: `build(FlowConfig((8, 8)))`, `fit(flow, action)`, `FlowProposal(flow, action)`, `Independence` as a kernel.
Importing this module loads neither torch nor numba; they load when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "action": ["Couplings", "ScalarAction"],
        "annealed": ["Annealing", "thermodynamic_integration"],
        "conditional": ["ConditionalFlow", "Line"],
        "diagnostics": [
            "Estimate",
            "Verdict",
            "flow_verdict",
            "forward_ess",
            "forward_log_z",
            "log_z",
            "mode_weights",
            "reverse_ess",
            "tau_int",
            "tunnelling_rate",
        ],
        "ensemble": ["Ensemble", "sample"],
        "errors": ["LatticeError"],
        "exact": ["Exact", "chain1d", "free_field", "ising_kaufman", "site", "torus"],
        "flow": [
            "RECIPES",
            "Density",
            "Flow",
            "FlowConfig",
            "FlowProposal",
            "Mixture",
            "Symmetrised",
            "build",
        ],
        "hotrg": ["hotrg"],
        "mcmc": [
            "HMC",
            "Composite",
            "Flip",
            "FourierHMC",
            "Independence",
            "Kernel",
            "Metropolis",
            "Proposal",
            "State",
            "Wolff",
            "initial_state",
        ],
        "shelf": ["zoo"],
        "stochastic": ["StochasticFlow"],
        "target": ["Target"],
        "train": ["History", "TrainConfig", "Trainer", "fit", "reference_fields"],
        "transfer": ["transfer"],
        "weights": ["Weights", "load_weights", "save_weights"],
    },
)
