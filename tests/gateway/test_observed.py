"""What programs that watch a gateway see: metrics, and logs as JSON."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from harness import ADDRESS, settings, submit
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from colonnade.gateway.app import create_app
from colonnade.gateway.core import Gateway
from colonnade.gateway.logs import JsonLines


@pytest.fixture
def watched(tmp_path: Path) -> Any:
    gateway = Gateway(settings(tmp_path / "data", metrics=True, log_format="json", trusted_proxies=("127.0.0.1",)))
    app = create_app(gateway)
    headers = {"authorization": f"Bearer {app.state.access.token}"}
    yield gateway, TestClient(app, base_url=ADDRESS, headers=headers, raise_server_exceptions=False)
    gateway.store.close()


def test_metrics(watched: Any) -> None:
    gateway, client = watched
    submit(gateway, "testing.double", n=1)
    client.get("/api/v1/jobs/nosuchjob")
    answer = client.get("/api/v1/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["colonnade_jobs", ("service", "testing.double"), ("state", "queued")] == 1
    assert samples["colonnade_database_up",] == 1
    labels = (("method", "GET"), ("route", "/api/v1/jobs/{id}"), ("status", "404"))
    assert samples["colonnade_request_seconds_count", *labels] == 1
    assert "nosuchjob" not in answer.text


def test_metrics_are_off_unless_asked_for(api: Any) -> None:
    assert api.get("/api/v1/metrics").status_code == 404


def test_logs_join_request_and_job(watched: Any, caplog: pytest.LogCaptureFixture) -> None:
    _gateway, client = watched
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("colonnade")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        headers = {"x-request-id": "abc-123"}
        answer = client.post("/api/v1/services/testing.double/jobs", json={"inputs": {"n": 1}}, headers=headers)
        client.get("/shared/very-secret")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert answer.headers["x-request-id"] == "abc-123"
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    queued = next(line for line in lines if line["message"] == "job queued")
    assert (queued["request"], queued["job"]) == ("abc-123", answer.json()["id"])
    request = next(line for line in lines if line["message"] == "request")
    assert (request["request"], request["status"], request["method"]) == ("abc-123", 201, "POST")
    assert "very-secret" not in stream.getvalue()
