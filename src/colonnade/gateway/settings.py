"""Every option of the gateway in one place: `COLONNADE_*` variables, or a TOML file with the same names."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import BaseModel, ByteSize, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from colonnade.errors import ColonnadeError

CONFIG_VARIABLE = "COLONNADE_CONFIG"


def _default_folder() -> Path:
    return platformdirs.user_data_path("colonnade")


def config_file() -> Path:
    """The TOML file that is read when it exists: `$COLONNADE_CONFIG`, else `config.toml` in the user's folder."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_config_path("colonnade") / "config.toml"


class Provider(BaseModel, extra="forbid", frozen=True):
    """An OpenID Connect provider: EGI Check-in, ORCID, a Keycloak of one's own. All else it tells by discovery."""

    name: str = Field(description='what the button says, e.g. "EGI Check-in"')
    issuer: str = Field(description="address below which /.well-known/openid-configuration is found")
    client_id: str
    client_secret: SecretStr = SecretStr("")
    scope: str = "openid email profile"


class BatchQueue(BaseModel, extra="forbid", frozen=True):
    """A queue of the batch system, and the largest job that it takes; a service goes to the first that holds it."""

    partition: str = Field("", description="the batch system's name of the queue or partition")
    cores: int = Field(64, ge=1, description="cores that jobs of this queue may hold at once, all together")
    memory: ByteSize = Field(ByteSize(64 << 30), description="most memory of one job")
    gpus: int = Field(0, ge=0, description="most accelerators of one job")
    walltime: timedelta = Field(timedelta(days=1), description="longest run time of one job")
    disk: ByteSize = Field(ByteSize(10 << 30), description="disk of one job, where the batch system asks for it")
    directives: tuple[str, ...] = Field((), description="further lines for the batch system; {gpus} is filled in")


BATCH_SYSTEMS = ("slurm", "htcondor", "pbs", "lsf", "sge")


