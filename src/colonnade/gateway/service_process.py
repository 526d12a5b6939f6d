"""The process in which a service runs: what it may see and use is set here, before any of its code runs."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from colonnade import runner
from colonnade.gateway import enclosure, processes
from colonnade.gateway.attempt import RUN_VARIABLE
from colonnade.gateway.order import Limits, Order

# What a job's process may see of the environment: nothing that could be a secret passes by accident.
PASSED = {
    *("CUDA_VISIBLE_DEVICES", "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "MPLCONFIGDIR", "PATH"),
    *("PYTHONPATH", "SHELL", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "XDG_CACHE_HOME"),
}
PASSED_PREFIXES = ("LC_", "COV_CORE_", "NUMBA_", "NVIDIA_", "CONDA_PREFIX")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
HEADROOM = 4 << 30  # address space that libraries reserve for data and never touch


def clean_environment(environment: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """The variables that a job's process may see."""
    allowed = {*PASSED, *also}
    return {name: value for name, value in environment.items() if name in allowed or name.startswith(PASSED_PREFIXES)}


def serve(order: Order, scratch: Path, output: int, verdict: int, keeper: int) -> NoReturn:
    """Become the service's process, run it, and leave; never returns into the code that forked it."""
    try:
        _settle_in(order, scratch, output, keeper)
        if order.isolate != "off":
            enclosure.enter(order, scratch, verdict)
    except BaseException as error:
        with suppress(BaseException):
            os.write(verdict, runner.sentence(error).encode())
        os._exit(1)
    perform(order.directory, verdict)


def perform(directory: Path, verdict: int) -> NoReturn:
    """Run the service, write down why there is no result at all if so, and leave."""
    code = 1
    try:
        runner.execute(directory)
        code = 0
    except BaseException as error:  # also when even the result could not be written, e.g. on a full disk
        with suppress(BaseException):
            os.write(verdict, runner.sentence(error).encode())
            traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _settle_in(order: Order, scratch: Path, output: int, keeper: int) -> None:
    os.setsid()
    processes.prctl(processes.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it died before the kernel was asked to tell
        os._exit(1)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(0o077)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    # New ones: those of the fork server remember what they were opened on.
    sys.stdout = open(1, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    _limit(order.limits)
    with suppress(OSError):  # when the machine runs out of memory, the job goes before its keeper
        Path("/proc/self/oom_score_adj").write_text("800")
    os.environ.update({name: str(order.cores) for name in THREADS})
    os.environ.update({RUN_VARIABLE: order.directory.name, "TMPDIR": str(scratch)})
    os.chdir(scratch)  # what an engine litters there is removed with it


def _limit(limits: Limits) -> None:
    """Bounds of the kernel, behind those of the keeper."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, limits.file_size)
    _lower(resource.RLIMIT_CPU, int(limits.cpu_seconds) + 2)
    _lower(resource.RLIMIT_DATA, 2 * limits.memory + HEADROOM)


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, hard))
