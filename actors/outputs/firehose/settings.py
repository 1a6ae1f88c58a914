"""Settings of the output `firehose` (spec/connections.md, 4 and 10)."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from actors.outputs.firehose.registration import (
    Registration,
    RegistrationInvalid,
    parse_registration,
)
from actors.outputs.firehose.setting_values import value_problems
from actors.outputs.module import OutputSettings
from actors.outputs.web_urls import web_url

# A text may be a secret: which one is, only the registration says.
SettingValue = SecretStr | bool | int | float


def _url(url: str) -> str:
    parts = web_url(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold credentials; use token")
    return url


def _header_text(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not value.isprintable() or not value.isascii():
        raise ValueError("must be printable ASCII")
    return secret


def _registration(data: Any) -> Any:
    """Read a registration that is written in the document; its first problems are the field's."""
    if data is None or isinstance(data, Registration):
        return data
    try:
        return parse_registration(data)
    except RegistrationInvalid as error:
        raise ValueError("; ".join(error.problems)) from None


def is_loopback(url: str) -> bool:
    """Say whether a URL names this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def endpoint_problem(url: str, *, allow_insecure: bool) -> str | None:
    """Say why a URL that a module has registered is not used, `None` if it is.

    Secrets go there: in the clear to this machine alone, unless that is allowed (spec 4).
    """
    try:
        parts = web_url(url)
    except ValueError as error:
        return str(error)
    if parts.scheme == "http" and not is_loopback(url) and not allow_insecure:
        return "must be https, unless allow_insecure is set"
    return None


Url = Annotated[str, AfterValidator(_url)]
HeaderText = Annotated[SecretStr, Field(min_length=1), AfterValidator(_header_text)]


class FirehoseSettings(OutputSettings):
    """Settings of the module `firehose`.

    A URL that is not given is the registration's. `registration`: the module's own answer, where
    it is not to be asked for. `account_settings` are the output's (they stand beside `settings` in
    the document). `module_id`: by which batches name the module in `integration_attributes`; its
    name, if not given. `client_secret`: of a module that is authorized by OAuth 2.
    """

    registration_url: Url | None = None
    event_url: Url | None = None
    audience_url: Url | None = None
    dsr_url: Url | None = None
    registration: Annotated[Registration | None, BeforeValidator(_registration)] = None
    token: HeaderText | None = None
    client_secret: HeaderText | None = None
    account_settings: dict[str, SettingValue] = Field(default_factory=dict)
    module_id: str | None = None
    strict_responses: bool = False
    max_profiles_per_request: int = Field(default=100, ge=1, le=1000)
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    verify_tls: bool = True
    allow_insecure: bool = False

    @model_validator(mode="after")
    def _check(self) -> "FirehoseSettings":
        if self.registration is None and self.registration_url is None:
            raise ValueError("registration_url or registration is required")
        for name, url in self.urls.items():
            is_plain = urlsplit(url).scheme == "http"
            if is_plain and not is_loopback(url) and not self.allow_insecure:
                raise ValueError(f"{name} must be https, unless allow_insecure is set")
        return self

    @property
    def urls(self) -> dict[str, str]:
        """The URLs that are given, by the names of their settings."""
        names = ("registration_url", "event_url", "audience_url", "dsr_url")
        return {name: url for name in names if (url := getattr(self, name)) is not None}

    def url_of(self, kind: str) -> str | None:
        """Return where messages of a kind of output go."""
        own: str | None = getattr(self, f"{kind}_url", None)
        return own or self.registration_url


class FirehoseConnectionSettings(OutputSettings):
    """What a connection sets: what the module has registered as `event_connection_settings`.

    `user_split_group` is the pipeline's.
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)
    __pydantic_extra__: dict[str, SettingValue]

    user_split_group: str | None = None


def output_problems(settings: FirehoseSettings, kind: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """List what does not fit an output of a kind: the path of a setting, and the problem.

    What only a registration tells is known here where it is in the document.
    """
    if settings.url_of(kind) is None:
        yield (f"{kind}_url",), "is required"
    if settings.registration is None:
        return
    takes = settings.registration.processing(kind)
    if takes is None:
        yield ("registration",), f"the module takes no output of kind {kind}"
        return
    for name, problem in value_problems(takes.account_settings, settings.account_settings):
        yield ("account_settings", name), problem
