"""What shards are told, made of all that is kept."""

from datetime import UTC, date, datetime, timedelta

from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.announce import Subscription as Announced
from actors.audiences.catalog import AudienceOutput, Catalog
from actors.audiences.criteria import Node
from actors.audiences.objects import EVALUATED, Audience, DateRange, Subscription
from actors.audiences.readings import Readings
from actors.audiences.receivers import Neighbours, Withheld, output_of, withheld_from
from actors.audiences.state import AudienceState
from actors.audiences.told import LiveAudience, LiveAudiences, LiveSubscription, Span
from actors.audiences.trees import members_node, milestone
from actors.audiences.variations import forwarded_name
from actors.outputs.audience_messages import MessageAudience


def live_audiences(
    state: AudienceState, catalog: Catalog, readings: Readings, neighbours: Neighbours
) -> LiveAudiences:
    """Return what shards have to know."""
    return LiveAudiences(
        version=state.counters.version,
        audiences=tuple(
            _live(each, state, readings) for each in _by_number(state) if each.status in EVALUATED
        ),
        subscriptions=tuple(
            _subscription(
                each,
                state.audiences[each.audience],
                catalog.workspace,
                output,
                withheld_from(each, state.counters, neighbours),
            )
            for each in sorted(state.subscriptions.values(), key=lambda each: each.number)
            if each.is_active and (output := output_of(each, catalog, neighbours)) is not None
        ),
        leaving=frozenset(state.counters.leaving),
        owned_attributes=frozenset(
            name for each in state.predictions.values() for name in each.attributes
        ),
        leaving_tests={
            number: audience.test
            for number in state.counters.leaving
            if (audience := state.audiences.get(number)) is not None and audience.test is not None
        },
    )


def node_of(audience: Audience, state: AudienceState, readings: Readings) -> Node | None:
    """Return what an audience's definition means; `None` if it has none."""
    if audience.journey is not None and audience.milestone is not None:
        journey = state.journeys[audience.journey]
        found = milestone(journey, audience.milestone)
        return None if found is None else members_node(journey, found, readings.node)
    return None if audience.definition is None else readings.node(audience.definition)


def span_of(range_: DateRange) -> Span:
    """Return the instants between which events of a range are, its last day included."""
    end = None if range_.end is None else date.fromisoformat(range_.end) + timedelta(days=1)
    start = None if range_.start is None else date.fromisoformat(range_.start)
    return Span(_midnight_ms(start), _midnight_ms(end))


def subscription_id(workspace: int, number: int) -> str:
    """Return what a subscription is called in delivery ids, metrics and logs."""
    return f"subscription-{workspace}-{number}"


def _live(audience: Audience, state: AudienceState, readings: Readings) -> LiveAudience:
    is_standard = audience.type == "standard"
    return LiveAudience(
        number=audience.number,
        revision=audience.calculations if is_standard else audience.revision,
        type=audience.type,
        name=audience.name,
        external_name=audience.external_name,
        environment=audience.environment,
        node=node_of(audience, state, readings),
        test=audience.test,
        span=span_of(audience.range or DateRange()) if is_standard else None,
        workspaces=audience.workspaces,
    )


def _subscription(
    subscription: Subscription,
    audience: Audience,
    workspace: int,
    output: AudienceOutput,
    withheld: Withheld,
) -> LiveSubscription:
    sends = subscription.sends if audience.type == "standard" else None
    if audience.environment in output.listed_in:
        sends = 0  # its forwarder reads the members itself
    return LiveSubscription(
        subscription=Announced(
            number=FIRST_NUMBER + subscription.number,
            id=subscription_id(workspace, subscription.number),
            audience=audience.number,
            name=MessageAudience(
                audience.number,
                audience.name,
                forwarded_name(audience.external_name, subscription.variation),
            ),
            workspace=workspace,
            output=output.id,
            environments=output.environments,
            identities=output.identities,
            shared_user_attributes=subscription.shared_user_attributes,
            withdrawn_attributes=subscription.withdrawn_attributes,
            withheld=withheld,
        ),
        variation=subscription.variation,
        is_faulted=subscription.fault is not None,
        resumed=subscription.resumed,
        sends=sends,
    )


def _by_number(state: AudienceState) -> list[Audience]:
    return sorted(state.audiences.values(), key=lambda each: each.number)


def _midnight_ms(day: date | None) -> int | None:
    if day is None:
        return None
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
