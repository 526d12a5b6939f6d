"""REST v1 of the services: a list, and for each a path of its own whose OpenAPI schema is its inputs' schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from starlette.concurrency import run_in_threadpool

import colonnade
from colonnade.errors import BadInput, ColonnadeError, Problem, explain
from colonnade.gateway import views
from colonnade.gateway.api import PREFIX, Behind
from colonnade.gateway.core import MAX_TITLE, Gateway
from colonnade.gateway.limits import read_json
from colonnade.gateway.me import Me
from colonnade.gateway.person import ALONE, Person
from colonnade.gateway.problems import ProblemDetails, responses
from colonnade.runner import MAX_SEED
from colonnade.service import Service, get, services


class Submission(BaseModel):
    """What every service's path takes beside the service's own inputs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(0, ge=0, le=MAX_SEED, description="The same seed and inputs give the same result.")
    again: bool = Field(False, description="Run it also when an earlier identical job has the result already.")
    title: str = Field("", max_length=MAX_TITLE, description="A name for the job; has no influence on the result.")
    group: str | None = Field(
        None, max_length=26, description="Id of a group that sees the job, where there are groups."
    )


class Unavailable(ColonnadeError):
    """The service is installed but cannot run here."""


def submit(gateway: Gateway, service: Service[Any, Any], body: Any, person: Person = ALONE) -> views.Job:
    """Validate a request for a service and queue it.

    Raises:
        BadInput: with a sentence for each field that is wrong.
        Unavailable: the service cannot run here.
    """
    try:
        wanted = Submission.model_validate(body)
    except ValidationError as error:
        raise explain(error, Submission) from None
    reason = service.unavailable()
    if reason:
        raise Unavailable(f"{service.name} cannot run here: {reason}")
    try:
        inputs = service.parse(wanted.inputs, gateway.files_for(person))
        row = gateway.submit(
            service,
            inputs,
            seed=wanted.seed,
            again=wanted.again,
            title=wanted.title,
            person=person,
            group=wanted.group or None,
        )
    except BadInput as error:
        raise _below_inputs(error) from None
    return views.job_view(gateway, row)


def _below_inputs(error: BadInput) -> BadInput:
    """The findings with the fields' full place in the request."""
    return BadInput(
        Problem(p.field if p.field == "inputs" else f"inputs.{p.field}", p.message, p.value) for p in error.problems
    )


def make_router() -> APIRouter:
    """The routes of the services that are installed now."""
    router = APIRouter(prefix=f"{PREFIX}/services", tags=["services"])
    router.add_api_route("", list_services, methods=["GET"], responses=responses(), operation_id="list_services")
    router.add_api_route("/{name}", get_service, methods=["GET"], responses=responses(404), operation_id="get_service")
    for service in services().values():
        _add_path(router, service)
    router.add_api_route("/{name}/jobs", submit_unknown, methods=["POST"], include_in_schema=False)
    return router


def list_services() -> list[views.ServiceSummary]:
    """Every installed service."""
    return [views.ServiceSummary.of(service) for service in services().values()]


def get_service(name: str) -> views.ServiceDetail:
    """One service: schemas of its inputs and outputs, examples, limits, paper."""
    service = get(name)
    return views.ServiceDetail.of(
        service,
        description=service.description,
        inputs=service.inputs.model_json_schema(schema_generator=HttpSchema),
        outputs=service.outputs.model_json_schema(mode="serialization"),
        examples={title: dict(values) for title, values in service.examples.items()},
        limits=views.limits(service),
    )


def submit_unknown(name: str) -> None:
    """Where requests for services that are not installed end."""
    get(name)


def _add_path(router: APIRouter, service: Service[Any, Any]) -> None:
    async def submit_job(request: Request, response: Response, gateway: Behind, me: Me) -> views.Job:
        body = await read_json(request)
        job = await run_in_threadpool(submit, gateway, service, body, me)
        response.headers["location"] = f"{PREFIX}/jobs/{job.id}"
        return job

    router.add_api_route(
        f"/{service.name}/jobs",
        submit_job,
        methods=["POST"],
        status_code=201,
        summary=service.title,
        description=f"{service.summary}\n\n{service.description}\n\nMethod: {service.paper}",
        operation_id=f"submit_{service.name.replace('.', '_')}",
        responses=responses(409, 413, 415, 422, 507),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": _ref(_submission_name(service))}}},
            }
        },
    )


# --- the schema ----------------------------------------------------------------------------------


class HttpSchema(GenerateJsonSchema):
    """The schema of a service's inputs as they come over HTTP, where a file is an upload or a carried example."""

    def generate_inner(self, schema: Any) -> dict[str, Any]:
        made = super().generate_inner(schema)
        if made.get("format") != "file":
            return made
        example = {"type": "string", "pattern": "^example:[^/]+/[^/]+$", "description": "A file a service carries."}
        return {"anyOf": [made, example], **{key: made[key] for key in ("accept", "maxSize") if key in made}}


def _submission_name(service: Service[Any, Any]) -> str:
    return f"{service.name}.Submission"


def _ref(name: str) -> str:
    return f"#/components/schemas/{name}"


def _components(service: Service[Any, Any]) -> Mapping[str, Any]:
    """The schemas that a service's path refers to, each under the service's own name."""
    mode: JsonSchemaMode = "validation"
    keys, definitions = models_json_schema(
        [(service.inputs, mode)],
        schema_generator=HttpSchema,
        ref_template=_ref(f"{service.name}.{{model}}"),
    )
    found = {f"{service.name}.{name}": schema for name, schema in definitions.get("$defs", {}).items()}
    whole = Submission.model_json_schema()
    inputs = dict(keys[service.inputs, mode])
    whole["properties"]["inputs"] = inputs
    whole["title"] = f"Request for {service.name}"
    if any(field.is_required() for field in service.inputs.model_fields.values()):
        whole["required"] = ["inputs"]
    if service.examples:
        whole["examples"] = [{"inputs": dict(values)} for values in service.examples.values()]
    found[_submission_name(service)] = whole
    return found


def install_schema(app: FastAPI) -> None:
    """Have the application's OpenAPI description carry every service's inputs."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _describe(app: FastAPI) -> dict[str, Any]:
    described = get_openapi(
        title="Colonnade",
        version=colonnade.__version__,
        description="Run scientific services. Send the gateway's access token as `Authorization: Bearer TOKEN`.",
        routes=app.routes,
    )
    components = described.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["ProblemDetails"] = _inlined(ProblemDetails)
    for service in services().values():
        schemas |= _components(service)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"token": []}]
    return described


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    schema["properties"]["errors"]["items"] = definitions["FieldProblem"]
    return schema
