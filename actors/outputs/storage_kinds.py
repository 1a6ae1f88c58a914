"""The kinds of storage that take files, and which hosts each talks to (spec/connections.md, 7.2).

No others are taken, nor options that are not known here: fsspec has protocols whose requests go
wherever the settings, or an answer, send them, past the egress rules (spec/connections.md, 3.8).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

LOCAL = ("file", "local")
S3 = ("s3", "s3a")
SFTP = "sftp"
PROTOCOLS = (*LOCAL, *S3, "gs", "az", SFTP)

_GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
_GOOGLE_OPTIONS = frozenset(
    {"project", "access", "token", "default_location", "requester_pays"}
    | {"requests_timeout", "timeout"}
)
_AZURE_OPTIONS = frozenset(
    {"account_name", "account_key", "sas_token", "credential", "anon"}
    | {"client_id", "client_secret", "tenant_id"}
    | {"blocksize", "max_concurrency", "timeout", "connection_timeout", "read_timeout"}
)
_SFTP_OPTIONS = frozenset(
    {"username", "password", "port", "key_filename", "passphrase", "allow_agent"}
    | {"look_for_keys", "host_key_policy", "compress", "disabled_algorithms", "temppath"}
    | {"timeout", "banner_timeout", "auth_timeout", "channel_timeout"}
)
_AZURE_NAMES = {"account_name": r"[a-z0-9]{3,24}", "tenant_id": r"[A-Za-z0-9.-]+"}


class StorageHost(NamedTuple):
    """What a storage is reached at; `is_plain`: without TLS, where there should be some."""

    host: str
    port: int
    is_plain: bool = False


def check_url(url: str) -> None:
    """Check the address of a storage. Raises ValueError."""
    protocol, separator, rest = url.partition("://")
    if not separator or "::" in url:
        raise ValueError("must be a URL such as file:///path or s3://bucket/prefix")
    if protocol not in PROTOCOLS:
        known = ", ".join(f"{each}://" for each in PROTOCOLS)
        raise ValueError(f"'{protocol}://' is no storage for files; there are {known}")
    if protocol == SFTP:
        _host(url, 22, "must have a host, and a port that is a number")
    elif protocol == "az" and not re.fullmatch(r"[a-z0-9$-]+", rest.partition("/")[0]):
        raise ValueError("must be az://container/prefix; storage_options.account_name has the rest")


def check_options(url: str, options: Mapping[str, Any]) -> None:
    """Check what a storage's library is given besides; ValueError names no value."""
    check = _CHECKS.get(urlsplit(url).scheme)
    if check is not None:
        check(options)


def storage_hosts(url: str, options: Mapping[str, Any]) -> list[StorageHost]:
    """Return the hosts that a storage talks to, as far as they do not come from the machine.

    Args:
        url, options: as checked; texts are plain.
    """
    protocol = urlsplit(url).scheme
    if protocol in S3:
        return [_web_host(each, where) for where, each in _s3_urls(options)]
    if protocol == "gs":
        names = ["storage.googleapis.com"]
        if options.get("token") != "anon":
            names.append("oauth2.googleapis.com")
        return [StorageHost(each, 443) for each in names]
    if protocol == "az":
        names = ["login.microsoftonline.com"] if options.get("client_id") else []
        if options.get("account_name"):
            names.append(f"{options['account_name']}.blob.core.windows.net")
        return [StorageHost(each, 443) for each in names]
    if protocol == SFTP:
        host, port = _host(url, 22, "")
        return [StorageHost(host, options.get("port", port))]
    return []


def _host(url: str, port: int, problem: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or port
    except ValueError:
        host = ""
    if not host:
        raise ValueError(problem)
    return host, port


def _web_host(url: Any, where: str) -> StorageHost:
    problem = f"{where} must be an http or https URL"
    scheme = url.partition("://")[0].lower() if isinstance(url, str) else ""
    if scheme not in ("http", "https"):
        raise ValueError(problem)
    host, port = _host(url, 443 if scheme == "https" else 80, problem)
    # What is sent through a proxy is encrypted as it would be without one.
    return StorageHost(host, port, scheme == "http" and ".proxies." not in where)


def _mapping(options: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, Any]:
    found = options.get(name)
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"{where}{name} must be a mapping")
    return found or {}


def _s3_urls(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for where, place in (("", options), ("client_kwargs.", _mapping(options, "client_kwargs"))):
        if place.get("endpoint_url"):
            yield f"{where}endpoint_url", place["endpoint_url"]
    config = _mapping(options, "config_kwargs")
    for scheme, proxy in _mapping(config, "proxies", "config_kwargs.").items():
        yield f"config_kwargs.proxies.{scheme}", proxy


def _check_s3(options: Mapping[str, Any]) -> None:
    found = [where for where, each in _s3_urls(options) if _web_host(each, where)]
    _mapping(_mapping(options, "config_kwargs"), "connector_args", "config_kwargs.")
    _mapping(options, "s3_additional_kwargs")
    uses_tls = _mapping(options, "client_kwargs").get("use_ssl", options.get("use_ssl", True))
    if not uses_tls and not any(where.endswith("endpoint_url") for where in found):
        raise ValueError("use_ssl must be true; plain http is for an endpoint_url that has it")


def _check_names(options: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in options:
        if name not in known:
            raise ValueError(f"there is no option '{name}'; there are {', '.join(sorted(known))}")


def _check_google(options: Mapping[str, Any]) -> None:
    _check_names(options, _GOOGLE_OPTIONS)
    token = options.get("token")
    if isinstance(token, dict):  # a key of Google's says itself where it is to be sent
        if token.get("token_uri", _GOOGLE_TOKENS) != _GOOGLE_TOKENS:
            raise ValueError(f"token.token_uri must be {_GOOGLE_TOKENS}")
        if token.get("universe_domain", "googleapis.com") != "googleapis.com":
            raise ValueError("token.universe_domain must be googleapis.com")
    elif token is not None and not isinstance(token, str):
        raise ValueError("token must be a text or a mapping")


def _check_azure(options: Mapping[str, Any]) -> None:
    _check_names(options, _AZURE_OPTIONS)
    for name, form in _AZURE_NAMES.items():  # they become parts of host names and addresses
        value = options.get(name)
        if value is not None and not (isinstance(value, str) and re.fullmatch(form, value)):
            raise ValueError(f"{name} must be of the form {form}")


def _check_sftp(options: Mapping[str, Any]) -> None:
    _check_names(options, _SFTP_OPTIONS)
    port = options.get("port", 22)
    if type(port) is not int or not 0 < port < 65536:
        raise ValueError("port must be a number from 1 to 65535")


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    **dict.fromkeys(S3, _check_s3),
    "gs": _check_google,
    "az": _check_azure,
    SFTP: _check_sftp,
}
