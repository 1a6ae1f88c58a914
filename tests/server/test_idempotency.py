"""`Idempotency-Key` where an answer cannot be kept, or is given elsewhere.

tests/whole/test_idempotency.py has all the rest.
"""

import logging

import pytest

from actors.errors import ShardUnavailable, StoreFull
from actors.identity.calls import ModifyAnswer
from actors.identity.state import IdentityRecord
from tests.server.conftest import World

UNDO = "/platform/identity/3/production/mpids/77/undo"


@pytest.mark.parametrize("error", [StoreFull("no room"), ShardUnavailable("away")])
async def test_what_is_done_is_answered_although_it_is_not_remembered(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """One line of the log says so, without the key."""
    world.deployment.records["production", 77] = IdentityRecord([])
    world.deployment.undo_answer = ModifyAnswer((("email", 77),))
    world.deployment.end_error = error
    headers = await world.token() | {"Idempotency-Key": "secret-key"}
    with caplog.at_level(logging.WARNING, "headwater.http"):
        response = await world.client.post(UNDO, headers=headers)
    assert response.status == 200
    [line] = [each for each in caplog.records if each.__dict__.get("event") == "answer_not_kept"]
    assert line.__dict__["kind"] == type(error).__name__
    assert "secret-key" not in str(line.__dict__)


async def test_what_is_begun_elsewhere_is_not_done_again(world: World) -> None:
    world.deployment.records["production", 77] = IdentityRecord([])
    world.deployment.begun = "under_way"
    headers = await world.token() | {"Idempotency-Key": "k"}
    response = await world.client.post(UNDO, headers=headers)
    assert response.status == 409
