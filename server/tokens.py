"""Bearer tokens: JSON Web Tokens, HS256 (spec/platform-api.md, 2)."""

import hmac
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Any

import jwt
import msgspec

from actors.clock import Clock
from server.edge_config import Credential, EdgeConfig

ALGORITHM = "HS256"
ISSUER = "headwater"
LIFETIME_S = 8 * 3600
CLOCK_SKEW_S = 60

_REQUIRED = ["iss", "sub", "aud", "iat", "exp", "account", "workspaces", "perms", "secret_id"]


class _Claimed(msgspec.Struct):
    sub: str


_decode_claimed = msgspec.json.Decoder(_Claimed).decode


class TokenInvalid(Exception):
    """A token cannot be used any more, or never could."""


def issue(
    credential: Credential, secret_digest: bytes, audience: str, config: EdgeConfig, clock: Clock
) -> str:
    """Make a token for a credential whose secret was verified.

    Args:
        credential: whose token it is.
        secret_digest: of the secret that was verified, with which the token ends.
        audience: that it is for.
        config: as of now; its key signs.
        clock: for the token's expiry.
    """
    now_s = clock.now_ms() // 1000
    claims = {
        "iss": ISSUER,
        "sub": credential.client_id,
        "aud": audience,
        "iat": now_s,
        "exp": now_s + LIFETIME_S,
        "scope": " ".join(sorted(credential.permissions)),
        "account": config.account,
        "workspaces": [config.workspace],
        "perms": dict(credential.permissions),
        "secret_id": _secret_id(secret_digest, config),
    }
    return jwt.encode(
        claims, config.token_key, algorithm=ALGORITHM, headers={"kid": key_id(config.token_key)}
    )


def verify(token: str, config: EdgeConfig, clock: Clock) -> Credential:
    """Return the credential that a token stands for, as it is configured now.

    One that was issued in the future is as good as any: the edge that signed it may be ahead for
    hours, as an edge's clock does not go back when the machine's does, and others are not.

    Raises:
        TokenInvalid: not ours, expired, or since it was issued its credential has been deleted,
            switched off or narrowed, or the secret that it was got with has ended.
    """
    claims = _claims(token, config)
    now_s = clock.now_ms() // 1000
    if claims["exp"] + CLOCK_SKEW_S <= now_s:
        raise TokenInvalid("the token has expired")
    credential = config.credentials.get(claims["sub"])
    if credential is None or not credential.is_active:
        raise TokenInvalid("the credential is not active")
    is_narrowed = not claims["perms"].items() <= credential.permissions.items()
    if is_narrowed or config.account != claims["account"]:
        raise TokenInvalid("the credential has been changed")
    if config.workspace not in claims["workspaces"]:
        raise TokenInvalid("the credential has been changed")
    held = [_secret_id(each, config) for each in credential.held(clock.now_ms())]
    if not any(hmac.compare_digest(each, claims["secret_id"]) for each in held):
        raise TokenInvalid("the secret that it was issued for does not work any more")
    return credential


def claimed_client(token: str) -> str | None:
    """Return the client id in a token that nobody has verified; `None` if it cannot be read.

    It tells which configuration a token has to be verified with, and nothing else. The client id
    and not the workspaces: by it the token was issued.
    """
    claims = token.partition(".")[2].partition(".")[0]
    try:
        return _decode_claimed(urlsafe_b64decode(claims + "==")).sub
    except (ValueError, RecursionError):
        return None


def key_id(token_key: bytes) -> str:
    """Return the `kid` that names a signing key."""
    return sha256(b"kid" + token_key).hexdigest()[:16]


def _secret_id(secret_digest: bytes, config: EdgeConfig) -> str:
    """Return what names a secret in a token, and tells nothing of it without the server's key."""
    # What is signed of a token never begins with these bytes.
    return hmac.digest(config.token_key, b"secret_id\0" + secret_digest, "sha256").hex()


def _claims(token: str, config: EdgeConfig) -> dict[str, Any]:
    try:
        if jwt.get_unverified_header(token).get("kid") != key_id(config.token_key):
            raise TokenInvalid("the token is signed with another key")
        return jwt.decode(
            token,
            config.token_key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=config.token_audiences,
            # Times are checked with our own clock.
            options={
                "require": _REQUIRED,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.InvalidTokenError, UnicodeError):
        raise TokenInvalid("the token is malformed") from None
