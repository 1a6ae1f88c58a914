"""What forwarders ask about subscriptions, and tell of them (spec/connections.md, 1.3 and 5).

Methods raise as those of `actors.audiences.registry` do.
"""

from msgspec.structs import replace

from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.catalog import AudienceOutput
from actors.audiences.core import Core
from actors.audiences.live import subscription_id
from actors.audiences.objects import Audience, Fault, Removal, Subscription
from actors.audiences.variations import forwarded_name
from actors.forwarding.subscriptions import Followed
from actors.model.deliveries import Delivery
from actors.outputs.audience_messages import (
    MessageAudience,
    SubscriptionMessage,
    encode_subscription,
)
from actors.outputs.connection_settings import ConnectionSettings, payload_settings
from actors.pipeline.connection import ConnectionInfo
from actors.steps.enqueue import delivery_id

# Where the members are those of the present definition, and nothing is still to be evaluated.
KNOWN = frozenset({"active", "ready"})


class Forwarding:
    """The subscriptions as forwarders know them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def subscriptions_at(self, output: str) -> list[Followed]:
        """Return the active subscriptions of an output (its id), as its forwarder sees them."""
        core = self._core
        return [
            followed(each, core.state.audiences[each.audience], found, core.catalog.workspace)
            for each in sorted(core.state.subscriptions.values(), key=lambda each: each.number)
            if each.is_active and (found := core.output_of(each)) is not None and found.id == output
        ]

    async def removals_at(self, output: str) -> list[Delivery]:
        """Return what an output (its id) is still to be told of subscriptions that have ended."""
        core = self._core
        return [
            removal_message(each, core.catalog.workspace)
            for each in sorted(core.state.removals.values(), key=lambda each: each.subscription)
            if (found := core.output_of(each)) is not None and found.id == output
        ]

    async def settle_removal(self, number: int) -> None:
        """Note that an output was told of the end of a subscription, or will never take it."""
        with self._core.changing() as changed:
            changed.removals.pop(number, None)

    async def fault_subscription(self, number: int, fault: Fault) -> None:
        """Keep that an output cannot be sent to; changes are held until it is resumed."""
        core = self._core
        with core.changing() as changed:
            former = changed.subscriptions.get(number)
            if former is None or former.fault is not None:
                return
            changed.put_subscription(replace(former, fault=fault))
            changed.tell_shards()
        await core.push()

    async def note_sent(self, number: int, sent_ms: int) -> None:
        """Keep when a subscription was last sent something."""
        core = self._core
        with core.changing() as changed:
            former = changed.subscriptions.get(number)
            if former is not None:
                changed.put_subscription(replace(former, last_sent_ms=sent_ms))


def removal_message(removal: Removal, workspace: int) -> Delivery:
    """Return the message that a subscription has ended: always the same, however often."""
    name = delivery_id(subscription_id(workspace, removal.subscription), 0, 0)
    audience = MessageAudience(removal.audience, removal.name, removal.external_name)
    message = SubscriptionMessage(name, removal.removed_ms, workspace, audience, "remove")
    return Delivery(
        sequence=0,
        connection=FIRST_NUMBER + removal.subscription,
        delivery_id=name,
        mpid=None,
        payload=encode_subscription(message),
        created_ms=removal.removed_ms,
        environment=removal.environment,
    )


def followed(
    subscription: Subscription, audience: Audience, output: AudienceOutput, workspace: int
) -> Followed:
    """Return a subscription as the forwarder of its output sees it."""
    return Followed(
        ConnectionInfo(
            number=FIRST_NUMBER + subscription.number,
            id=subscription_id(workspace, subscription.number),
            input=subscription.number,
            input_id=f"audience-{subscription.audience}",
            output=output.id,
            module=output.module,
            is_active=True,
            environments=output.environments,
            send_as_batch=True,
            settings=payload_settings(ConnectionSettings()),
            is_subscription=True,
        ),
        subscription.fault is not None,
        subscription.resumed,
        audience.number,
        forwarded_name(audience.external_name, subscription.variation),
        audience.environment,
        subscription.settings,
        audience.status in KNOWN,
        subscription.sends if audience.type == "standard" else None,
    )
