"""Several services as one: steps whose inputs name what earlier steps gave.

    from colonnade import workflows

    workflow = workflows.read(Path("affinities.yaml"))
    made = workflows.run(workflow, Path("out"))
    made.outputs["affinities"]

A workflow is a YAML file (see `document.Workflow`). `run` works in a folder: what was run there before with the same
service, version, inputs and seed is not run again.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "crate": ["unpack"],
        "document": ["Step", "Workflow", "dump", "parse", "read"],
        "examples": ["example", "titles"],
        "local": ["WorkflowRun", "run"],
        "picture": ["draw"],
        "plan": ["check", "order"],
    },
)
