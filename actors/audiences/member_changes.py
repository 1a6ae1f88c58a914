"""What one transaction changes of memberships: in profiles, in counts and in metrics."""

from collections import Counter
from collections.abc import Callable, Collection

from actors.audiences.announce import MemberChange
from actors.audiences.in_force import InForce
from actors.audiences.member_counts import MemberCounts
from actors.audiences.telling import Telling
from actors.metric_groups import ShardMetrics
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile, ProfileKey, Section
from actors.outputs.audience_messages import Action
from actors.profiles.retention import EMPTIED
from actors.store.environment import Transaction


class MemberChanges:
    """Writes memberships into profiles, counts them, and tells whoever is to know.

    Attributes:
        told: deliveries of what was changed before users are evaluated, in this transaction.
    """

    def __init__(
        self,
        counts: MemberCounts,
        in_force: Callable[[], InForce],
        telling: Telling,
        metrics: ShardMetrics,
        workspace: str,
    ) -> None:
        """Args: `in_force`: what is worked by now; `workspace`: its id, for the metrics."""
        self._counts = counts
        self._in_force = in_force
        self._telling = telling
        self.told: list[Delivery] = []
        self._changes: Counter[tuple[int, Action]] = Counter()
        self._caught_up: dict[ProfileKey, int] = {}
        self._unshown: Counter[tuple[int, Action]] = Counter()  # on disk, and not in the metrics
        self._workspace = workspace
        self._total = metrics.audience_changes

    def caught_up(self, key: ProfileKey, before: int) -> None:
        """Note that a profile was made ready; `before`: the epoch that it was ready for."""
        self._caught_up[key] = before

    def leave_ended(self, key: ProfileKey, profile: Profile, section: Section, now_ms: int) -> bool:
        """Take a user, before he is made ready, out of audiences that ended and began again.

        Users who were come to in between have left, uncounted, and enter as they begin: of all
        others the same is told. Returns whether there were any.
        """
        in_force = self._in_force()
        starts, leaving = in_force.starts, in_force.audiences.leaving
        ended = [each for each in section.audiences if starts.get(each, 0) > section.epoch > 0]
        for number in ended:
            del section.audiences[number]
            if number in leaving:
                change = MemberChange(key, number, "delete")
                self._changes[number, "delete"] += 1
                self.told += self._telling.tell(change, profile, section, now_ms)
        return bool(ended)

    def make(
        self, change: MemberChange, profile: Profile, section: Section, now_ms: int
    ) -> list[Delivery]:
        """Write a membership into a profile's section; return what subscriptions are told."""
        if change.action == "add":
            section.audiences[change.audience] = now_ms
        else:
            section.audiences.pop(change.audience, None)
        self._changes[change.audience, change.action] += 1
        if not self._is_first_pass(change):
            self._counts.count(change.audience, now_ms, entered=change.action == "add")
        return self._telling.tell(change, profile, section, now_ms)

    def last_day(self, audience: int, now_ms: int) -> tuple[int, int]:
        """Return how many entered and left (`MemberCounts.last_day`)."""
        return self._counts.last_day(audience, now_ms)

    def keep_only(self, audiences: Collection[int]) -> None:
        """Forget the counts of all other audiences."""
        self._counts.keep_only(audiences)

    def write(self, txn: Transaction, now_ms: int) -> None:
        """Write what was counted."""
        self._counts.write(txn, now_ms)

    def published(self) -> None:
        """The transaction is on disk."""
        self._unshown.update(self._changes)
        self._counts.published()
        self._forget()

    def show(self) -> None:
        """Bring the metrics up to date: counting on them at each change costs more than it."""
        for (audience, action), count in self._unshown.items():
            self._total.labels(self._workspace, str(audience), action).inc(count)
        self._unshown.clear()

    def abandon(self) -> None:
        """The transaction failed: nothing was changed."""
        self._counts.abandon()
        self._forget()

    def _forget(self) -> None:
        self.told.clear()
        self._changes.clear()
        self._caught_up.clear()

    def _is_first_pass(self, change: MemberChange) -> bool:
        """Tell whether a user meets an audience for the first time, and not by what came: such
        changes are not counted (spec/audiences.md, 7). Who aged out has come back by what came. An
        audience that is gone counts nothing."""
        start = self._in_force().starts.get(change.audience)
        before = self._caught_up.get(change.key)
        return start is None or (before is not None and EMPTIED < before < start)
