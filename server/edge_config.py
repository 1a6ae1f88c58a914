"""What an edge has to know of the settings and the workspace document, ready to be looked up.

An edge reads `ConfigHolder.current` once per request, so that a change takes effect between two
requests and never within one.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from msgspec import Struct
from pydantic import SecretStr

from actors.model.workspaces import Environment
from actors.store.revisions import Stamp
from config.client_plans import ClientPlan, client_plans
from config.client_sdks import ClientSdks
from config.compiled_outputs import shown_headers
from config.cookie_sync import Pixel, pixels
from config.data_plans import quarantines
from config.inputs import Input
from config.numbers import ORGANIZATION, Numbers
from config.roles import ADMINISTRATORS, Tasks, tasks_of
from config.settings import Settings
from config.workspace import ApiCredential, WorkspaceDocument
from server.identity_config import IdentityCalls, identity_calls
from server.limits import MINUTE_MS, Level, Limit

Network = IPv4Network | IPv6Network

DEFAULT_AUDIENCE = "https://api.mparticle.com"  # spec/platform-api.md, 2
PROFILE_BURST_S = 2  # spec/profiles.md, 7.4


class KeyInfo(Struct, frozen=True):
    """One key of an input.

    `secret` verifies signatures; `secret_digest`, its SHA-256, is what a sent secret is compared
    with. `allows_key_only`: whether identity calls may prove themselves by the key alone. `limits`
    are the rate limits of batches that come with a secret, in the order in which an exceeded one
    is reported. `takes_segment`: it is a write key of Segment's API; `has_semantic_events`: see
    `config.inputs.Input`.
    """

    key: str
    secret: SecretStr
    secret_digest: bytes
    input: int
    input_id: str
    input_name: str
    os: str
    is_partner: bool
    is_active: bool
    allows_key_only: bool = False
    limits: tuple[Limit, ...] = ()
    is_debug: bool = False
    takes_segment: bool = False
    has_semantic_events: bool = True

    def __repr__(self) -> str:
        return _repr_without(self, "secret_digest")


class WorkspaceKey(Struct, frozen=True):
    """The workspace's own key, which seeds calculated attributes; it takes no events."""

    key: str
    secret_digest: bytes

    def __repr__(self) -> str:
        return _repr_without(self, "secret_digest")


class Credential(Struct, frozen=True):
    """A client of the read and management APIs.

    Attributes:
        permissions: API to permission.
        tasks: what the role allows (`config.roles`).
        former: digests of secrets that still work, and until when (Unix ms).
    """

    client_id: str
    secret_digest: bytes
    role: str
    permissions: Mapping[str, str]
    is_active: bool
    tasks: Tasks
    former: tuple[tuple[bytes, int], ...] = ()

    def held(self, now_ms: int) -> tuple[bytes, ...]:
        """Return the digests of all secrets that work at an instant (Unix ms)."""
        return (self.secret_digest, *(each for each, until in self.former if now_ms < until))

    def __repr__(self) -> str:
        return _repr_without(self, "secret_digest", "former")


