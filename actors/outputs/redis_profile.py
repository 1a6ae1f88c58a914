"""Output `redis_profile`: who users are just now, in Redis, for other services.

Source: spec/connections.md, 7. Of each of a user's identities there is a hash with the user's
attributes and audiences after their last batch.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import orjson
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from redis.asyncio import Redis
from redis.exceptions import RedisError

from actors.model.deliveries import Delivery
from actors.outputs.certificates import Certificates, tls_context
from actors.outputs.contract import Delivered, Fatal, Outcome, RequestLimits, Retry
from actors.outputs.environment import OutputEnvironment
from actors.outputs.identity_types import types_of_users
from actors.outputs.module import OutputModule, OutputSettings
from actors.outputs.redis_client import open_client, outcome_of

DEFAULT_PORT = 6379
MPID = "mpid"
REQUIRED = ("environment", "identity_type", "identity")
PLACEHOLDERS = ("workspace", *REQUIRED)

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
# Of several hashes: one that can be written later is.
_GRAVITY = (Delivered, Fatal, Retry)

# A batch that is older than what is there, such as a dead letter that is sent again, changes
# nothing. Arguments: its time, how long the hash is kept, names and values.
_WRITE = """
local newest = redis.call('HGET', KEYS[1], 'updated_ms')
if newest and tonumber(newest) > tonumber(ARGV[1]) then return 0 end
-- First what a full server refuses: after that it refuses nothing of a script.
redis.call('HSET', KEYS[1], 'updated_ms', ARGV[1])
redis.call('DEL', KEYS[1])
for at = 3, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, at, math.min(at + 999, #ARGV)))
end
if ARGV[2] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1
"""


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("redis", "rediss") and parts.hostname and (parts.port or 1)
    except ValueError:
        is_right = False
    if not is_right or not re.fullmatch(r"/?|/\d{1,4}", parts.path) or parts.query:
        raise ValueError("must be redis://host:port/database or rediss://host:port/database")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold credentials; use username and password")
    return url


def _key(text: str) -> str:
    names = _PLACEHOLDER.findall(text)
    for name in names:
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise ValueError(f"has the unknown placeholder {{{name}}}; there are {known}")
    for name in REQUIRED:
        if name not in names:  # two users, or the environments, would share a hash
            raise ValueError(f"must have {{{name}}}")
    return text


class RedisProfileSettings(OutputSettings):
    """Settings of the module `redis_profile`.

    `identities`: the types that get a hash, `mpid` being one of them. `ttl_s`: for how long a hash
    is kept after the user's last batch; `None`: for ever. `ca_certificate`: PEM of who has signed
    the server's certificate, instead of the usual authorities.
    """

    url: Annotated[str, AfterValidator(_url)]
    allow_insecure: Annotated[bool, Field(validate_default=True)] = False
    username: str | None = None
    password: SecretStr | None = None
    ca_certificate: Certificates | None = None
    verify_tls: bool = True
    key: Annotated[str, AfterValidator(_key)] = (
        "{workspace}:{environment}:{identity_type}:{identity}"
    )
    identities: Annotated[
        tuple[str, ...], Field(strict=False, min_length=1), AfterValidator(types_of_users)
    ] = (
        MPID,
        "customer_id",
        "email",
    )
    ttl_s: Annotated[int, Field(ge=1)] | None = None
    timeout_s: float = Field(default=30.0, gt=0, le=600)

    @field_validator("allow_insecure")
    @classmethod
    def _is_meant(cls, allow_insecure: bool, info: ValidationInfo) -> bool:
        if str(info.data.get("url", "")).startswith("redis:") and not allow_insecure:
            raise ValueError("must be true for redis://, which is not encrypted")
        return allow_insecure

    @property
    def parts(self) -> SplitResult:
        """The URL in parts."""
        return urlsplit(self.url)


class RedisProfileConnectionSettings(OutputSettings):
    """What a connection sets; `user_split_group` is the pipeline's."""

    user_split_group: str | None = None


class RedisProfileOutput:
    """Writes hashes."""

    limits = RequestLimits(max_deliveries=100, max_bytes=1024 * 1024)

    def __init__(self, settings: RedisProfileSettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._environment = environment
        self._client: Redis | None = None

    async def start(self) -> None:
        """Open a client; it connects when there is something to send."""
        settings, parts = self._settings, self._settings.parts
        tls = None
        if parts.scheme == "rediss":
            tls = tls_context(settings.ca_certificate, verify_tls=settings.verify_tls)
        password = settings.password
        self._client = open_client(
            parts.hostname or "",
            parts.port or DEFAULT_PORT,
            self._environment.egress,
            tls=tls,
            timeout_s=settings.timeout_s,
            db=int(parts.path.strip("/") or 0),
            username=settings.username,
            password=None if password is None else password.get_secret_value(),
        )

    async def stop(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.aclose(close_connection_pool=True)

    async def test(self) -> Outcome:
        """Write and delete a hash that belongs to nobody."""
        name = self._name("development", "test", "headwater_verification")
        try:
            pipeline = self._opened.pipeline(transaction=False)
            pipeline.eval(_WRITE, 1, name, 0, 60, "updated_ms", 0)
            pipeline.delete(name)
            await pipeline.execute()
        except (RedisError, OSError) as error:
            return outcome_of(error)
        return Delivered()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Write the hashes of all that a request carries, in one round trip."""
        outcomes: list[Outcome] = [Delivered()] * len(deliveries)
        pipeline = self._opened.pipeline(transaction=False)
        written: list[int] = []  # of each command, the delivery that it is of
        for index, delivery in enumerate(deliveries):
            try:
                names, fields = self._hashes(delivery)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                outcomes[index] = Fatal("build_error", type(error).__name__)
                continue
            if not names:
                self._environment.count_drop(delivery.connection, "missing_identity", 1)
            for name in names:
                ttl_s = self._settings.ttl_s
                pipeline.eval(_WRITE, 1, name, delivery.created_ms, ttl_s or "", *fields)
                written.append(index)
        if not written:
            return outcomes
        try:
            answers = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            answers = [error] * len(written)
        for index, answer in zip(written, answers, strict=True):
            if isinstance(answer, Exception):
                outcomes[index] = max(
                    outcomes[index],
                    outcome_of(answer),
                    key=lambda each: _GRAVITY.index(type(each)),
                )
        return outcomes

    @property
    def _opened(self) -> Redis:
        assert self._client is not None, "start() comes first"
        return self._client

    def _name(self, environment: str, kind: str, identity: str) -> str:
        values = {
            "workspace": self._environment.workspace,
            "environment": environment,
            "identity_type": kind,
            "identity": identity,
        }
        return _PLACEHOLDER.sub(lambda match: values[match[1]], self._settings.key)

    def _hashes(self, delivery: Delivery) -> tuple[list[str], list[str]]:
        """Return the names of a user's hashes, and what they hold, name after value.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is not the JSON of a batch.
        """
        batch: dict[str, Any] = orjson.loads(delivery.payload)
        mpid = batch["mpid"]
        if mpid is None:
            return [], []
        known = {each["identity_type"]: each["identity"] for each in batch["user_identities"]}
        known[MPID] = str(mpid)
        fields = ["updated_ms", str(delivery.created_ms), MPID, str(mpid), "audience_ids"]
        fields.append(orjson.dumps(batch["audience_ids"]).decode())
        for name, value in batch["user_attributes"].items():
            fields += [f"ua_{name}", _text(value)]
        names = [
            self._name(delivery.environment, kind, known[kind])
            for kind in self._settings.identities
            if kind in known
        ]
        return names, fields


def _text(value: Any) -> str:
    """Return a text as it is, a list as JSON, and of nothing the empty text."""
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()


MODULE = OutputModule(
    module="redis_profile",
    kinds=frozenset({"event"}),
    accepts_unbound=True,
    accepts_attribute_feed=False,
    settings_model=RedisProfileSettings,
    connection_settings_model=RedisProfileConnectionSettings,
    send_as_batch_default=True,
    retry_profile="stream",
    open=RedisProfileOutput,
)
