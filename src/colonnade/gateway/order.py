"""What the gateway hands to a worker so that it runs one attempt of one job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # workers read neither settings nor the database
    from colonnade.gateway.settings import Settings
    from colonnade.service import Resources

Isolation = Literal["auto", "required", "off"]


@dataclass(frozen=True)
class Limits:
    """What one attempt may use, all its processes together unless said otherwise; sizes in bytes, times in seconds."""

    memory: int
    walltime: float
    cpu_seconds: float
    file_size: int
    log: int
    grace: float

    @classmethod
    def of(cls, resources: Resources, settings: Settings) -> Limits:
        """The limits of a service under a gateway's settings; CPU time is wall-clock time on every core it has."""
        walltime = resources.walltime.total_seconds()
        return cls(
            memory=int(settings.memory_limit or resources.memory_bytes),
            walltime=walltime,
            cpu_seconds=walltime * max(resources.cores, 1),
            file_size=int(settings.file_limit),
            log=int(settings.log_limit),
            grace=settings.cancel_grace,
        )


@dataclass(frozen=True)
class Order:
    """One attempt: where, by which limits, on how many cores.

    `isolate`: in bubblewrap, where `hidden` files and folders are not seen and there is a network only with `network`.
    """

    key: str
    attempt: int
    directory: Path
    cores: int
    limits: Limits
    gpus: int = 0
    isolate: Isolation = "off"
    network: bool = True
    hidden: tuple[Path, ...] = ()


def plain_size(size: float) -> str:
    """Bytes as people write memory: "2 GiB", "300 MiB"."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} bytes"


def plain_time(seconds: float) -> str:
    """A duration as people write it: "1 hour", "90 seconds"."""
    for unit, factor in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= factor and seconds % factor == 0:
            return _counted(seconds / factor, unit)
    return _counted(seconds, "second") if seconds < 3_600 else str(timedelta(seconds=round(seconds)))


def _counted(number: float, unit: str) -> str:
    return f"{number:g} {unit}" + ("" if number == 1 else "s")
