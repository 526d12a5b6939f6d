"""The commands, and the parser that is made of them. What a command needs is imported when it is the one."""

from __future__ import annotations

import errno
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError

import colonnade
from colonnade.cli import options
from colonnade.cli.output import STOPPED, refuse, say
from colonnade.errors import ColonnadeError, JobFailed
from colonnade.runner import sentence
from colonnade.service import Service, get, services

_HELP = {"--help", "-h"}
_RUN = Group("This run", sort_key=-1)


def run(arguments: list[str]) -> int:
    """Parse and do what the arguments say; every error becomes a sentence and an exit code."""
    as_json = "--json" in arguments
    try:
        app = parser(arguments)
        result = app(
            _spelled(arguments),
            exit_on_error=False,
            print_error=False,
            verbose=False,
            result_action="return_value",
        )
    except KeyboardInterrupt:
        say("Stopped.")
        return STOPPED
    except CycloptsError as error:
        return refuse(ColonnadeError(_sentence(error)), as_json=as_json)
    except ColonnadeError as error:
        return refuse(error, as_json=as_json)
    except OSError as error:  # a full disk, a folder that may not be written, a closed pipe
        return refuse(JobFailed(_trouble(error)), as_json=as_json)
    return result if isinstance(result, int) else 0


def _trouble(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return sentence(error)
    return f"{error.strerror or type(error).__name__}{f': {error.filename!r}' if error.filename else ''}."


def _spelled(arguments: list[str]) -> list[str]:
    """Options as they are declared: a field's own spelling, `--lattice_size`, is an option's, `--lattice-size`."""
    if "--" in arguments:
        end = arguments.index("--")
        return _spelled(arguments[:end]) + arguments[end:]
    return [
        re.sub(r"^--[^=]+", lambda found: found[0].replace("_", "-"), word) if word.startswith("--") else word
        for word in arguments
    ]


def _sentence(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{error.unused_tokens[0]!r} is not expected here; values belong behind the name of an option."
    text = " ".join(str(error).split()).replace('"', "'")
    return text if text.endswith((".", "?")) else f"{text}."


def parser(arguments: list[str]) -> App:
    """The whole command; options of services are made only for the one that is named, unless all are asked for."""
    app = App(
        name="colonnade",
        help="Scientific methods as commands, web pages and a Python library.",
        version=colonnade.__version__,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for name, (target, help) in _COMMANDS.items():
        app.command(target, name=name, help=help)
    run_app = App(name="run", help="Run a service here, in a folder of its own.", help_format="plaintext")
    submit_app = App(name="submit", help="Run a service on a gateway.", help_format="plaintext")
    choices = bool({"--install-completion", *_HELP} & set(arguments))
    for name, group, function, common in (
        ("run", run_app, _run, _run_options()),
        ("submit", submit_app, _submit, _submit_options()),
    ):
        for service in _wanted(arguments, name):
            group.command(_command(service, function, common, choices=choices), name=service.name)
        app.command(group)
    app.register_install_completion_command()
    return app


# Named, not imported: each is loaded when it is the one.
_COMMANDS = {
    "services": ("colonnade.cli.listing:command", "List the installed services."),
    "show": ("colonnade.cli.local:show", "What a service does, takes and gives."),
    "report": ("colonnade.cli.local:report", "Make the report of a run directory again."),
    "serve": ("colonnade.cli.serving:serve", "Serve the gateway until Ctrl-C."),
    "login": ("colonnade.cli.remote:login", "Remember a gateway and the token for it."),
    "status": ("colonnade.cli.remote:status", "How a job on a gateway is, or the last jobs."),
    "fetch": ("colonnade.cli.remote:fetch", "Bring a finished job's run directory here."),
    "cancel": ("colonnade.cli.remote:cancel", "End a job on a gateway."),
    "workflow": ("colonnade.cli.workflow:app", "Run several services as one."),
    "admin": ("colonnade.cli.admin:app", "Operate a gateway: accounts, its database."),
    "engines": ("colonnade.cli.engines:app", "List, install and check external programs that services may use."),
}


def _wanted(arguments: list[str], command: str) -> list[Service[Any, Any]]:
    """The services that need a parser: the named one; all of them for lists, help and completion.

    Raises:
        UnknownService: the named one is not installed (nor, to submit, on the gateway).
        ColonnadeError: none is named before the options.
    """
    if arguments[:1] == [command] and len(arguments) > 1 and not arguments[1].startswith("-"):
        return [get(arguments[1]) if command == "run" else _anywhere(arguments[1], arguments)]
    if arguments[:1] == [command] and len(arguments) > 1 and not _HELP & set(arguments):
        raise ColonnadeError(f"A service comes first: `colonnade {command} SERVICE`; `colonnade services` lists them.")
    everywhere = not arguments or arguments[0] in (command, "--install-completion")
    return list(services().values()) if everywhere else []


def _anywhere(name: str, arguments: list[str]) -> Service[Any, Any]:
    """A service to submit: the installed one, else the gateway's, whose package need not be installed here."""
    if name in services():
        return get(name)
    from colonnade.cli import abroad
    from colonnade.client import GatewayError

    try:
        return abroad.service(name, arguments)
    except GatewayError:
        return get(name)  # says that it is not installed, and what is


def _command(
    service: Service[Any, Any], function: Callable[..., int], common: list[inspect.Parameter], *, choices: bool
) -> Callable[..., int]:
    """A function whose signature is the service's options; cyclopts reads no more of it than that."""

    def command(**values: Any) -> int:
        own = {parameter.name: values[parameter.name] for parameter in common if parameter.name in values}
        own["seed"] = options.seed(own.get("seed"))
        return function(service, options.given(service.inputs, values), **own)

    made: Any = command
    made.__signature__ = options.signature(service.inputs, common, choices=choices)
    made.__annotations__ = {name: item.annotation for name, item in made.__signature__.parameters.items()}
    made.__name__ = service.name.replace(".", "_")
    made.__doc__ = f"{service.title}: {service.summary}"
    return command


def _keyword(name: str, annotation: Any, default: Any, help: str) -> inspect.Parameter:
    parameter = Parameter(name=f"--{name}", help=help, group=_RUN, negative=(), show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, parameter]
    )


def _base_options() -> list[inspect.Parameter]:
    inputs = "A YAML or JSON file of inputs, or the job.json of an earlier run; options win over it."
    return [
        _keyword("inputs", Path | None, None, inputs),
        _keyword("example", str | None, None, "Start from an example, by its title ('' for the first)."),
        _keyword("seed", str | None, None, "A whole number, the only source of randomness (default: 0)."),
        _keyword("json", bool, False, "Answer with one JSON document, and show no progress."),
    ]


def _run_options() -> list[inspect.Parameter]:
    folder = "Folder of the run, empty or absent (default: ./colonnade-runs/SERVICE-N)."
    return [*_base_options(), _keyword("output", Path | None, None, folder)]


def _submit_options() -> list[inspect.Parameter]:
    return [
        *_base_options(),
        _keyword("again", bool, False, "Run it even when the same run is known."),
        _keyword("wait", bool, False, "Stay until it has ended."),
        _keyword("url", str | None, None, "The gateway (default: the one of the last login)."),
    ]


def _run(*given: Any, **own: Any) -> int:
    from colonnade.cli.local import run_service

    return run_service(*given, **own)


def _submit(*given: Any, **own: Any) -> int:
    from colonnade.cli.remote import submit_service

    return submit_service(*given, **own)
