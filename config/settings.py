"""Settings of the process: addresses, folders, sizes. What is served is in workspace documents.

Sources, each over the one before: the defaults here, a YAML file (`--settings FILE` or
`HEADWATER_SETTINGS`), environment variables `HEADWATER_<NAME>`, the flags of `headwater serve`.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from config.errors import ConfigError, format_path, found_by_model
from config.fields import ClientId, Items, canonical_word
from config.sources import read_yaml

PREFIX = "HEADWATER_"
# Variables that are no settings: of commands, of the nodes of a cluster, of the demo, of an image.
_NO_SETTINGS = frozenset(
    {
        "settings",
        "client_id",
        "client_secret",
        "input_secret",
        "node_data_dir",
        "demo_url",
        "commit",
    }
)
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RAYS_OWN = frozenset({"CPU", "GPU", "memory", "object_store_memory"})
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _parse_network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ip_network(value, strict=False)
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8") from None


def _check_target(target: str) -> str:
    try:
        ip_network(target, strict=False)
    except ValueError:
        host = _HOST.fullmatch(target)
        if host is None or int(host[1] or 0) > 65535:
            raise ValueError("must be a network (10.0.0.0/8), a host or host:port") from None
    return target


def _check_node(name: str) -> str:
    if _NODE.fullmatch(name) is None or name in _RAYS_OWN:
        raise ValueError("must be the name of a custom resource of Ray")
    return name


def _check_domain(domain: str) -> str:
    if not _DOMAIN.fullmatch(domain):
        raise ValueError("must be a domain such as privacy.example.com")
    return domain


# In the environment and in flags a list is written with commas.
CommaList = BeforeValidator(_split)


def _documents(value: object) -> object:
    """Refuse a list that is given and empty: the example, whose keys are public, is not meant."""
    paths = _split(value)
    if paths == []:  # the default is a tuple
        raise ValueError("names no document; leave it out to serve the example")
    return paths


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_parse_network)]
EgressTarget = Annotated[str, AfterValidator(_check_target)]
NodeName = Annotated[str, AfterValidator(_check_node)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Everything that one installation sets once. Constructed directly, it reads no source."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    host: str = Field(default="127.0.0.1", description="Address that edges listen on.")
    port: Port = Field(default=8080, description="Port of the edges; 0 takes any free one.")
    tls_cert: Path | None = Field(
        default=None,
        description=(
            "File of the certificate chain (PEM) with which edges serve HTTPS too. Edges look "
            "every 10 seconds whether it or the key has changed; new connections get the new one."
        ),
    )
    tls_key: Path | None = Field(
        default=None,
        description=(
            "File of the certificate's private key (PEM), not encrypted; looked at like the "
            "certificate."
        ),
    )
    tls_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=8443, description="Port of HTTPS, beside that of HTTP, if there is a certificate."
    )
    admin_host: str = Field(
        default="127.0.0.1",
        description="Address of metrics, health and status. Not open to the network by default: "
        "it shows how the installation is doing.",
    )
    admin_port: Port = Field(
        default=9090, description="Port of metrics, health and status; 0 takes any free one."
    )
    data_dir: Path = Field(
        default=Path("./data"), description="Folder of the stores; made when it is absent."
    )
    workspace: Annotated[Items[Path], NoDecode, BeforeValidator(_documents)] = Field(
        default=(),
        description="The workspace documents, each a file or folder; one for each workspace that "
        "is served. Without any, what the data folder has served last; if that is nothing, the "
        "example that comes with the program, whose keys are public.",
    )
    address: str | None = Field(
        default=None, description="Address of a Ray cluster. Without one, Ray is started inside."
    )
    nodes: Annotated[Items[NodeName], NoDecode, CommaList] = Field(
        default=(),
        description="Nodes of the Ray cluster that have shards and edges, by the name of a custom "
        "resource that each has; that of serve first. Without any, all is on the node of serve.",
    )

    edges: int = Field(
        default=1, ge=1, le=256, description="Edge processes, on each node of nodes."
    )
    shards: int = Field(
        default=2,
        ge=1,
        le=1024,
        description="Shards, each with a store of its own. Two by default, so that a laptop "
        "already runs what a cluster runs.",
    )

    max_body_bytes: int = Field(
        default=256 * 1024, ge=1024, description="Largest request body, after decompression."
    )
    max_batches_per_request: int = Field(
        default=100, ge=1, le=10_000, description="Most batches in one bulk request."
    )
    calls_in_flight: int = Field(
        default=2,
        ge=1,
        le=8,
        description="Micro-batches under way per edge and shard. Two: one is applied while the "
        "next one fills; more only adds latency.",
    )
    max_micro_batch_bytes: int = Field(
        default=1024 * 1024,
        ge=1024,
        description="Size at which a micro-batch takes no more batches.",
    )
    max_queue_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        description="What may wait per edge, shard and workspace; beyond it requests get 503, save "
        "those of inputs of which less waits than their part.",
    )
    max_queue_s: float = Field(
        default=2.0,
        gt=0,
        description="The same in seconds, at the speed at which the shard works: what waits longer "
        "has timed out at its sender, and is work for nothing.",
    )
    max_received_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bodies of requests under way, per edge; beyond it, or when one input alone "
        "would hold more than it leaves free, requests with a body get 503. An edge's memory is "
        "at most some three times that more than idle.",
    )
    shard_timeout_s: float = Field(
        default=10.0, gt=0, description="Seconds to wait for a shard before a request gets 503."
    )

    map_size_bytes: int = Field(
        default=64 * 1024**3,
        ge=16 * 1024**2,
        description="Most that one shard's store can grow to. Large, because the file is sparse: "
        "it takes only the disk that it uses.",
    )
    profile_cache_bytes: int = Field(
        default=256 * 1024 * 1024, ge=0, description="Memory for hot profiles, per shard."
    )
    dedup_window_days: int = Field(
        default=30, ge=30, description="Days that request ids are remembered; senders rely on 30."
    )
    group_job_interval_s: float = Field(
        default=86_400.0,
        gt=0,
        description="Seconds between two computations of all groups and their attributes.",
    )
    shutdown_grace_s: float = Field(
        default=1.0,
        ge=0,
        description="Seconds that requests are still served after /readyz has turned 503. One is "
        "enough without a load balancer; behind one, set what it needs to notice, such as 10.",
    )

    egress_allow: Annotated[Items[EgressTarget], NoDecode, CommaList] = Field(
        default=(),
        description="Networks, hosts and host:port that outputs may reach although they are "
        "private or without TLS.",
    )
    # Absolute, as web_sdk_file is: the processes that read it run elsewhere.
    python_outputs: Annotated[Path, AfterValidator(Path.absolute)] | None = Field(
        default=None,
        description="Folder of the files that outputs of the module `python` are made of. Without "
        "it there are no such outputs: a workspace document names code, and does not bring it.",
    )
    trusted_proxies: Annotated[Items[Network], NoDecode, CommaList] = Field(
        default=(), description="Networks whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    auth_max_skew_s: int = Field(
        default=24 * 3600,
        ge=0,
        description="Seconds by which the Date of a signed request may differ from the server's "
        "time; 0 checks no difference.",
    )
    auth_audiences: Annotated[Items[str], NoDecode, CommaList] = Field(
        default=(), description="Audiences that tokens can be asked for, beside mParticle's own."
    )
    bootstrap_client_id: ClientId | None = Field(
        default=None,
        description="Client id of the first API credential, an administrator's of the first "
        "workspace; made when nothing has been served from the data folder yet, in place of the "
        "example's if that is what is served.",
    )
    bootstrap_client_secret: SecretStr | None = Field(
        default=None, min_length=32, description="Secret of bootstrap_client_id."
    )
    server_key: SecretStr | None = Field(
        default=None,
        # RFC 7518, 3.2: a key for HS256 has at least 256 bits.
        min_length=32,
        description="Key that tokens are signed with. Without one, it is made at the first start "
        "and kept in the data folder.",
    )
    master_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Key that the kept workspace documents are sealed with, as they hold secrets. "
        "Without one, it is made at the first start and kept in the data folder.",
    )

    processor_domain: Annotated[str, AfterValidator(_check_domain)] = Field(
        default="localhost",
        description="Domain that answers and callbacks of data subject requests are signed for.",
    )
    dsr_cert: Path | None = Field(
        default=None,
        description="File of the certificate chain (PEM) for processor_domain. Without one, a "
        "self-signed one is made at the first start; OpenDSR forbids those in production.",
    )
    dsr_key: Path | None = Field(
        default=None,
        description="File of that certificate's private key (PEM): RSA, not encrypted.",
    )

    web_sdk_file: Annotated[Path, AfterValidator(Path.absolute)] | None = Field(
        default=None,
        description="The web SDK (dist/mparticle.js of the npm package @mparticle/web-sdk), to be "
        "served below /js/v2/. Without it pages get the SDK elsewhere.",
    )

    development: bool = Field(
        default=False,
        description="Development mode: the demo shop is served too, at /demo. Only where `host` is "
        "this machine.",
    )

    metrics_token: SecretStr | None = Field(
        default=None, min_length=1, description="Bearer token that /metrics asks for, if any."
    )
    metrics_max_series: int = Field(
        default=50_000,
        ge=1000,
        description="Most series that /metrics shows; the rest is left out.",
    )
    metrics_interval_s: float = Field(
        default=5.0, gt=0, description="Seconds between two collections of the actors' metrics."
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        canonical_word("debug", "info", "warning", "error"),
    ] = Field(default="info", description="Least level that is logged.")
    log_format: Annotated[Literal["json", "console"], canonical_word("json", "console")] = Field(
        default="json", description="JSON lines for collectors, console for people."
    )

    @property
    def is_local(self) -> bool:
        """Whether edges are reached from this machine only."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what the constructor is given; `load_settings` reads the other sources."""
        return (init_settings,)


