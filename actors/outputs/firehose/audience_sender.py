"""Audiences: requests about subscriptions, and about who has entered or left.

Source: spec/connections.md, 4.4 and 5.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from actors.errors import ShardUnavailable, StoreFull
from actors.model.deliveries import Delivery
from actors.outputs import audience_messages
from actors.outputs.audience_messages import SubscriptionMessage
from actors.outputs.contract import (
    Delivered,
    Outcome,
    Refused,
    RequestLimits,
    Retry,
    SubscriptionTerms,
)
from actors.outputs.firehose.client import message_uuid
from actors.outputs.firehose.memberships import Member, profiles_of
from actors.outputs.firehose.messages import (
    VERSION,
    Answer,
    AudienceMembershipChangeRequest,
    AudienceSubscriptionRequest,
)
from actors.outputs.firehose.registration import AudienceProcessing, Registration
from actors.outputs.firehose.sending import KindSender, Ready
from actors.outputs.firehose.setting_values import plain, sent_values, value_problems
from actors.outputs.http_answers import body_id

MAX_WAIT_MS = 1000
MAX_MESSAGE_BYTES = 4 * 1024 * 1024


class Agreed(Struct, frozen=True):
    """A subscription as the module has agreed to it last.

    Attributes:
        name: of the audience, as it was sent.
        sent: the settings that were sent.
        given: those that the module gave back; they are merged into the others.
    """

    audience: int
    name: str
    sent: dict[str, str]
    given: dict[str, str] = {}

    @property
    def settings(self) -> dict[str, str]:
        """What every message about the audience carries."""
        return {**self.sent, **self.given}

    def __repr__(self) -> str:
        return f"Agreed(audience={self.audience})"


class AudienceSender(KindSender):
    """Sends what has become of memberships, of subscriptions that the module has agreed to."""

    def load(self, state: Mapping[str, bytes]) -> None:
        """Take up what was agreed."""
        self._agreed = {
            int(name.removeprefix("subscription-")): msgspec.json.decode(kept, type=Agreed)
            for name, kept in state.items()
            if name.startswith("subscription-")
        }

    def limits(self, registration: Registration | None) -> RequestLimits:
        """Return how many changes to send together: as the module has asked for, within bounds."""
        most, wait_ms = self._settings.max_profiles_per_request, MAX_WAIT_MS
        takes = None if registration is None else registration.audience_processing_registration
        if takes is not None and takes.bulk_configuration is not None:
            bulk = takes.bulk_configuration
            most = min(most, bulk.bulk_forward_wait_for_messages)
            wait_ms = bulk.bulk_forward_wait_in_minutes * 60_000 or MAX_WAIT_MS
        return RequestLimits(most, MAX_MESSAGE_BYTES, wait_ms)

    # -- Subscriptions ----------------------------------------------------------------------------

    async def subscribe(self, ready: Ready, terms: SubscriptionTerms) -> Outcome:
        """Have the module agree to a subscription, unless it has."""
        takes = _takes(ready)
        known = self._agreed.get(terms.connection)
        given = {} if known is None else known.given
        for name, problem in value_problems(takes.audience_subscription_settings, terms.settings):
            return Refused("invalid_settings", f"settings.{name}: {problem}")
        wanted = Agreed(
            terms.audience,
            terms.name,
            sent_values(takes.audience_subscription_settings, terms.settings),
        )
        if known is not None and (known.name, known.sent) == (wanted.name, wanted.sent):
            return Delivered()
        moment = f"{terms.connection}|{terms.name}|{sorted(wanted.sent.items())}"
        request = AudienceSubscriptionRequest(
            id=message_uuid(f"{self._environment.output}|subscription|{moment}"),
            timestamp_ms=self._environment.clock.now_ms(),
            firehose_version=VERSION,
            account=ready.account,
            audience_id=terms.audience,
            audience_name=terms.name,
            action="add" if known is None else "update",
            audience_subscription_settings={**wanted.sent, **given},
            previous_audience_subscription_settings={} if known is None else known.settings,
        )
        reply = await self._client.ask(self._url, request, ready.headers)
        if not isinstance(reply.outcome, Delivered) or reply.outcome.is_suspension:
            return reply.outcome
        answer = _given(reply.answer, takes)
        if isinstance(answer, Refused):
            return answer
        return await self._keep(
            terms.connection, Agreed(wanted.audience, wanted.name, wanted.sent, {**given, **answer})
        )

    async def _unsubscribe(
        self, ready: Ready, delivery: Delivery, message: SubscriptionMessage
    ) -> Outcome:
        known = self._agreed.get(delivery.connection)
        request = AudienceSubscriptionRequest(
            id=message_uuid(delivery.delivery_id),
            timestamp_ms=delivery.created_ms,
            firehose_version=VERSION,
            account=ready.account,
            audience_id=message.audience.id,
            audience_name=message.audience.external_name,
            action=message.action,
            audience_subscription_settings={} if known is None else known.settings,
        )
        reply = await self._client.ask(
            self._url,
            request,
            ready.headers,
            delivery_id=delivery.delivery_id,
            attempt=delivery.attempts + 1,
        )
        if isinstance(reply.outcome, Delivered):
            return await self._keep(delivery.connection, None)
        return reply.outcome

    async def _keep(self, connection: int, agreed: Agreed | None) -> Outcome:
        kept = None if agreed is None else msgspec.json.encode(agreed)
        try:
            await self._environment.state.keep_output_state(
                self._environment.output, {f"subscription-{connection}": kept}
            )
        except (ShardUnavailable, StoreFull) as error:
            return Retry(f"what was agreed could not be kept: {type(error).__name__}")
        if agreed is None:
            self._agreed.pop(connection, None)
        else:
            self._agreed[connection] = agreed
        return Delivered()

    # -- Memberships ------------------------------------------------------------------------------

    async def send(self, ready: Ready, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Post one request for all changes; those that the module may know nothing of are done."""
        notice = _notice(deliveries)
        if notice is not None:
            return [await self._unsubscribe(ready, deliveries[0], notice)]
        members = [
            Member(
                each.connection,
                audience_messages.decode(each.payload),
                self._settings_of(each.connection),
            )
            for each in deliveries
        ]
        profiles, drops = profiles_of(members, ready.registration.permissions)
        for place, reason in drops.items():
            if not deliveries[place].attempts:
                self._environment.count_drop(deliveries[place].connection, reason, 1)
        if not profiles:
            return [Delivered() for _ in deliveries]
        name = body_id(deliveries)
        request = AudienceMembershipChangeRequest(
            id=message_uuid(name),
            timestamp_ms=max(each.created_ms for each in deliveries),
            firehose_version=VERSION,
            account=ready.account,
            user_profiles=profiles,
        )
        reply = await self._client.ask(
            self._url,
            request,
            ready.headers,
            delivery_id=name,
            attempt=1 + max(each.attempts for each in deliveries),
        )
        return [
            Delivered() if place in drops else reply.outcome for place in range(len(deliveries))
        ]

    async def probe(self, ready: Ready) -> Outcome:
        """Ask whether the module is there, with a request without profiles."""
        now_ms = self._environment.clock.now_ms()
        request = AudienceMembershipChangeRequest(
            id=message_uuid(f"{self._environment.output}|probe|{now_ms}"),
            timestamp_ms=now_ms,
            firehose_version=VERSION,
            account=ready.account,
        )
        return (await self._client.ask(self._url, request, ready.headers)).outcome

    def _settings_of(self, connection: int) -> dict[str, str]:
        known = self._agreed.get(connection)
        return {} if known is None else known.settings


def _takes(ready: Ready) -> AudienceProcessing:
    takes = ready.registration.audience_processing_registration
    assert takes is not None, "see `Ready`"
    return takes


def _notice(deliveries: Sequence[Delivery]) -> SubscriptionMessage | None:
    """Return the message that a subscription has ended, if that is what is to be delivered."""
    if len(deliveries) > 1 or deliveries[0].mpid is not None:
        return None
    return audience_messages.decode_subscription(deliveries[0].payload)


def _given(answer: Answer | None, takes: AudienceProcessing) -> dict[str, str] | Refused:
    """Return the settings that a module gives back, or that it gives some it does not have."""
    found = {} if answer is None else answer.audience_subscription_settings or {}
    known = {each.id for each in takes.audience_subscription_settings}
    unknown = sorted(set(found) - known)
    if unknown:
        return Refused(
            "invalid_module_response",
            f"the module answered with a setting that it has not registered: {unknown[0]}",
        )
    return sent_values(
        [each for each in takes.audience_subscription_settings if each.id in found],
        {name: plain(value) for name, value in found.items()},
    )
