"""Build the meta-database of `colonnade.nas`: about 1,600 short trainings, an hour or two of one core.

    python scripts/build_nas_metadb.py tasks.npz SHARDS metadb.csv.gz [--space mobilenet]

It may be stopped and started again; what is there already is not run twice. `--merge` only gathers what
there is; `--space mobilenet` runs the smaller plan of the larger space, eight networks a task;
`--from-end` goes through the plan backwards, for a second process that meets the first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from colonnade.nas import metadb


def main() -> None:
    tasks, folder, out = map(Path, sys.argv[1:4])
    names = sorted(metadb.Tasks(tasks).families)
    trials = metadb.plan(names, 8, space="mobilenet") if "--space" in sys.argv else metadb.plan(names)
    if "--merge" in sys.argv:
        files = [piece.file for piece in metadb.shards(tasks, folder, trials)]
        found = [outcome for file in files if file.exists() for outcome in metadb.read_shard(file)]
    else:
        backwards = (
            (lambda function, pieces: [function(p) for p in reversed(pieces)]) if "--from-end" in sys.argv else None
        )
        found = metadb.build(tasks, folder, trials, backwards)
    metadb.save(found, out)
    print(f"{len(found)} of {len(trials)} trainings, {sum(o.seconds for o in found):.0f} CPU-seconds; two trainings "
          f"of one network correlate by {metadb.noise_ceiling(found):.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
