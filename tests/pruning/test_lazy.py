"""The package's front: what it names is there, and naming it loads no engine."""

from __future__ import annotations

import subprocess
import sys

import colonnade.pruning


def test_every_name_is_there() -> None:
    for name in colonnade.pruning.__all__:
        assert getattr(colonnade.pruning, name) is not None


def test_importing_the_package_and_its_services_loads_no_engine() -> None:
    code = (
        "import colonnade.pruning, colonnade.pruning.services, sys; "
        "print({'torch', 'numpy', 'transformers', 'onnx', 'scipy', 'plotly'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
