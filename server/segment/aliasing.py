"""What an `alias` message does (spec/clients.md, 6.7)."""

from typing import NamedTuple

from actors.batches.identities import DEVICE_STAMP, MAX_IDENTITY
from actors.identity.calls import (
    AliasRequest,
    ChangeRequest,
    IdentityAnswer,
    IdentityCall,
    ModifyCall,
)
from actors.model.workspaces import Environment
from server.deployment import Deployment
from server.edge_config import KeyInfo
from server.identity_config import IdentityCalls
from server.segment.people import device_stamp
from server.segment.requests import Message
from server.segment.values import as_id

CUSTOMER = "customerid"


class Aliasing(NamedTuple):
    """Where an alias is applied: `config` says whether histories may be joined."""

    deployment: Deployment
    config: IdentityCalls
    key: KeyInfo
    environment: Environment
    received_ms: int


async def apply_alias(message: Message, at: Aliasing) -> None:
    """Make the user of `previousId` the one of `userId`, as far as they are known.

    What cannot be done is not: SDKs could not mend it. Raises as `Deployment` does.
    """
    sent = message.members
    previous = as_id(sent.get("previousId"))
    user, anonymous = as_id(sent.get("userId")), as_id(sent.get("anonymousId"))
    assert previous is not None, "the message is valid"
    if previous in (user, anonymous if user is None else None):
        return
    source = await _by_customer(previous, at) or await _by_device(previous, at)
    if user is not None:
        target = await _by_customer(user, at)
    else:
        target = await _by_device(str(anonymous), at)
    if source is None or source == target:
        return
    if target is not None:
        await _join(source, target, message, at)
    elif user is not None and len(user) <= MAX_IDENTITY:
        change = ChangeRequest(CUSTOMER, previous, user)
        await at.deployment.modify(ModifyCall(at.environment, source, (change,), at.received_ms))


async def _by_customer(value: str, at: Aliasing) -> int | None:
    found = await at.deployment.lookup(at.environment, CUSTOMER, value)
    return found[0] if found else None


async def _by_device(anonymous_id: str, at: Aliasing) -> int | None:
    """Return whose the messages with an anonymous id alone are: never a known user.

    Not by a search, which some workspaces answer for immutable identities only.
    """
    stamp = device_stamp(at.key.input_id, anonymous_id)
    sent = {DEVICE_STAMP: stamp}
    call = IdentityCall("identify", at.environment, sent, at.received_ms, is_read_only=True)
    found = await at.deployment.identity_call(call)
    return found.mpid or None if isinstance(found, IdentityAnswer) else None


async def _join(source: int, target: int, message: Message, at: Aliasing) -> None:
    """Have the history of one user copied to another one, if the workspace allows that."""
    if not at.config.has_aliasing:
        return
    name = as_id(message.members.get("messageId")) or f"{source}:{target}:{at.received_ms}"
    await at.deployment.alias(
        AliasRequest(
            request_id=f"segment:{name}",
            environment=at.environment,
            source_mpid=source,
            destination_mpid=target,
            start_ms=at.received_ms - at.config.alias_window_ms,
            end_ms=at.received_ms,
            scope="mpid",
            device_stamp=None,
            received_ms=at.received_ms,
            input=at.key.input,
        )
    )
