"""What is in force on a shard that takes over from others."""

import pytest
from msgspec.structs import replace

from actors.audiences.combining import combined
from actors.audiences.in_force import InForce
from actors.audiences.told import LiveAudiences
from actors.calculated.definition import Attribute, LiveAttributes
from tests.actors.audience_shards import audience
from tests.actors.calculated.builders import definition
from tests.oracle.audiences.build import event

LOGINS = LiveAudiences(version=1, audiences=(audience(8, event("Login")),))
JOINT = audience(9, event("Login"), workspaces=(11, 12))
ACTIVE = LiveAttributes(1, (Attribute(3, "ltv", 1, definition("sum", "amt")),), next_number=4)


@pytest.mark.parametrize(
    "behind",
    [
        InForce(epoch=2, cursor=b"x", ended_over=frozenset({11, 12})),
        InForce(LiveAudiences(version=1, audiences=(JOINT,)), epoch=2),
    ],
    ids=["it was about to end", "it was not told"],
)
def test_an_audience_over_several_workspaces_ends_for_users_of_each(behind: InForce) -> None:
    """Where it has ended on one of the shards, and on the other users are still members."""
    following = combined([InForce(LiveAudiences(version=2), epoch=4), behind], 5)
    assert following.ended_over == {11, 12}
    assert following.cursor == b""


@pytest.mark.parametrize(
    "behind",
    [
        InForce(epoch=2, cursor=b"x", ended_attributes={3: ("ltv", 2)}),
        InForce(epoch=2, attributes=ACTIVE, attribute_epochs={3: (2, 1)}),
    ],
    ids=["it was about to end", "it was not told"],
)
def test_an_attribute_ends_for_users_of_each(behind: InForce) -> None:
    """Unless it is active again."""
    following = combined([InForce(epoch=4, attributes=LiveAttributes(2)), behind], 5)
    assert following.ended_attributes == {3: ("ltv", following.epoch)}
    assert following.cursor == b""
    again = InForce(epoch=4, attributes=replace(ACTIVE, version=3), attribute_epochs={3: (4, 1)})
    assert combined([again, behind], 5).ended_attributes == {}


def test_nobody_leaves_an_audience_that_began_earlier_by_epochs_of_his_shard() -> None:
    """It began with the earliest of the epochs in which it did on any."""
    parts = [InForce(LOGINS, epoch=epoch, starts={8: epoch}) for epoch in (5, 7)]
    assert combined(parts, 5).starts == {8: 5}
    assert combined([InForce(epoch=9), parts[1]], 5).starts == {8: 7}
