"""A shard whose clock goes through every border of what it calculates and evaluates.

At each instant its members and values are those of the references (spec/audiences.md, 7;
spec/calculated-attributes.md, 4): also where one is over the other, and only time passes.
"""

from pathlib import Path

import pytest

from actors.audience_members import MemberViews
from actors.audiences.told import LiveAudiences
from tests.actors.profiles.builders import WORKSPACE
from tests.actors.shards import profile_of
from tests.actors.test_shard_audiences import DEFINITIONS, HOUR, Story
from tests.oracle.audiences.expiration import instants
from tests.oracle.audiences.people import Person, Surroundings

STORIES, PARTS = 60, 6
DAY_MS = 24 * HOUR
PAUSES = (1, HOUR, DAY_MS, 2 * DAY_MS)
OVER_ATTRIBUTE = len(DEFINITIONS) - 1


def borders(story: Story) -> set[int]:
    """Return every later instant at which a membership or a value may become another."""
    now_ms = story.clock.now_ms()
    nodes = {each.number: each.node for each in story.live.audiences if each.node is not None}
    around = Surroundings(WORKSPACE, nodes)
    found: set[int] = set()
    for mpid in story.people:
        profile = profile_of(story.shard, mpid)
        if profile is None or WORKSPACE.number not in profile.workspaces:
            continue
        person = Person(mpid, profile, tuple(story._stored(mpid, profile)), WORKSPACE)
        for node in nodes.values():
            found.update(instants(node, person, around, now_ms))
        for seen in person.timeline:  # the attribute's range
            found.update(seen.t_ms + DAY_MS + beside for beside in (-1, 0, 1))
    return {each for each in found if each > now_ms}


def step_through(story: Story, until_ms: int | None) -> int:
    """Let time pass, at most until an instant, and look at every border.

    Returns how often somebody entered or left the audience over the attribute.
    """
    before, moves = over_attribute(story), 0
    for border_ms in sorted(borders(story)):
        if until_ms is not None and border_ms > until_ms:
            break
        story.clock.advance(border_ms - story.clock.now_ms())
        story.check()
        after = over_attribute(story)
        moves += len(before ^ after)
        before = after
    return moves


def over_attribute(story: Story) -> set[int]:
    """Return the members of the audience over the attribute, which is the last."""
    number = story.live.audiences[-1].number
    views = MemberViews(story.shard, story.clock)
    return {each.mpid for each in views.audience_members(number, None, len(story.people))}


def tell(folder: Path, seed: int) -> int:
    """Tell a story in which batches come while time passes; return as `step_through`."""
    story = Story(folder, seed)
    chosen = {OVER_ATTRIBUTE, *story.random.sample(range(OVER_ATTRIBUTE), 3)}
    audiences = [
        story._audience(number, number, DEFINITIONS[place])
        for number, place in enumerate(sorted(chosen), 1)
    ]
    story.live = LiveAudiences(version=1, audiences=tuple(audiences))
    story.worker.set_audiences(story.live)
    while len(story.sources) < 2:
        story.attribute()
    moves = 0
    for _ in range(10):
        story.clock.advance(1)  # what comes before another thing has another time
        story.batch(failures=0)
        story.check()
        pause_ms = story.random.choice(PAUSES)
        moves += step_through(story, story.clock.now_ms() + pause_ms)
    moves += step_through(story, None)
    story.shard.state.close()
    return moves


@pytest.mark.parametrize("part", range(PARTS))
def test_members_and_values_are_right_at_every_instant(tmp_path: Path, part: int) -> None:
    """Among them those at which a rolling attribute takes members away by itself."""
    moves = [tell(tmp_path / str(seed), seed) for seed in range(2 * part + 1, STORIES, 2 * PARTS)]
    assert sum(moves) > 0
