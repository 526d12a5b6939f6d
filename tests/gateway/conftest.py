"""The services of `plugin/` are installed for these tests, here and in every process they start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from colonnade import service

PLUGIN = str(Path(__file__).parent / "plugin")

if PLUGIN not in sys.path:
    sys.path.insert(0, PLUGIN)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PLUGIN, os.environ.get("PYTHONPATH")]))
    service._load.cache_clear()
    service._distributions.cache_clear()
