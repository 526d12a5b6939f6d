"""Walking and optimised jumping of a small quadruped (arXiv:2107.00773): from one jump to whole missions.

    >>> from colonnade.quadruped import JumpSpec, Window, find_jump
    >>> answer = find_jump(JumpSpec(Window(sill=0.13, lintel=0.75), distance=0.12))
    >>> answer.feasible, answer.source
    (True, 'library')

`optimise_jump` solves a jump, `certify` checks it independently, `simulate_jump` runs it with disturbances in MuJoCo,
`Walker` trots under convex MPC, `plan_path` searches walks and jumps together, `navigate` runs a mission in a `World`.
Importing this package loads neither CasADi nor MuJoCo.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "answer": ["Answer", "find_jump", "largest_sill"],
        "certificate": ["Certificate", "certify", "clearance"],
        "errors": ["Cancelled", "InfeasibleJump", "InputError"],
        "gait": ["Command", "GaitConfig", "Walker"],
        "jump": ["optimise_jump"],
        "jump_spec": ["JumpPlan", "JumpSpec", "Window"],
        "learning": ["Learned", "learn"],
        "library": ["JumpLibrary", "standard_library"],
        "mapping": ["ElevationMap", "FoundWindow"],
        "mission": ["Metrics", "MissionConfig", "MissionResult", "navigate"],
        "mpc": ["ConvexMPC", "MPCWeights"],
        "plan": ["JumpEdge", "NoPath", "Path", "plan_path", "travel_cost"],
        "planar": ["planar_model"],
        "planfile": ["PlanRows", "from_mit", "read_mit", "to_mit"],
        "robot": ["MINI_CHEETAH", "Robot"],
        "robots": ["GO1", "ROBOTS"],
        "simulation": ["Diverged", "Simulation"],
        "track": ["JumpTracker", "TrackGains"],
        "trial": ["Disturbance", "Trial", "simulate_jump", "wilson"],
        "world": ["Obstacle", "Wall", "World", "random_world"],
    },
)
