"""Events: one message for each batch (spec/connections.md, 4.3)."""

import logging
from collections.abc import Sequence

import orjson

from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, Refused
from actors.outputs.environment import ConnectionTerms
from actors.outputs.firehose.client import message_uuid
from actors.outputs.firehose.messages import VERSION, Account, EventProcessingRequest
from actors.outputs.firehose.requests import Made, Origin, event_request
from actors.outputs.firehose.sending import KindSender, Ready
from actors.outputs.firehose.setting_values import sent_values, value_problems

logger = logging.getLogger("headwater.forwarder")

NO_TERMS = ConnectionTerms("", {})


class EventSender(KindSender):
    """Sends batches of events."""

    async def send(self, ready: Ready, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Post the request of one batch; nothing where the module wants nothing of it."""
        [delivery] = deliveries
        terms = self._environment.place.connections.get(delivery.connection, NO_TERMS)
        takes = ready.registration.event_processing_registration
        assert takes is not None, "see `Ready`"
        for name, problem in value_problems(takes.event_connection_settings, terms.settings):
            return [Refused("invalid_settings", f"connection settings.{name}: {problem}")]
        own = sent_values(takes.event_connection_settings, terms.settings)
        account = Account(ready.account.account_id, ready.account.account_settings | own)
        module_id = self._settings.module_id or ready.registration.name
        origin = Origin(account, self._environment.place.workspace, terms.input_name, module_id)
        made = event_request(
            orjson.loads(delivery.payload),
            origin,
            ready.registration,
            message_uuid(delivery.delivery_id),
            delivery.created_ms,
        )
        if not delivery.attempts:
            self._count(delivery, made)
        if made.request is None:
            return [Delivered()]
        reply = await self._client.ask(
            self._url,
            made.request,
            ready.headers,
            delivery_id=delivery.delivery_id,
            attempt=delivery.attempts + 1,
        )
        return [reply.outcome]

    async def probe(self, ready: Ready) -> Outcome:
        """Ask whether the module is there, with a request without events."""
        now_ms = self._environment.clock.now_ms()
        request = EventProcessingRequest(
            id=message_uuid(f"{self._environment.output}|probe|{now_ms}"),
            timestamp_ms=now_ms,
            firehose_version=VERSION,
            account=ready.account,
            events=[],
        )
        return (await self._client.ask(self._url, request, ready.headers)).outcome

    def _count(self, delivery: Delivery, made: Made) -> None:
        for reason, count in made.drops.items():
            self._environment.count_drop(delivery.connection, reason, count)
        if made.drops["event_arrived_late"]:
            logger.warning(
                "Events came later than their module takes them",
                extra={
                    "event": "event_arrived_late",
                    "output": self._environment.output,
                    "alert": "Event Arrived Late",
                    "count": made.drops["event_arrived_late"],
                },
            )
