"""Who may manage a deployment: custom roles and users (spec/privacy.md, 10.3 and 10.4).

Table `access`, of the store of the configuration alone: `r` to the manifest of roles, and
`u<account><e-mail, case-folded>` to a user.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from actors.store.environment import Transaction

_MANIFEST = b"r"
_USER = b"u"


class CustomRole(Struct, frozen=True, kw_only=True):
    """A role that was made through the API. `tasks`: as they were given, `user:core` first."""

    role_id: str
    name: str
    description: str
    tasks: tuple[str, ...]


class Manifest(Struct, frozen=True, array_like=True):
    """All custom roles of the organization; `version` grows with every change, from 0."""

    roles: tuple[CustomRole, ...] = ()
    version: int = 0
    modified_ms: int | None = None
    modified_by: str | None = None


class AccountUser(Struct, frozen=True, array_like=True, kw_only=True):
    """Somebody with access to an account.

    `role` is a standard or a custom one; `version` grows with every change, from 1.
    """

    email: str
    first_name: str
    last_name: str
    role: str
    created_ms: int
    created_by: str
    modified_ms: int
    modified_by: str
    version: int


_encode = msgspec.msgpack.Encoder().encode
_decode_manifest = msgspec.msgpack.Decoder(Manifest).decode
_decode_user = msgspec.msgpack.Decoder(AccountUser).decode


def read_manifest(txn: Transaction) -> Manifest:
    """Return the custom roles."""
    encoded = txn.get("access", _MANIFEST)
    return Manifest() if encoded is None else _decode_manifest(encoded)


def write_manifest(txn: Transaction, manifest: Manifest) -> None:
    """Keep the custom roles."""
    txn.put("access", _MANIFEST, _encode(manifest))


def read_users(txn: Transaction, account: int | None = None) -> Iterator[AccountUser]:
    """Yield the users of an account, or of all, by e-mail."""
    prefix = _USER if account is None else _prefix(account)
    for _, encoded in txn.scan("access", prefix=prefix):
        yield _decode_user(encoded)


def read_user(txn: Transaction, account: int, email: str) -> AccountUser | None:
    """Return one user; case does not matter."""
    encoded = txn.get("access", _key(account, email))
    return None if encoded is None else _decode_user(encoded)


def write_user(txn: Transaction, account: int, user: AccountUser) -> None:
    """Keep a user."""
    txn.put("access", _key(account, user.email), _encode(user))


def delete_user(txn: Transaction, account: int, email: str) -> None:
    """Forget a user."""
    txn.delete("access", _key(account, email))


def _prefix(account: int) -> bytes:
    return _USER + account.to_bytes(8, "big")


def _key(account: int, email: str) -> bytes:
    return _prefix(account) + email.casefold().encode()
