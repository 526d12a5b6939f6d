"""A real S3 server process for tests: moto's, which keeps its buckets in memory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from harness import until

BUCKET = "colonnade"
KEYS = {"storage_key": "testing", "storage_secret": "testing-secret"}


class Server:
    """One bucket behind a port of this machine."""

    def __init__(self) -> None:
        pytest.importorskip("moto.server", reason="moto is not installed (pip install 'moto[server]')")
        pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": "0"},
        )
        until(self._answers, "the S3 server", 120)
        self.client().create_bucket(Bucket=BUCKET)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.address,
            region_name="us-east-1",
            aws_access_key_id=KEYS["storage_key"],
            aws_secret_access_key=KEYS["storage_secret"],
        )

    def names(self, prefix: str = "") -> list[str]:
        found = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in found for item in page.get("Contents", ())]

    def put(self, name: str, content: bytes) -> None:
        self.client().put_object(Bucket=BUCKET, Key=name, Body=content)

    def freeze(self) -> None:
        """Answer nobody any more, as a server that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
        self.process.kill()
        self.process.wait()


@contextmanager
def server() -> Iterator[Server]:
    found = Server()
    try:
        yield found
    finally:
        found.stop()