class EdgeConfig(Struct, frozen=True, kw_only=True):
    """Everything that an edge looks up. Sizes in bytes.

    Attributes:
        revision: of the workspace document.
        organization, account, workspace: integer ids; `workspace_slug` the id in the document,
            `workspace_name` what people call it.
        scope: of the workspace's identities.
        keys: input keys; a workspace's own key is not among them.
        credentials: by client id; `roles`: the custom ones that they may have.
        profile_limits: of the Profile API; `platform_limits`: of the Platform API.
        identity: of the identity calls.
        immutable_ids: IDSync keys by which profiles may be resolved.
        connections: id to number.
        token_key: signs bearer tokens.
        token_audiences: that a token may be asked for.
        trusted_proxies: whose X-Forwarded-For and X-Forwarded-Proto are believed.
        egress_allow: what outputs may reach although it is private, for settings that are tried.
        python_dir: where the classes of outputs are, likewise.
        workspace_key: `None` if the workspace has none; `seeding_limits` hold for its requests.
        has_extended_windows: of calculated attributes, spec/calculated-attributes.md, 4.
        plans: what client SDKs are told of data plans, by id.
        client_sdks: what client SDKs are told; `pixels`: which images pages of an input load;
            `web_sdk_file` is the web SDK itself, if it is
            served.
        shown_headers: of each connection's requests, by environment.
    """

    revision: int
    organization: int
    account: int
    workspace: int
    workspace_slug: str
    workspace_name: str
    scope: int
    keys: Mapping[str, KeyInfo]
    credentials: Mapping[str, Credential]
    profile_limits: tuple[Limit, ...]
    platform_limits: tuple[Limit, ...] = ()
    identity: IdentityCalls
    immutable_ids: frozenset[str]
    connections: Mapping[str, int]
    token_key: bytes
    token_audiences: tuple[str, ...]
    trusted_proxies: tuple[Network, ...] = ()
    egress_allow: tuple[str, ...] = ()
    python_dir: Path | None = None
    has_client_audience_api: bool = False
    has_extended_windows: bool = False
    client_sdks: ClientSdks = ClientSdks()
    plans: Mapping[str, tuple[ClientPlan, ...]] = {}
    pixels: Mapping[tuple[int, Environment], tuple[Pixel, ...]] = {}
    web_sdk_file: Path | None = None
    workspace_key: WorkspaceKey | None = None
    seeding_limits: tuple[Limit, ...] = ()
    max_body_bytes: int = 256 * 1024
    max_batches: int = 100
    shown_headers: Mapping[int, Mapping[Environment, Mapping[str, str]]] = {}
    roles: Mapping[str, Tasks] = {}

    def __repr__(self) -> str:
        return _repr_without(self, "token_key")


class ConfigHolder(Struct):
    """Holds the configuration in use; whoever switches it assigns `current`."""

    current: EdgeConfig


def _repr_without(struct: Struct, *hidden: str) -> str:
    """Describe a struct without what would let somebody in, or help to guess it."""
    shown = [name for name in struct.__struct_fields__ if name not in hidden]
    described = ", ".join(f"{name}={getattr(struct, name)!r}" for name in shown)
    return f"{type(struct).__name__}({described})"


def digest(secret: str) -> bytes:
    """Return what is kept of a secret that is only compared."""
    return sha256(secret.encode()).digest()


def edge_config(
    document: WorkspaceDocument,
    numbers: Numbers,
    settings: Settings,
    server_key: str,
    revision: int = 1,
    roles: Mapping[str, Tasks] = {},
    stamps: Mapping[str, Stamp] = {},
) -> EdgeConfig:
    """Make what an edge looks up of the workspace document and the settings.

    Args:
        document: the workspace.
        numbers: of its objects, all of them assigned.
        settings: of the process.
        server_key: `settings.server_key`, or the one that was generated in its place.
        revision: of the document.
        roles: the custom ones.
        stamps: of the versions of data plans.
    """
    workspace = document.workspace
    account = numbers.accounts[document.account.id]
    profile_rate = workspace.limits.profile_requests_per_second
    return EdgeConfig(
        revision=revision,
        organization=ORGANIZATION,
        account=account,
        workspace=numbers.workspaces[workspace.id],
        workspace_slug=workspace.id,
        workspace_name=workspace.name,
        scope=numbers.scopes[workspace.scope_name],
        keys={
            info.key: info for each in document.inputs for info in _keys(each, document, numbers)
        },
        credentials={each.client_id: _credential(each, roles) for each in document.api_credentials},
        profile_limits=(
            Limit("account", f"profile:{account}", profile_rate, profile_rate * PROFILE_BURST_S),
        ),
        platform_limits=tuple(_platform_limits(document, account)),
        identity=identity_calls(document, numbers, settings),
        immutable_ids=frozenset(document.identity.immutable_ids),
        connections={
            name: numbers.connections[name]
            for name in (
                *(each.id for each in document.connections),
                *quarantines(document.data_plans),
            )
        },
        # Of a fixed length, whatever the key's.
        token_key=digest(server_key),
        token_audiences=(DEFAULT_AUDIENCE, *settings.auth_audiences),
        trusted_proxies=tuple(settings.trusted_proxies),
        egress_allow=settings.egress_allow,
        python_dir=settings.python_outputs,
        has_client_audience_api=workspace.client_audience_api,
        client_sdks=workspace.client_sdks,
        plans=client_plans(document.data_plans, stamps),
        pixels=pixels(document, numbers),
        web_sdk_file=settings.web_sdk_file,
        has_extended_windows=workspace.calculated_attributes.extended_windows,
        workspace_key=_workspace_key(document),
        seeding_limits=tuple(_as_limits(_shared_levels(document, numbers))),
        max_body_bytes=settings.max_body_bytes,
        max_batches=settings.max_batches_per_request,
        shown_headers=shown_headers(document, numbers),
        roles=roles,
    )


