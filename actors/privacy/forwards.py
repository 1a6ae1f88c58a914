"""Erasures on their way to outputs of kind `dsr` (spec/privacy.md, 6; spec/connections.md, 4.5).

They wait in an outbox of the coordinator's, committed with the request that they are of, so that
no erasure of anybody's deliveries takes them away.
"""

import hashlib
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from actors.batches.identities import PROFILE_NAMES
from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.model.workspaces import Environment
from actors.outputs import dsr_messages
from actors.outputs.dsr_messages import NO_IDENTITY, DsrMessage, subject_identities
from actors.privacy.requests import UNFINISHED, Forward, SubjectRequest, Submission
from actors.store import outbox, subject_requests
from actors.store.environment import Transaction

INACTIVE = "connection_inactive"
# What one transaction lets go of: some milliseconds, for which the coordinator does nothing else.
GIVEN_UP_TOGETHER = 200
GIVEN_UP_BYTES = 1024 * 1024
SKIPPED = "No matching identities available."
_LAST = b"dsr_last_forward"


class DsrOutput(Struct, frozen=True):
    """An output of kind `dsr` that is active; `environment`: whose settings it is sent by."""

    connection: int
    output: str
    name: str
    domain: str
    environment: Environment = "production"


def is_forwarded(sent: Submission) -> bool:
    """Tell whether requests like this one go to outputs."""
    return sent.type == "erasure" and sent.version == "3.0"


def forwards(
    sent: Submission, outputs: Mapping[str, DsrOutput], profile: Mapping[str, str] | None
) -> tuple[Forward, ...]:
    """Return what is to become of a request at all outputs."""
    identities = sent_identities(sent, profile)
    return tuple(
        Forward(each.connection, each.output, each.name, each.domain)
        if identities
        else Forward(each.connection, each.output, each.name, each.domain, "skipped", SKIPPED)
        for each in outputs.values()
    )


def sent_identities(sent: Submission, profile: Mapping[str, str] | None) -> dict[str, str]:
    """Return the identities that outputs are sent, by their names in the message."""
    requested = {
        PROFILE_NAMES[kind]: value for kind, value in sent.identities if kind in PROFILE_NAMES
    }
    return subject_identities(requested, profile)


def enqueue(
    txn: Transaction,
    request: SubjectRequest,
    outputs: Mapping[str, DsrOutput],
    profile: Mapping[str, str] | None,
) -> SubjectRequest:
    """Have all outputs be sent a request that is new, as far as there is anything for them.

    Returns:
        The request, which knows what waits for it.
    """
    if request.forwards is None:
        return request
    sent = request.sent
    payload = dsr_messages.encode(
        DsrMessage(
            subject_request_id=request.id,
            subject_request_type="erasure",
            submitted_ms=sent.submitted_ms,
            regulation=sent.regulation or "unknown",
            subject_identities=sent_identities(sent, profile),
        )
    )
    kept = []
    for forward in request.forwards:
        if forward.status == "pending":
            forward = replace(forward, sequence=_next(txn))
            outbox.add(
                txn,
                Delivery(
                    sequence=forward.sequence,
                    connection=forward.connection,
                    delivery_id=_delivery_id(request.id, forward.connection),
                    mpid=None,
                    payload=payload,
                    created_ms=request.received_ms,
                    environment=outputs[forward.output].environment,
                ),
            )
        kept.append(forward)
    return replace(request, forwards=tuple(kept))


def settle(txn: Transaction, settlement: Settlement) -> Iterator[SubjectRequest]:
    """Write what became of deliveries; yield the requests that it has changed."""
    connection = settlement.connection
    dead = {each.delivery.sequence: each for each in settlement.dead}
    for sequence in (*settlement.done, *dead):
        delivery = _read(txn, connection, sequence)
        if delivery is None:  # settled before
            continue
        request_id = dsr_messages.decode(delivery.payload).subject_request_id
        request = subject_requests.read(txn, request_id)
        if request is not None:
            yield _with_outcome(request, connection, dead.get(sequence))
    # Nothing final is kept: what it holds is to be erased.
    gone = [*settlement.done, *dead]
    outbox.settle(txn, Settlement(connection, gone, [], settlement.delayed))


def give_up(
    txn: Transaction, request: SubjectRequest, outputs: Mapping[str, DsrOutput]
) -> SubjectRequest:
    """Let go of what waits for outputs that are not active any more; return the request."""
    active = _connections(outputs)
    kept = []
    for forward in request.forwards or ():
        if forward.status == "pending" and forward.connection not in active:
            outbox.settle(txn, Settlement(forward.connection, [forward.sequence]))
            forward = replace(forward, status="failed", message=INACTIVE)
        kept.append(forward)
    return request if request.forwards is None else replace(request, forwards=tuple(kept))


def stranded(txn: Transaction, outputs: Mapping[str, DsrOutput]) -> list[int]:
    """Return the connections for which something waits though they are not active any more."""
    return sorted(outbox.depths(txn).keys() - _connections(outputs))


def give_up_some(
    txn: Transaction, connection: int, after: int, outputs: Mapping[str, DsrOutput]
) -> int | None:
    """Let go of some of what waits for a stranded connection: of requests that are over.

    Others may still be sent if the output is active again before they are over.

    Returns:
        The sequence after which the next call goes on, `None` at the end.
    """
    waiting = outbox.decode(
        outbox.read_encoded(txn, connection, after, GIVEN_UP_TOGETHER, GIVEN_UP_BYTES)
    )
    for delivery in waiting:
        request_id = dsr_messages.decode(delivery.payload).subject_request_id
        request = subject_requests.read(txn, request_id)
        if request is None:  # it was forgotten
            outbox.settle(txn, Settlement(connection, [delivery.sequence]))
        elif request.status not in UNFINISHED:
            subject_requests.write(txn, give_up(txn, request, outputs))
    return waiting[-1].sequence if waiting else None


def _connections(outputs: Mapping[str, DsrOutput]) -> set[int]:
    return {each.connection for each in outputs.values()}


def _with_outcome(
    request: SubjectRequest, connection: int, dead: DeadLetter | None
) -> SubjectRequest:
    def outcome(forward: Forward) -> Forward:
        if forward.connection != connection:
            return forward
        if dead is None:
            return replace(forward, status="sent", message=None)
        if dead.reason == NO_IDENTITY:
            return replace(forward, status="skipped", message=SKIPPED)
        status = "" if dead.http_status is None else f", HTTP status {dead.http_status}"
        return replace(forward, status="failed", message=dead.reason + status)

    return replace(request, forwards=tuple(map(outcome, request.forwards or ())))


def _read(txn: Transaction, connection: int, sequence: int) -> Delivery | None:
    found = outbox.decode(outbox.read_encoded(txn, connection, sequence - 1, 1, 1))
    return found[0] if found and found[0].sequence == sequence else None


def _next(txn: Transaction) -> int:
    """Return the next sequence: a forwarder reads only what follows what it has read."""
    following = int.from_bytes(txn.get("meta", _LAST) or b"", "big") + 1
    txn.put("meta", _LAST, following.to_bytes(8, "big"))
    return following


def _delivery_id(request_id: str, connection: int) -> str:
    digest = hashlib.blake2b(f"{request_id}\0{connection}".encode(), digest_size=16)
    return f"dl_{digest.hexdigest()}"
