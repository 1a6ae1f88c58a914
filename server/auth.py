"""Who is asking: input keys with a secret, keys in a path, bearer tokens."""

import binascii
from base64 import b64decode
from hmac import compare_digest

from aiohttp import web

from actors.clock import Clock
from server import tokens
from server.edge_config import Credential, EdgeConfig, KeyInfo, digest
from server.problems import Refused

# Header values remembered by one edge: a few spellings of each key that is in use.
MAX_KNOWN_HEADERS = 4096

_BASIC_CHALLENGE = {"WWW-Authenticate": 'Basic realm="events"'}
_BEARER_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="headwater"'}
_NOBODYS_DIGEST = digest("")


class BasicAuthentication:
    """Finds the key of a Basic `Authorization` header; remembers those that were good."""

    def __init__(self) -> None:
        self._config: EdgeConfig | None = None
        self._known: dict[str, KeyInfo] = {}
        self._former: set[str] = set()  # that were good by another configuration

    def key_of(self, header: str | None, config: EdgeConfig) -> KeyInfo:
        """Return the active key that a header proves (spec/events-api.md, 2.1).

        Raises:
            Refused: there is no header (401), or it proves nothing (403).
        """
        if header is None:
            raise Refused("UNAUTHORIZED", "Authentication is missing.", _BASIC_CHALLENGE)
        self._follow(config)
        found = self._known.get(header)
        if found is None:
            found = _proven_key(header, config)
            if len(self._known) >= MAX_KNOWN_HEADERS:
                self._known.clear()
            self._known[header] = found
        return found

    def has_been_right(self, header: str, config: EdgeConfig) -> bool:
        """Tell whether a header has proven a key before, by whichever configuration."""
        self._follow(config)
        return header in self._known or header in self._former

    def _follow(self, config: EdgeConfig) -> None:
        if config is not self._config:
            kept = self._former if len(self._former) < MAX_KNOWN_HEADERS else set[str]()
            self._former = kept.union(self._known)
            self._config, self._known = config, {}


def web_key(key: str, config: EdgeConfig) -> KeyInfo:
    """Return the key of a web input that came in a path (spec/events-api.md, 16 and 17).

    Raises:
        Refused: unknown, inactive, or not of a web input (403).
    """
    found = config.keys.get(key)
    if found is None or not found.is_active or found.os != "MobileWeb":
        raise Refused("FORBIDDEN", "The key in the path is not an active key of a web input.")
    return found


def active_key(key: str, config: EdgeConfig) -> KeyInfo:
    """Return the key of any input that came in a path (spec/profiles.md, 7.5).

    Raises:
        Refused: unknown or inactive (401).
    """
    found = config.keys.get(key)
    if found is None or not found.is_active:
        raise Refused("UNAUTHORIZED", "The key in the path is not an active key.")
    return found


def basic_user(header: str) -> str | None:
    """Return the key that a Basic `Authorization` header names, proven or not; else `None`."""
    try:
        return _basic_text(header).partition(":")[0]
    except Refused:
        return None


def basic_password(header: str) -> str | None:
    """Return the password of a Basic `Authorization` header, empty if it has none; else `None`."""
    try:
        return _basic_text(header).partition(":")[2]
    except Refused:
        return None


def bearer_client(header: str) -> str | None:
    """Return the client id that a bearer `Authorization` header names, proven or not."""
    return tokens.claimed_client(_bearer_token(header))


def bearer(request: web.Request, api: str | None, config: EdgeConfig, clock: Clock) -> Credential:
    """Return the credential behind a request's bearer token (spec/platform-api.md, 1 and 2).

    Args:
        request: its `Authorization` header is read.
        api: that the credential has to include (`profile`, `platform`); `None` for any.
        config: as of now.
        clock: for the token's expiry.

    Raises:
        Refused: no token, or one that cannot be used (401); the credential lacks the API (403).
    """
    token = _bearer_token(request.headers.get("Authorization", ""))
    if not token:
        raise Refused("UNAUTHORIZED", "A bearer token is missing.", _BEARER_CHALLENGE)
    try:
        credential = tokens.verify(token, config, clock)
    except tokens.TokenInvalid as error:
        message = f"The bearer token cannot be used: {error}."
        raise Refused("UNAUTHORIZED", message, _BEARER_CHALLENGE) from None
    if api is not None and api not in credential.permissions:
        raise Refused("FORBIDDEN", f"The credential does not include the API {api}.")
    return credential


def secret_matches(secret: str, expected: bytes | None) -> bool:
    """Compare a secret with a digest in constant time; `None` costs as much as a wrong one."""
    try:
        given = digest(secret)
    except UnicodeEncodeError:  # half of a surrogate pair: no secret holds one
        given = _NOBODYS_DIGEST
    return compare_digest(given, expected or _NOBODYS_DIGEST) and expected is not None


def workspace_credentials(header: str | None, config: EdgeConfig) -> None:
    """Check that a Basic `Authorization` header proves the workspace's own key.

    Raises:
        Refused: there is no header (401), or it proves nothing (403).
    """
    if header is None:
        raise Refused("UNAUTHORIZED", "Authentication is missing.", _BASIC_CHALLENGE)
    key, secret = _basic_pair(header)
    known = config.workspace_key
    is_secret = secret_matches(secret, None if known is None else known.secret_digest)
    if known is None or known.key != key or not is_secret:
        raise Refused("FORBIDDEN", "Key and secret are not those of the workspace.")


def _proven_key(header: str, config: EdgeConfig) -> KeyInfo:
    key, secret = _basic_pair(header)
    found = config.keys.get(key)
    is_secret = secret_matches(secret, found.secret_digest if found else None)
    if found is None or not is_secret or not found.is_active:
        raise Refused("FORBIDDEN", "Key and secret are not those of an active input.")
    return found


def _bearer_token(header: str) -> str:
    """Return the token of a bearer header, empty if there is none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _basic_pair(header: str) -> tuple[str, str]:
    """Return key and secret of a Basic header. Raises Refused (403)."""
    key, colon, secret = _basic_text(header).partition(":")
    if not colon:
        raise Refused("FORBIDDEN", "Authentication is not a key and its secret.")
    return key, secret


def _basic_text(header: str) -> str:
    """Return what a Basic header holds, decoded. Raises Refused (403)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise Refused("FORBIDDEN", "Authentication must be Basic, with a key and its secret.")
    encoded = encoded.strip().rstrip("=")
    try:
        return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refused("FORBIDDEN", "Authentication is not Basic in base64 of UTF-8.") from None