class _Environment(EnvSettingsSource):
    """Values from the environment that was handed in."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = {name.lower(): value for name, value in environ.items() if value}


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Build the settings from all their sources.

    Args:
        flags: names as in `Settings`, and `settings` for the file; `None` is a flag not given.
        environ: the environment; an empty variable counts as not set.

    Raises:
        ConfigError: every problem, with the file's path, variable or flag that it comes from.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    file = given.pop("settings", None) or environ.get(PREFIX + "SETTINGS")
    from_file = _read_file(Path(file)) if file else {}
    from_environment = _Environment(environ)()
    values = from_file | from_environment | given
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = []
        for location, message in found_by_model(error, Settings, values):
            name = str(location[0])
            if name in given:
                path = "--" + name.replace("_", "-")
            elif name in from_environment:
                path = PREFIX + name.upper()
            else:
                path = f"{Path(str(file)).name}:{format_path(location)}"
            problems.append((path, message))
        raise ConfigError(problems) from None


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names of variables that begin as those of settings do, and that nobody reads."""
    return sorted(
        name
        for name, value in environ.items()
        if value
        and name.upper().startswith(PREFIX)
        and name[len(PREFIX) :].lower() not in Settings.model_fields.keys() | _NO_SETTINGS
    )


def _read_file(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if content is None:  # all of it is commented out
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigError([(path.name, "must be a mapping of setting names to values")])
    return content
