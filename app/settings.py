"""Every setting of Headrace: `HEADRACE_<NAME>` in the environment, or `HEADRACE_<NAME>_FILE` for what is better kept in a file.

Read in the composition roots only (app/bootstrap.py, worker/runtime.py, devstack, cli); everything inside gets plain values.
docs/settings.md is made from this file.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

PREFIX = "HEADRACE_"

# What Kubernetes injects into every pod for a service called "headrace".
_KUBERNETES = re.compile(r"HEADRACE_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)$")
# Read by the command line client and the embedded stack, not by the services.
READ_ELSEWHERE = {"HEADRACE_URL", "HEADRACE_API_KEY", "HEADRACE_USER_ID"}


class SettingsError(Exception):
    """The environment does not make sense; the text says which name, and what is near it."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _no_slash(value: str | None) -> str | None:
    return value.rstrip("/") if value else None


Names = Annotated[list[str], BeforeValidator(_split)]
Ports = Annotated[list[int], BeforeValidator(_split)]
Base = Annotated[str | None, AfterValidator(_no_slash)]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8811, ge=0, le=65535, description="Port that the API listens on.")
    public_url: Base = Field(None, description="What the outside calls us, e.g. `https://uploads.example.com`. Without it: the Host header, if it is allowed.")
    allowed_hosts: Names = Field(["localhost", "127.0.0.1", "[::1]"], description="Host names (without port) under which we may name ourselves in answers.")
    answer_hosts: Names = Field(
        ["*"], description="Host names (without port) that are answered to; a request or socket under another is refused with 421. `*`: any."
    )
    trusted_proxies: Names = Field([], description="Addresses or networks whose X-Forwarded-Host, -Proto and -For count.")
    cors_origins: Names = Field([], description="Browser origins that may call us and open sockets. `localhost`: any origin on a localhost name. `*`: all.")
    ws_tickets: Literal["auto", "required", "off"] = Field(
        "auto",
        description="What opens a socket without an API key. `auto`: a random UUID's bare name, else the token of ws-address. "
        "`required`: a ticket, once, within 60 s. `off`: every bare name.",
    )
    sockets_per_channel: int = Field(16, ge=1, description="Sockets and event streams that may be open on one channel, in one API process.")
    sockets_per_owner: int = Field(100, ge=1, description="Sockets and event streams that may be open of one owner, in one API process.")
    sockets_per_process: int = Field(20_000, ge=1, description="Sockets and event streams that one API process serves.")
    park_sockets: bool = Field(True, description="Where it can be (Linux, TLS ended before us), an idle socket costs a descriptor and no transport.")
    drain_seconds: float = Field(
        5, ge=0, le=60, description="A process that is told to stop closes its sockets and event streams spread over so long; few ones at once."
    )
    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="The one Redis: broker, ledger and events.")
    redis_prefix: str = Field("headrace:", min_length=1, description="Begins every key, Celery key and pub/sub name.")
    redis_timeout_seconds: float = Field(1.0, gt=0, le=60, description="How long the API waits for Redis before it does without.")
    storage_url: str = Field("", description="`file:///folder` or `s3://bucket/prefix`. The embedded stack: the data folder.")
    s3_endpoint_url: Base = Field(None, description="Where the bucket is, when it is not on AWS.")
    s3_region: str | None = Field(None, description="Region of the bucket.")
    s3_access_key_id: SecretStr | None = Field(None, description="Unset: AWS's own credential chain.")
    s3_secret_access_key: SecretStr | None = Field(None, description="Unset: AWS's own credential chain.")
    s3_public_endpoint_url: Base = Field(None, description="What clients call the S3 endpoint, for presigned links.")
    s3_ca_bundle: Path | None = Field(None, description="Certificates of the authority that signed the S3 endpoint's.")
    unsafe_store: bool = Field(False, description="Start even on a store without create-only PUT. Uploads can then be lost.")
    api_keys: SecretStr | None = Field(None, description="`organisation:hash[:scope+scope],…` as `headrace keys create` prints them.")
    api_keys_file: Path | None = Field(None, description="The same, one a line; read again when it changes.")
    guesses_per_minute: int = Field(20, ge=1, description="Wrong keys and tokens of one client address, in one API process, before it is told to wait.")
    policy_file: Path | None = Field(None, description="TOML with profiles of uploads and quotas of organisations; docs/operations.md shows one.")
    uploads_per_minute: int = Field(3000, ge=0, description="Sources that one user may submit in a minute. 0: not limited.")
    registrations_per_minute: int = Field(3000, ge=0, description="Channels that one user may open in a minute. 0: not limited.")
    bytes_per_day: int = Field(0, ge=0, description="Bytes that one user may submit in a day. 0: not limited.")
    open_per_owner: int = Field(
        0, ge=0, description="Sources of one user that may be open at once, at work or waiting for it; more are refused with 429. 0: not limited."
    )
    dev_key: SecretStr | None = Field(None, description="A key in the clear, for organisation `dev`. The embedded stack makes one.")
    secret_keys: SecretStr | None = Field(
        None, description="Current and previous secret, comma between: signs links and tokens, peppers keys. 32 characters at least."
    )
    deployment: str = Field("dev", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Name of this deployment; a store of another name is refused.")
    data_dir: Path = Field(Path(".headrace"), description="The embedded stack's data.")
    scratch_dir: Path | None = Field(None, description="Where workers put a document while they read it. Unset: the system's temp folder.")
    scratch_bytes: int = Field(20 * 1024**3, ge=0, description="How much of it the workers of a machine may use.")
    pulse_dir: Path | None = Field(None, description="Where each worker keeps its pulse, a file that is as old as its last good moment. Unset: nowhere.")
    stuck_seconds: float = Field(60, ge=1, description="A worker that takes nothing for so long, though something waits and it is idle, is not well.")
    flower_port: int = Field(5555, ge=0, le=65535, description="Flower, on 127.0.0.1.")
    metrics_port: int = Field(9811, ge=0, le=65535, description="Prometheus metrics of the API, on 127.0.0.1.")
    workers: int = Field(
        default_factory=lambda: 1 + min(2, os.cpu_count() or 1),
        ge=1,
        le=256,
        description="Worker processes of the embedded stack. The first of several takes from the lane `fast` only, the others from all.",
    )
    api_processes: int = Field(1, ge=1, le=64, description="API processes of the embedded stack.")
    max_upload_bytes: int = Field(5 * 1024**3, ge=1, description="The largest upload.")
    max_request_bytes: int | None = Field(
        None, ge=1, description="What several files in one request may have together. Unset, or less than one upload may have: as much as one."
    )
    buffer_bytes: int = Field(256 * 1024**2, ge=32 * 1024**2, description="What all uploads of one API process may hold in memory together.")
    body_stall_seconds: float = Field(60, gt=0, description="A body of which nothing comes for so long is given up.")
    store_threads: int = Field(32, ge=2, le=512, description="Store calls that one API process makes at once.")
    stop_seconds: int = Field(25, ge=1, description="How long an API process that is told to stop lets running requests end.")
    ocr_pages: int = Field(20, ge=0, description="Pages and pictures of a document whose text is recognised, where the worker has tesseract. 0: none.")
    accept_types: Names = Field(["*"], description="Media types that are processed (by the bytes; `image/*` is a pattern); others end as `unsupported_type`.")
    sync_timeout_seconds: float = Field(50, gt=0, description="How long the synchronous calls wait for the processing.")
    import_allow_nets: Names = Field([], description="Networks that URL import may reach beside the public ones.")
    import_ports: Ports = Field([80, 443], description="Ports that URL import may reach.")
    import_nameserver: str | None = Field(None, description="`host:port` of the resolver of URL import. Unset: the system's.")
    import_timeout_seconds: float = Field(60, gt=0, description="Deadline of one URL import, headers and body.")
    downloads: Literal["redirect", "proxy"] = Field("redirect", description="Links redirect to the store, or the API hands the bytes through.")
    link_ttl_seconds: int = Field(7 * 86400, ge=60, description="How long the links in events work.")
    events_ttl_seconds: int = Field(86400, ge=60, description="How long a registered channel without an open source is kept.")
    events_ttl_after_end_seconds: int = Field(3600, ge=10, description="How long a channel's events are kept after its last source ended.")
    lease_seconds: float = Field(30, ge=0.5, description="A worker that says nothing for so long has lost its run.")
    attempts: int = Field(3, ge=1, le=20, description="How often a run is tried when its worker dies, or when it takes too long.")
    turns_per_owner: int = Field(
        16, ge=1, le=10_000, description="Sources of one user that are handed to workers at once, in each lane; the others of that user wait for their turn."
    )
    grace_seconds: float = Field(10, ge=0.1, description="A run that nobody claimed for so long is enqueued again.")
    task_timeout_seconds: int = Field(
        300, ge=5, description="A run that works for so long is given back, or ends as `timeout` when a processor is at it or it was given back too often."
    )
    clamd_url: str | None = Field(None, description="`tcp://host:3310` or `unix:///path`: every document is scanned by clamd. Away: nothing is processed.")
    clamd_timeout_seconds: float = Field(150, gt=0, description="How long one scan may take. More than clamd's MaxScanTime.")
    processors_file: Path | None = Field(None, description="Processors that are commands or HTTP endpoints (docs/plugins.md).")
    reading_memory_bytes: int = Field(1024**3, ge=128 * 1024**2, description="Address space of the process that reads one document.")
    reading_cpu_seconds: int = Field(30, ge=1, le=3600, description="CPU time that it may take.")
    reading_wall_seconds: float = Field(60, gt=0, le=3600, description="How long it may take. Keep it below HEADRACE_TASK_TIMEOUT_SECONDS.")
    reading_file_bytes: int = Field(256 * 1024**2, ge=1024**2, description="The largest file that it may write.")
    reading_characters: int = Field(5 * 1024**2, ge=1, description="Text beyond is left out (warning `truncated`).")
    reading_pages: int = Field(5000, ge=1, description="Pages beyond are counted, not read (warning `truncated`).")
    reading_pixels: int = Field(50_000_000, ge=1, description="A picture of more is kept, not read (warning `not_read`); a small file of more is a `bomb`.")
    reading_frames: int = Field(500, ge=1, description="Frames of a picture that are counted.")
    chunks: bool = Field(False, description="Whether texts are cut into chunks for retrieval, where a profile does not say (docs/documents.md).")
    chunk_characters: int = Field(2000, ge=100, le=100_000, description="The most characters of a chunk.")
    embedder: str | None = Field(None, description="Name of an installed embedder (docs/plugins.md): makes a vector for each chunk. Unset: nothing does.")
    embedding_memory_bytes: int = Field(8 * 1024**3, ge=128 * 1024**2, description="Address space of the process that embeds one document's chunks.")
    embedding_wall_seconds: int = Field(120, ge=1, le=3600, description="How long it may take. Keep it below HEADRACE_TASK_TIMEOUT_SECONDS.")
    thumbnail_pixels: int = Field(320, ge=16, le=4096, description="The longer side of a thumbnail.")
    archive_entries: int = Field(10_000, ge=1, description="A ZIP (office file, EPUB) of more members is kept, not read.")
    archive_bytes: int = Field(512 * 1024**2, ge=1, description="One that unpacks to more is kept, not read.")
    unpack_ratio: int = Field(100, ge=2, description="What says that it unpacks to so many times its size, and to more than 10 MiB, is a `bomb`.")
    outage_seconds: float = Field(120, ge=0, description="How long a worker waits for storage or Redis that is away, before it gives its run back.")
    webhook_seconds: float = Field(5, gt=0, description="How often the reconciler looks whom outside it has to tell of an end.")
    deliver_seconds: float = Field(10, gt=0, description="How long an end may wait for those who are to hear of it before the channel.")
    reconcile_seconds: float = Field(1, gt=0, description="How often the reconciler looks at open runs.")
    inbox_scan_seconds: float = Field(60, gt=0, description="How often it lists the inbox.")
    sweep_seconds: float = Field(86400, ge=60, description="How often it looks for what is in the store and belongs to nothing.")
    orphan_seconds: int = Field(86400, ge=3600, description="Bytes and artifacts that belong to no source are removed when they are so old.")
    tombstone_days: int = Field(30, ge=1, le=36500, description="For so long the id of a deleted source is not used again.")
    retention_days: int = Field(0, ge=0, le=36500, description="A source is deleted so long after the end of its latest run. `0`: never.")
    reconciler_metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus metrics of the reconciler, on 127.0.0.1. `0`: none.")
    log_format: Literal["text", "json"] = Field("text", description="Of the log: lines for people, or a JSON object a line.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")

    @model_validator(mode="after")
    def _secrets_are_long(self) -> Self:
        if self.secret_keys is not None and any(len(key) < 32 for key in self.secrets):
            raise ValueError("HEADRACE_SECRET_KEYS: each key needs 32 characters at least")
        return self

    @property
    def secrets(self) -> list[str]:
        """The signing keys, current first. Empty when none is set."""
        return _split(self.secret_keys.get_secret_value()) if self.secret_keys else []  # type: ignore[return-value]


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment. Raises SettingsError on an unknown or senseless name: a typo must not start."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in READ_ELSEWHERE or _KUBERNETES.match(name):
            continue
        if name == "HEADRACE_PORT" and value.startswith("tcp://"):
            continue
        field = name.removeprefix(PREFIX).lower()
        if field in Settings.model_fields:
            values[field] = value or None if _is_optional(field) else value
        elif field.endswith("_file") and field.removesuffix("_file") in Settings.model_fields:
            try:
                values[field.removesuffix("_file")] = Path(value).read_text().strip()
            except OSError as error:
                raise SettingsError(f"{name}: {error}") from error
        else:
            near = difflib.get_close_matches(field, Settings.model_fields, n=1)
            hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
            raise SettingsError(f"{name} is not a setting of Headrace{hint}")
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "settings"
        raise SettingsError(f"{where}: {first['msg']}") from None


def _is_optional(field: str) -> bool:
    return Settings.model_fields[field].default is None
