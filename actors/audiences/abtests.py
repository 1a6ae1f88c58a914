"""A/B tests of audiences; methods raise as those of `registry` do.

Sources: spec/audiences.md, 10; spec/predictions.md, 9.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.audiences.core import Core
from actors.audiences.objects import AbTest, Audience, Variation
from actors.audiences.rules import refused
from actors.audiences.trees import siblings
from actors.once import answer_with

MAX_VARIATIONS = 5


class AbTests:
    """Makes tests and deletes them; a test is never changed."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create_test(
        self, number: int, variations: Sequence[Variation], actor: str
    ) -> Audience | None:
        """Divide a real-time audience's users; `None` if there is no such audience.

        Args:
            number: of the audience.
            variations: well-formed, in the order of their runs of buckets.
            actor: who does it.
        """
        core = self._core
        with core.changing() as changed:
            audience = changed.audiences.get(number)
            if audience is None:
                return None
            core.check_unmanaged(audience)
            if audience.type != "real_time":
                raise refused("INVALID_STATE", "Only a real-time audience can have an A/B test.")
            if audience.journey is not None and siblings(
                changed.journeys[audience.journey], audience.milestone
            ):
                message = "The milestone has others below it, which are of no variation of it."
                raise refused("INVALID_STATE", message)
            if audience.test is not None:
                message = "The audience has an A/B test; delete it to make another one."
                raise refused("INVALID_STATE", message)
            if len(variations) > MAX_VARIATIONS:
                message = f"A test has at most {MAX_VARIATIONS} variations beside Control."
                raise refused("LIMIT_EXCEEDED", message, "/variations")
            test = AbTest(audience.tests + 1, tuple(variations), actor, core.clock.now_ms())
            after = changed.put(replace(audience, test=test, tests=test.number))
            changed.tell_shards()
            answer_with(after)
        await core.push()
        return after

    async def delete_test(self, number: int) -> bool:
        """Delete an audience's test with the connections of its variations; tell if it had one."""
        core = self._core
        with core.changing() as changed:
            audience = changed.audiences.get(number)
            if audience is None or audience.test is None:
                return False
            core.check_unmanaged(audience)
            changed.put(replace(audience, test=None))
            for each in changed.subscriptions_of(number):
                if each.variation is not None:
                    changed.end_subscription(each.number, core.clock.now_ms())
            changed.tell_shards()
            answer_with(True)
        await core.push()
        return True
