"""Asynchronous successive halving (Li et al., arXiv:1810.05934) by Optuna's pruner: the weaker half stops early."""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.nas.data import Images
from colonnade.nas.errors import NasError
from colonnade.nas.spaces import Design
from colonnade.nas.training import Diverged, Schedule, train

RUNGS = 4  # validations of a training


def successive_halving(listed: Sequence[Design], data: Images, schedule: Schedule, seed: int = 0) -> list[float]:
    """Last validation accuracy of each network in %, NaN for one that diverged; weak ones are trained for less time.

    Raises:
        NasError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise NasError("halving needs a package that is not installed; install it with: pip install optuna.") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    found = []
    for architecture in listed:
        trial = study.ask()
        last = float("nan")

        def look(rung: int, accuracy: float, trial: optuna.Trial = trial) -> bool:
            nonlocal last
            last = accuracy
            trial.report(accuracy, rung)
            return bool(trial.should_prune())

        try:
            last = train(architecture, data, schedule, seed, look=look, looks=RUNGS).accuracy
            study.tell(trial, last)
        except Diverged:
            last = float("nan")
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        found.append(last)
    return found