class Settings(BaseSettings):
    """Options of one gateway; arguments win over `COLONNADE_*` variables, and these over the TOML file."""

    model_config = SettingsConfigDict(
        env_prefix="COLONNADE_", env_nested_delimiter="__", extra="ignore", validate_default=True, frozen=True
    )

    data: Path = Field(default_factory=_default_folder, description="folder of the database, the files and the runs")
    host: str = Field("127.0.0.1", description="address that the web server binds to")
    port: int = Field(8000, ge=0, le=65535, description="port of the web server; 0 takes any free one")
    hosts: tuple[str, ...] = Field((), description="further host names under which the gateway answers")
    database: str = Field("", description="SQLAlchemy URL of the database; empty: SQLite in the data folder")
    busy_timeout: float = Field(10.0, gt=0, description="seconds to wait for another writer of the database")

    scheduler: str = Field(
        "local", description='"local", a Dask scheduler (tcp:// or tls://), or slurm, htcondor, pbs, lsf, sge'
    )
    workers: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=1024, description="cores that jobs share here"
    )
    queues: dict[str, BatchQueue] = Field(default_factory=dict, description="queues of the batch system, by name")
    batch_host: str = Field("", description="address by which workers reach this machine; empty: found by itself")
    batch_port: int = Field(0, ge=0, le=65535, description="port for the workers, where a firewall asks; 0: any")
    batch_idle: float = Field(60.0, ge=0, description="seconds after which an idle allocation is given back")
    batch_patience: float = Field(86_400.0, gt=0, description="seconds to wait for an allocation before asking anew")
    batch_python: str = Field("", description="the Python of the workers; empty: the gateway's own")
    batch_prologue: tuple[str, ...] = Field((), description="shell lines before a worker starts, e.g. module load")
    storage: str = Field("", description="object store for files, e.g. s3://bucket/folder; empty: the data folder")
    storage_endpoint: str = Field("", description="address of the object store, where it is not Amazon's")
    storage_key: str = Field("", description="name of the access key")
    storage_secret: SecretStr = Field(SecretStr(""), description="the access key")
    storage_patience: float = Field(600.0, ge=0, description="seconds that a worker waits for the object store")
    preload: tuple[str, ...] = Field((), description="modules to import before a job's process is forked; light ones")
    isolation: Literal["", "auto", "required", "off"] = Field(
        "", description='jobs in bubblewrap: "auto", where it works; "required", "off"; empty: auto with accounts'
    )
    pass_environment: tuple[str, ...] = Field((), description="further variables that a job's process may see")

    upload_limit: ByteSize = Field(ByteSize(1_000_000_000), description="largest upload, e.g. '1 GB'")
    result_days: float = Field(0.0, ge=0, description="days after which jobs are deleted with their results; 0: never")
    upload_days: float = Field(7.0, gt=0, description="days after which an upload that no job uses is removed")
    log_limit: ByteSize = Field(
        ByteSize(2_000_000), description="most that is kept of what a job prints: its first and its last half"
    )
    file_limit: ByteSize = Field(ByteSize(20_000_000_000), description="largest file that a job may write")
    memory_limit: ByteSize | None = Field(None, description="memory of one job, whatever its service asks for")
    cancel_grace: float = Field(1.0, ge=0, le=60, description="seconds between asking a job to end and killing it")

    retries: int = Field(3, ge=0, description="how often a job is run again after its worker or gateway was lost")
    heartbeat: float = Field(5.0, gt=0, description="seconds between two signs of life of a gateway")
    heartbeat_stale: float = Field(60.0, gt=0, description="a gateway on another host is gone after this many seconds")
    poll: float = Field(1.0, gt=0, description="seconds between two looks at the queue when nothing was announced")

    metrics: bool = Field(False, description="answer Prometheus at /api/v1/metrics, to operators' tokens")
    log_format: Literal["text", "json"] = Field("text", description="warnings as text, or everything as lines of JSON")

    accounts: bool = Field(False, description="people sign in, and jobs and files are theirs; needs `public_url`")
    public_url: str = Field("", description="address by which browsers reach the gateway: http or https, host, port")
    registration: bool = Field(True, description="whether people may make accounts for themselves; needs `smtp`")
    smtp: SecretStr = Field(SecretStr(""), description="smtp://, smtp+starttls:// or smtps://USER:PASSWORD@HOST:PORT")
    mail_from: str = Field("", description="sender of the gateway's mails")
    oidc: dict[str, Provider] = Field(default_factory=dict, description="identity providers, by a short name")
    terms: Path | None = Field(None, description="text file with the terms of use; empty: a text of its own")
    terms_version: str = Field("1", max_length=32, description="who agreed to another version is asked again")
    session_days: float = Field(30.0, gt=0, description="days after which one has to sign in again")
    session_idle_days: float = Field(7.0, gt=0, description="days without a visit after which one signs in again")
    session_rotation: float = Field(3600.0, gt=0, description="seconds after which a cookie is exchanged for a new one")
    login_tries: int = Field(10, ge=1, description="wrong passwords for one address in a quarter of an hour")
    submits_per_minute: int = Field(600, ge=1, description="jobs and uploads that a person may send in a minute")
    trusted_proxies: tuple[str, ...] = Field((), description="addresses of proxies whose X-Forwarded-* is believed")

    quota_queued: int = Field(10_000, ge=0, description="jobs that one person may have in the queue")
    quota_running: int = Field(200, ge=0, description="jobs of one person that run at once")
    quota_cpu_hours: float = Field(5_000, ge=0, description="CPU hours of one person in a month")
    quota_storage: ByteSize = Field(ByteSize(100_000_000_000), description="files and results of one person")

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, value: str) -> str:
        if value not in ("local", *BATCH_SYSTEMS) and "://" not in value:
            raise ValueError(f'it must be "local", an address such as tcp://host:8786, or {", ".join(BATCH_SYSTEMS)}')
        return value

    @model_validator(mode="after")
    def _accounts_need_an_address(self) -> Settings:
        if self.accounts and not self.public_url.startswith(("http://", "https://")):
            raise ValueError("accounts need public_url, the http(s) address by which browsers reach the gateway")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def batch(self) -> bool:
        """Whether jobs run in allocations of a batch system."""
        return self.scheduler in BATCH_SYSTEMS

    @property
    def batch_queues(self) -> dict[str, BatchQueue]:
        """The queues in the order in which they are tried; one with the batch system's defaults when none is set."""
        return self.queues or {"default": BatchQueue()}

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data / 'colonnade.sqlite3'}"


def load_settings(**options: object) -> Settings:
    """The settings in force, `options` first.

    Raises:
        ColonnadeError: an option is malformed; the text names it and what is allowed.
    """
    try:
        return Settings(**options)  # type: ignore[arg-type]
    except ValidationError as error:
        found = error.errors()[0]
        name = ".".join(str(part) for part in found["loc"])
        if not name:
            raise ColonnadeError(f"{found['msg'].removeprefix('Value error, ').capitalize()}.") from None
        raise ColonnadeError(f"Setting {name}: {found['msg']} (it is {found['input']!r}).") from None
