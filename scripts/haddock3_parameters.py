"""Write data/haddock3_parameters.json: the parameters of HADDOCK3's modules, from the engine's own tables.

    PYTHON_OF_HADDOCK3 scripts/haddock3_parameters.py > src/colonnade/structure/data/haddock3_parameters.json

Facts only: type, default, range, choices and level. Execution, files and hidden parameters are left out: the
server sets them.
"""

import json
import re
from importlib.resources import files

import yaml

MODULES = {
    "rigidbody": "sampling", "flexref": "refinement", "emref": "refinement", "mdref": "refinement",
    "seletop": "analysis", "clustfcc": "analysis", "seletopclusts": "analysis", "caprieval": "analysis",
    "topoaa": "topology",
}  # fmt: skip
LEVELS = {"easy": "basic", "expert": "expert", "guru": "guru"}
TYPES = {"boolean", "integer", "float", "string"}
SERVERS_OWN = {"executable", "lovoalign_exec", "log_level", "iniseed", "plot_matrix"}

tables = {}
for module, family in MODULES.items():
    table = yaml.safe_load((files("haddock") / "modules" / family / module / "defaults.yaml").read_text())
    rows = {}
    for name, entry in table.items():
        if not isinstance(entry, dict) or entry.get("type") not in TYPES or entry.get("explevel") not in LEVELS:
            continue
        # Families by molecule, segment or symmetry pair (c2sym_sta1_1, nrair_3) need a form of their own.
        if name in SERVERS_OWN or re.search(r"_\d+$|^nseg|^n[cs]\dsym$", name):
            continue
        kept = ("type", "default", "min", "max", "choices")
        rows[name] = {key: entry[key] for key in kept if entry.get(key) is not None}
        rows[name]["level"] = LEVELS[entry["explevel"]]
        if isinstance(rows[name].get("default"), float) and rows[name]["default"] != rows[name]["default"]:
            del rows[name]["default"]  # NaN: not set
    tables[module] = rows
lines = [f"  {json.dumps(module)}: {json.dumps(rows, allow_nan=False)}" for module, rows in tables.items()]
print("{\n" + ",\n".join(lines) + "\n}")
