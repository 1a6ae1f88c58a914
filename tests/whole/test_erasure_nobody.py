"""What erasures take away of what is nobody's, by the identities of the requests."""

from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.model.deliveries import DeadLetter, Settlement
from tests.actors.plans.plans import document, point, quote
from tests.whole.subject_requests import CREDENTIALS, MOMENT_MS, accepted, body, fulfil, status
from tests.whole.test_data_plans import CONNECTION, TAG, numbers, planned, quarantined, waiting
from tests.whole.test_erasure import NEEDLE, places_of, stores
from tests.whole.world import changed, running

CUSTOMERS_ALONE = point(
    {"type": "user_identities", "criteria": None},
    {"properties": {"customer_id": {"type": "string"}}, "additionalProperties": False},
)
DOCUMENT = changed(
    planned(document(CUSTOMERS_ALONE, user_identity="drop_attribute")),
    workspace={"dsr_credentials": CREDENTIALS},
)


def unplanned(email: str, number: int) -> dict[str, Any]:
    """Return a batch of which the only identity is blocked."""
    return {
        "user_identities": {"email": email},
        "source_request_id": f"r{len(email)}-{number}",
        "events": [quote({"premium": 1})],
        "context": TAG,
    }


@pytest.mark.parametrize("shards", [1, 3])
async def test_quarantine_of_somebody_who_has_no_profile_is_erased(
    tmp_path: Path, shards: int
) -> None:
    """spec/privacy.md, 5.2, rows 6 and 7: what waits, and dead letters, wherever they are."""
    clock = ManualClock(MOMENT_MS)
    async with running(tmp_path, shards=shards, document=DOCUMENT, clock=clock) as world:
        for number in range(2):
            await world.accept(unplanned(NEEDLE.upper(), number))
            await world.accept(unplanned("bob@example.test", number))
        assert await world.find(NEEDLE) == []
        number = (await numbers(world))[CONNECTION]
        shard = next(each for each in world.shards if places_of(NEEDLE.upper(), each.store))
        dead = next(
            each
            for each in shard.outbox.read_outbox(number, 0, 99, 1 << 20)
            if NEEDLE.upper().encode() in each.payload
        )
        letter = DeadLetter(dead, "fatal_response", MOMENT_MS, MOMENT_MS, 400)
        shard.outbox.settle(Settlement(number, dead=[letter]))
        assert len(waiting(world, number)) == 3
        request_id = await accepted(world, body())
        await fulfil(world, clock)
        assert (await status(world, request_id))["request_status"] == "completed"
        left = [each["user_identities"] for each in await quarantined(world)]
        assert left == [{"email": "bob@example.test"}] * 2
        assert places_of(NEEDLE.upper(), *stores(world)) == []
        assert "held" in world.forwarders.reread_outputs
        record = await world.privacy.request(request_id)
        assert record is not None
        assert {each.store: each.removed for each in record.stages}["deliveries"] == 2
