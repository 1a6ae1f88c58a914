"""What blocking leaves of a batch: spec/data-plans.md, 4."""

from actors.batches.attributes import SOURCE_FEED
from actors.plans.blocking import block
from actors.plans.document import Actions
from actors.plans.validation import validate_batch
from actors.plans.verdict import judge
from tests.actors.plans.plans import Data, compiled, custom_match, decoded, event, point
from tests.actors.profiles.builders import BACKEND

NO_ATTRIBUTES: Data = {
    "properties": {
        "data": {
            "properties": {"event_name": {}, "custom_event_type": {}},
            "additionalProperties": False,
        }
    }
}


def test_the_attribute_that_names_the_feed_is_not_blocked() -> None:
    """spec/events-api.md, 2.1: not with the attributes that a plan does not have at all."""
    plan = compiled(point(custom_match("Bare"), NO_ATTRIBUTES))
    sent = event("custom_event", event_name="Bare", custom_attributes={"a": "1"})
    batch = decoded(sent, source=BACKEND)
    verdict = judge(validate_batch(plan, batch), Actions(event_attribute="drop_attribute"))
    left, _ = block(batch, verdict)
    assert left.drops == ["unplanned_event_attribute"]
    assert left.events[0].get("custom_attributes") == {SOURCE_FEED: "Backend"}
    assert batch.events[0].get("custom_attributes") == {"a": "1", SOURCE_FEED: "Backend"}
