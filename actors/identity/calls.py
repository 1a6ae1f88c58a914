"""The identity calls as the actors see them: what is asked and what is answered.

Source: spec/identity.md, 4 to 7. The edge has checked types, lengths and enums, and has applied the
value rules (2): absent and zero values are gone, values are trimmed but otherwise as sent. What
depends on the scope's configuration or on what is known is decided by the coordinator.
"""

from typing import Literal

from msgspec import Struct

from actors.model.workspaces import Environment

CallKind = Literal["identify", "login", "logout", "search"]


class IdentityCall(Struct, frozen=True):
    """An identify, login, logout or search call; an event batch is an `identify`.

    Attributes:
        identities: IDSync type to value, every type that was sent, in any order.
        previous_mpid: a hint; one that is unknown here is ignored.
        is_read_only: resolve without writing; what would create answers MPID 0.
        retry_key: digest of what makes a logout a repetition of another one (7.5), else `None`.
        received_ms: time of receipt.
        is_batch: an event batch, which is answered with a record even if nothing can be attached to
            it, and which updates the profile itself.
        workspace: number of the one that it came to, in which a profile that it makes is seen; the
            coordinator sets it.
    """

    kind: CallKind
    environment: Environment
    identities: dict[str, str]
    received_ms: int
    previous_mpid: int | None = None
    is_read_only: bool = False
    retry_key: bytes | None = None
    is_batch: bool = False
    workspace: int = 0


class IdentityAnswer(Struct, frozen=True, tag="answer"):
    """Whose the identities are.

    Attributes:
        mpid: 0 for a read-only call that would create.
        matched: types of the sent identities that the record held before the call.
        is_ephemeral, is_logged_in: as in the response (5.2).
    """

    mpid: int
    matched: tuple[str, ...]
    is_ephemeral: bool
    is_logged_in: bool


class ChangeRequest(Struct, frozen=True, array_like=True):
    """One entry of a modify call; `None` for a value that is absent."""

    type: str
    old: str | None
    new: str | None


class ModifyCall(Struct, frozen=True):
    """Change the identities of one MPID, all or nothing (6)."""

    environment: Environment
    mpid: int
    changes: tuple[ChangeRequest, ...]
    received_ms: int


class ModifyAnswer(Struct, frozen=True, tag="modified"):
    """Type and MPID of every record that was changed, in the order of spec/identity.md, 6."""

    changed: tuple[tuple[str, int], ...]


class IdentityProblem(Struct, frozen=True, tag="problem"):
    """Why a call was refused: rows 12 to 17 of spec/identity.md, 4.4."""

    status: int
    code: str
    message: str


AliasScope = Literal["device", "mpid"]


class AliasRequest(Struct, frozen=True):
    """Copy the history of one MPID to another one (10.1), as an edge has checked it.

    Attributes:
        request_id: the client's; a repetition within 7 days is accepted and does nothing.
        start_ms, end_ms: event times, both included; the end is not after `received_ms`, the start
            not before the longest window before it.
        scope: `device`: events of `device_stamp` only; `mpid`: those of all devices.
        device_stamp: device application stamp in canonical form, `None` where none is named.
        received_ms: time of acceptance; the delay counts from it.
        input: number of the input whose key it came with.
    """

    request_id: str
    environment: Environment
    source_mpid: int
    destination_mpid: int
    start_ms: int
    end_ms: int
    scope: AliasScope
    device_stamp: str | None
    received_ms: int
    input: int
