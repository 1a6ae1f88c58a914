"""Data subject requests: one message for each (spec/connections.md, 4.5)."""

from collections.abc import Mapping, Sequence

from actors.model.deliveries import Delivery
from actors.outputs import dsr_messages
from actors.outputs.contract import Delivered, Fatal, Outcome
from actors.outputs.dsr_messages import NO_IDENTITY, SUBJECT_IDENTITIES
from actors.outputs.firehose.client import message_uuid
from actors.outputs.firehose.messages import VERSION, DsrProcessingRequest, SubjectIdentity
from actors.outputs.firehose.registration import Permissions
from actors.outputs.firehose.sending import KindSender, Ready
from actors.outputs.firehose.words import USER_IDENTITIES


class DsrSender(KindSender):
    """Sends data subject requests."""

    async def send(self, ready: Ready, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Post one request, unless the module may have none of its identities."""
        [delivery] = deliveries
        message = dsr_messages.decode(delivery.payload)
        identities = permitted_identities(
            message.subject_identities, ready.registration.permissions
        )
        if not identities:
            self._environment.count_drop(delivery.connection, NO_IDENTITY, 1)
            return [Fatal(NO_IDENTITY, "")]
        request = DsrProcessingRequest(
            id=message_uuid(delivery.delivery_id),
            timestamp_ms=delivery.created_ms,
            firehose_version=VERSION,
            account=ready.account,
            subject_request_id=message.subject_request_id,
            subject_request_type=message.subject_request_type,
            submitted_time=message.submitted_ms / 1000,
            subject_identities=identities,
            api_version="3.0",
            regulation=message.regulation,
        )
        reply = await self._client.ask(
            self._url,
            request,
            ready.headers,
            delivery_id=delivery.delivery_id,
            attempt=delivery.attempts + 1,
        )
        return [reply.outcome]

    async def probe(self, ready: Ready) -> Outcome:
        """The protocol has no request of this kind that asks for nothing."""
        return Delivered()


def permitted_identities(
    identities: Mapping[str, str], permissions: Permissions
) -> dict[str, SubjectIdentity]:
    """Return the identities of types that a module may have; they are never hashed."""
    granted = {each.type for each in permissions.user_identities}
    granted_devices = {each.type for each in permissions.device_identities}
    found = {}
    for name, word in SUBJECT_IDENTITIES.items():
        is_granted = USER_IDENTITIES.get(name) in granted or name in granted_devices
        if is_granted and word in identities:
            found[word] = SubjectIdentity(identities[word])
    return found
