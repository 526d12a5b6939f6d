"""What the fork server of a worker imports before the first job: the keeper, the runner, and every service's module."""

from __future__ import annotations

from colonnade import service
from colonnade.gateway import keeper

service.services()

__all__ = ["keeper"]