def _keys(source: Input, document: WorkspaceDocument, numbers: Numbers) -> Iterator[KeyInfo]:
    limits = tuple(_limits(source, document, numbers))
    for key in source.keys:
        yield KeyInfo(
            key=key.key,
            secret=key.secret,
            secret_digest=digest(key.secret.get_secret_value()),
            input=numbers.inputs[source.id],
            input_id=source.id,
            input_name=source.name,
            os=source.os,
            is_partner=source.partner,
            is_active=source.status == "active" and key.status == "active",
            allows_key_only=source.allows_key_only,
            limits=limits,
            is_debug=source.is_debug,
            takes_segment=source.takes_segment,
            has_semantic_events=source.semantic_events,
        )


def _limits(source: Input, document: WorkspaceDocument, numbers: Numbers) -> Iterator[Limit]:
    """Yield the limits of an input's batches, in the order in which they are reported."""
    own, shared = source.limits, document.workspace.limits
    rate, acceleration = own.batches_per_second, own.acceleration
    workspace, number = numbers.workspaces[document.workspace.id], numbers.inputs[source.id]
    level: Level = "feed" if source.kind == "feed" else "app"
    of_input = (
        level,
        f"input:{workspace}:{number}",
        shared.batches_per_second if rate is None else rate,
        shared.acceleration if acceleration is None else acceleration,
    )
    yield from _as_limits([of_input, *_shared_levels(document, numbers)])


_LevelLimit = tuple[Level, str, int, int]  # level, key, batches per second, acceleration


def _shared_levels(document: WorkspaceDocument, numbers: Numbers) -> Iterator[_LevelLimit]:
    """Yield the levels above inputs, in the order in which they are reported.

    All workspaces of a machine count in one table: a key names whom its counter is shared by.
    """
    shared = document.workspace.limits
    keys: dict[Level, str] = {
        "workspace": f"workspace:{numbers.workspaces[document.workspace.id]}",
        "account": f"account:{numbers.accounts[document.account.id]}",
        "org": "org",
        "system": "system",
    }
    for name, key in keys.items():
        limit = getattr(shared, name)
        yield name, key, limit.batches_per_second, limit.acceleration


def _platform_limits(document: WorkspaceDocument, account: int) -> Iterator[Limit]:
    """Yield the limit of an account's calls within a minute."""
    most = document.workspace.limits.platform_requests_per_minute
    if most:
        yield Limit("account", f"platform:{account}", 0, most, window_ms=MINUTE_MS)


def _as_limits(levels: Iterable[_LevelLimit]) -> Iterator[Limit]:
    for name, key, speed, growth in levels:
        if speed or growth:
            yield Limit(name, key, speed, speed, growth)


def _workspace_key(document: WorkspaceDocument) -> WorkspaceKey | None:
    own = document.workspace.dsr_credentials
    if own is None:
        return None
    return WorkspaceKey(own.key, digest(own.secret.get_secret_value()))


def _credential(credential: ApiCredential, roles: Mapping[str, Tasks]) -> Credential:
    """Make a credential with the permissions that its role gives it (spec/platform-api.md, 3)."""
    by_role = "admin" if credential.role in ADMINISTRATORS else "read_only"
    fixed: dict[str, str] = {"platform": credential.role, "profile": "read_only"}
    return Credential(
        client_id=credential.client_id,
        secret_digest=digest(credential.client_secret.get_secret_value()),
        role=credential.role,
        permissions={api: fixed.get(api, by_role) for api in credential.apis},
        is_active=credential.status == "active",
        tasks=tasks_of(credential.role, roles),
        former=tuple(
            (digest(each.client_secret.get_secret_value()), each.until_ms)
            for each in credential.former_secrets
        ),
    )
