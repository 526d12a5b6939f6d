"""The OpenAPI description is true: every service has a typed path, and nothing that it allows makes a 5xx."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from harness import settings as gateway_settings
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from colonnade import report, runner
from colonnade.gateway import queue
from colonnade.gateway.app import create_app
from colonnade.gateway.core import Gateway
from colonnade.service import get

EXAMPLES = 8  # requests for each route and mode


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An application over a gateway that runs nothing, with one job that has ended."""
    gateway = Gateway(gateway_settings(tmp_path_factory.mktemp("schema"), upload_limit=1_000_000))
    made = create_app(gateway)
    made.state.job = _finished(gateway)
    yield made
    gateway.store.close()


def _finished(gateway: Gateway) -> str:
    """A job that has ended well."""
    service = get("showcase.complex")
    inputs = service.parse(service.example(), gateway.files)
    row = gateway.submit(service, inputs)
    with gateway.store.write() as session:
        (claim,) = queue.claim(session, "test", 9)
    runner.execute(gateway.directory_of(claim.run))
    report.complete(gateway.directory_of(claim.run))  # costly the first time
    with gateway.store.write() as session:
        queue.finish(session, claim.id, claim.attempt, "succeeded")
    return row.id


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
MODES = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_no_request_makes_a_server_error(app: Any, mode: Any) -> None:
    """Requests that the description allows, and such that it does not; every answer is one that it describes."""
    described = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=_headers(app))
    answered: Counter[int] = Counter()
    for found in described.get_all_operations():
        answered += _try(app, found.ok(), mode)
    assert answered.total() > 100
    assert {200, 404} <= answered.keys()
    assert answered[422] > 8 or mode is schemathesis.GenerationMode.POSITIVE


def _headers(app: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {app.state.access.token}", "host": "127.0.0.1:8000"}


def _try(app: Any, operation: Any, mode: Any) -> Counter[int]:
    """Send some requests to one operation, every other one about a job that there is; the statuses of the answers."""
    answered: Counter[int] = Counter()
    if operation.path.startswith("/api/v1/services/testing"):
        return answered  # their inputs are of the same kinds as those of the showcase

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def request(case: Any) -> None:
        if "id" in case.path_parameters and case.method == "GET" and answered.total() % 2:
            case.path_parameters["id"] = app.state.job
        response = case.call(headers=_headers(app), timeout=60)
        answered[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        request()
    return answered


def test_each_service_has_its_own_typed_path(app: Any) -> None:
    described = app.openapi()
    operation = described["paths"]["/api/v1/services/showcase.signal/jobs"]["post"]
    assert operation["operationId"] == "submit_showcase_signal"
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    whole = described["components"]["schemas"][reference.rpartition("/")[2]]
    inputs = described["components"]["schemas"][whole["properties"]["inputs"]["$ref"].rpartition("/")[2]]
    assert inputs["properties"]["length"]["minimum"] == 2
    assert inputs["properties"]["temperature"]["unit"] == "°C"
    assert inputs["additionalProperties"] is False


def test_every_reference_of_the_description_is_answered(app: Any) -> None:
    described = app.openapi()
    text = json.dumps(described)
    names = {part.split('"', 1)[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(described["components"]["schemas"])
    assert len(names) > 20
