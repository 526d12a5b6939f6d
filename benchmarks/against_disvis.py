"""Interaction space of PRE5-PUP2: DisVis 2.2 and ours, one thread each, in turns.

    python benchmarks/against_disvis.py --peer CHECKOUT --peer-python PYTHON [--angle 20.83] [--rounds 3]

DisVis is a Python 2 program. CHECKOUT is a copy of its repository (commit 55fa7e5) whose code was brought to
Python 3 by hand and compiled (range, items, open, bool, module initialisation; nothing else), and PYTHON an
interpreter with numpy and pyfftw. Neither is part of this project. Times are of the search only, without
imports and compilation: wall clock, and processor time, which a busy machine disturbs less. The counts of
both are compared.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1] / "src" / "colonnade" / "structure" / "examples"

PEER = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from disvis.disvis import DisVis
from disvis.pdb import PDB
from disvis.main import parse_restraints
from disvis.rotations import proportional_orientations, quat_to_rotmat
data, angle = sys.argv[2], float(sys.argv[3])
search = DisVis()
search.receptor, search.ligand = PDB.fromfile(data + "/PRE5.pdb"), PDB.fromfile(data + "/PUP2.pdb")
search.distance_restraints = parse_restraints(open(data + "/PRE5-PUP2.dat"), search.receptor, search.ligand)
search.distance_restraints *= int(sys.argv[4])
quaternions, search.weights, _ = proportional_orientations(angle)
search.rotations = quat_to_rotmat(quaternions)
search.voxelspacing, search.interaction_radius = 2.0, 3.0
search.max_clash, search.min_interaction = 200.0, 300.0
search.interaction_restraints_cutoff = max(len(search.distance_restraints) - 3, 1)
before = time.perf_counter(), time.process_time()
search.search()
print(json.dumps({"wall": time.perf_counter() - before[0], "cpu": time.process_time() - before[1],
                  "rotations": len(search.weights), "complexes": search.accessible_complexes.tolist()}))
"""


def ours(angle: float, copies: int) -> dict[str, object]:
    import torch

    from colonnade.structure import interaction_space, read_restraints, read_structure

    torch.set_num_threads(1)
    bodies = [read_structure(DATA / name) for name in ("PRE5.pdb", "PUP2.pdb")]
    restraints = read_restraints(DATA / "PRE5-PUP2.dat")
    interaction_space(bodies[0], bodies[1], restraints, angle=62.8)
    before = time.perf_counter(), time.process_time()
    result = interaction_space(bodies[0], bodies[1], restraints * copies, angle=angle)
    return {
        "wall": time.perf_counter() - before[0],
        "cpu": time.process_time() - before[1],
        "rotations": result.rotations,
        "complexes": result.complexes.tolist(),
    }


def run(command: list[str]) -> dict[str, float]:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--peer", help="checkout of DisVis, brought to Python 3")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--angle", type=float, default=20.83)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=1, help="repeat the restraints, to see what they cost")
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    angle, copies = f"{arguments.angle:g}", str(arguments.copies)
    if arguments.ours:
        print(json.dumps(ours(arguments.angle, arguments.copies)))
        return
    commands = {"colonnade": [sys.executable, __file__, "--ours", "--angle", angle, "--copies", copies]}
    if arguments.peer:
        peer = [arguments.peer_python, "-c", PEER, arguments.peer, str(DATA), angle, copies]
        commands = {"DisVis 2.2": peer, **commands}
    rounds = [{name: run(command) for name, command in commands.items()} for _ in range(arguments.rounds)]
    print("                  ms/rotation: wall (best)   cpu (best, median)   ratio cpu (best, median)")
    first = next(iter(commands))
    per = {
        name: {key: np.array([1e3 * r[name][key] / r[name]["rotations"] for r in rounds]) for key in ("wall", "cpu")}
        for name in commands
    }
    for name in commands:
        cpu, base = per[name]["cpu"], per[first]["cpu"]
        print(
            f"{name:18} {per[name]['wall'].min():24.2f} {cpu.min():12.2f} {np.median(cpu):7.2f} "
            f"{base.min() / cpu.min():18.2f} {np.median(base / cpu):7.2f}"
        )
    if len(commands) == 2:
        a, b = (np.array(rounds[0][name]["complexes"]) for name in commands)
        print(f"largest relative difference of the counts: {np.abs(a / b - 1).max():.1e}")


if __name__ == "__main__":
    main()
