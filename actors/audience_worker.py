"""What a shard does for audiences and calculated attributes when no batch comes.

Each call is short, and one transaction that also holds how far it came: ingestion goes on between
them, and after a crash the next one goes on where the last commit was.
"""

import logging
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from actors.audience_changes import SLICE, AudienceChanges
from actors.audience_loads import AudienceLoads
from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.in_force import (
    with_attributes,
    with_audiences,
    with_walk,
    write_in_force,
)
from actors.audiences.stepping import Left
from actors.audiences.told import LiveAudiences, Progress, ShardProgress
from actors.calculated.definition import LiveAttributes
from actors.clock import Clock
from actors.errors import StoreFull
from actors.model.profiles import ProfileKey
from actors.model.workspaces import ENVIRONMENTS
from actors.shard import Shard
from actors.store import member_counts, static_lists
from actors.store.environment import Transaction
from actors.store.keys import profile_key, profile_key_parts

DUE_SLICE = 1000
DUE_SLICE_S = 0.01  # of a look, and of what is found; as much again follows at the end
LOAD_SLICE_S = 0.02
WALK_SLICE_S = 0.02  # a walk reads what is stored of each user, which may be much
# What goes wrong with one user; the store's errors, and want of memory, concern everybody.
_FAULTS = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)

logger = logging.getLogger("headwater.audiences")


class _PassedOver(Exception):
    """A user cannot be evaluated; the transaction is to be run again without him."""


class AudienceWorker:
    """Methods raise StoreFull, having changed nothing."""

    def __init__(self, shard: Shard, clock: Clock, slice_size: int = SLICE) -> None:
        self._shard = shard
        self._audiences = shard.audiences
        self._scope = shard.options.workspace.scope
        self._number = shard.options.workspace.number
        self._clock = clock
        self._changes = AudienceChanges(shard, clock, slice_size)
        self._loads = AudienceLoads(shard, self._changes, clock)
        self._committed = shard.state.committed  # at the last step
        self._passed_over: set[bytes] = set()  # those for whom evaluation fails as it is defined
        self._changed_by_time: list[bytes] = []  # found by the last look and not seen to yet
        self._is_more_due = False  # beyond what the last look has come to

    # -- What it is told --------------------------------------------------------------------------

    def set_audiences(self, live: LiveAudiences) -> int:
        """Take over what holds, unless a newer version is known; return the version known now."""
        in_force = self._audiences.in_force
        if live.version <= in_force.audiences.version:
            return in_force.audiences.version
        with self._shard.store.write() as txn:
            following = with_audiences(in_force, live, txn.entries("profiles"))
            for audience in in_force.audiences.audiences:
                if audience.number not in following.starts:
                    member_counts.clear(txn, audience.number)
            write_in_force(txn, following)
        self._audiences.work_by(following)
        self._passed_over.clear()
        self._shard.state.joints.arrange(self._number, self._shard.metrics)
        self._shard.subscribe()
        return live.version

    def set_calculated_attributes(self, live: LiveAttributes) -> int:
        """Take over what holds, unless a newer version is known; return the version known now."""
        in_force = self._audiences.in_force
        if live.version <= in_force.attributes.version:
            return in_force.attributes.version
        with self._shard.transaction() as txn:
            begun_id = self._shard.ids.next()  # what is stored before and after it differs in it
            following = with_attributes(in_force, live, begun_id, txn.entries("profiles"))
            write_in_force(txn, following)
        self._audiences.work_by(following)
        self._passed_over.clear()
        return live.version

    def change_list(
        self,
        number: int,
        audience: int,
        add: Sequence[int],
        remove: Sequence[int],
        is_cleared: bool = False,
    ) -> None:
        """Apply a change to the list of a static audience, unless it was applied before."""
        in_force = self._audiences.in_force
        if number <= in_force.list_change:
            return
        live = self._audiences.part_of(audience).known.by_number.get(audience)
        environments = ENVIRONMENTS if live is None else (live.environment,)
        keys = {
            change: [ProfileKey(self._scope, each, mpid) for each in environments for mpid in mpids]
            for change, mpids in ((static_lists.add, add), (static_lists.remove, remove))
        }
        with self._changes.changing() as txn:
            if is_cleared:
                cleared = static_lists.clear(txn, audience)
                if live is not None:  # the document has it again
                    self._changes.refresh(txn, cleared)
            for change, changed in keys.items():
                for key in changed:
                    change(txn, audience, key)
            self._changes.refresh(txn, (key for changed in keys.values() for key in changed))
            self._changes.keep(txn, replace(in_force, list_change=number))

    # -- What it does by itself -------------------------------------------------------------------

    def audience_step(self) -> Left:
        """Do some of what is due; tell what is left of it.

        What was changed otherwise than by a batch comes first, then what time has brought about,
        then columns that a start has left out, then the walk over all profiles, then what
        subscriptions are to be told of all members, as they begin or when they share other
        attributes. A user for whom the walk or the passing of time fails is left as he is: the
        others are not to wait for him.
        """
        before, self._committed = self._committed, self._shard.state.committed
        if not self._step():
            return Left.NOTHING
        return Left.MORE_AT_REST if self._committed == before else Left.MORE

    def _step(self) -> bool:
        audiences = self._audiences
        live = {each.subscription.number for each in audiences.in_force.audiences.subscriptions}
        if self._shard.outbox.clear_ended(live, DUE_SLICE):
            return True
        if audiences.is_idle and audiences.in_force.cursor is None:
            return False
        parts = (self._follow, self._expire, self._load, self._walk, self._loads.step)
        try:
            return any(part() for part in parts)
        except _PassedOver:
            return True
        except StoreFull:
            self._load()  # which takes no room, and which whoever asks for members waits for
            raise

    def audience_progress(self) -> ShardProgress:
        """Tell how far it is with what it was told last."""
        in_force = self._audiences.in_force
        is_done = in_force.cursor is None
        progress = {
            each.number: Progress(each.revision, in_force.walked, in_force.total, is_done)
            for each in in_force.audiences.audiences
        }
        leaving = frozenset() if is_done else in_force.audiences.leaving
        version, last = in_force.audiences.version, in_force.list_change
        loaded = frozenset(
            each.subscription.number - FIRST_NUMBER
            for each in in_force.audiences.subscriptions
            if each.subscription.number not in in_force.loads
        )
        return ShardProgress(version, progress, leaving, last, loaded)

    def calculated_progress(self) -> tuple[int, int, int, bool]:
        """Return the version in force, profiles walked, of how many, and whether it is done."""
        in_force = self._audiences.in_force
        return (
            in_force.attributes.version,
            in_force.walked,
            in_force.total,
            in_force.cursor is None,
        )

    def _follow(self) -> bool:
        """Evaluate those whose profiles were changed otherwise than by a batch of the workspace."""
        followed = self._audiences.followed
        if not followed:
            return False
        keys = [followed.pop() for _ in range(min(self._changes.slice_size, len(followed)))]
        try:
            with self._changes.changing() as txn:
                self._changes.refresh(txn, map(profile_key_parts, keys), is_changed=True)
                for key in keys:
                    self._shard.profiles.looked_at(txn, self._number, key)
        except BaseException:
            followed.update(keys)
            raise
        return bool(followed)

    def _expire(self) -> bool:
        """Evaluate those for whom the passing of time can have changed something.

        Where it has changed nothing no record is read: of a day's end, when everybody is due, most
        are seen to by their columns alone. Those who are left of a look are seen to by the next
        steps, so that however long a look takes not every step needs one.
        """
        if not self._changed_by_time:
            self._pass_time()
        keys, self._changed_by_time = self._changed_by_time, []  # after a failure: a new look
        if keys:
            deadline_s, done = self._clock.monotonic() + DUE_SLICE_S, 0
            with self._changes.changing() as txn:
                for packed in keys:
                    if done and self._clock.monotonic() >= deadline_s:
                        break
                    self._refresh(txn, (packed,))
                    done += 1
            self._changed_by_time = keys[done:]
        return bool(self._changed_by_time) or self._is_more_due

    def _pass_time(self) -> None:
        """Look for users for whom time has changed something."""
        self._is_more_due = False
        for part in self._audiences.parts:  # all: one that always has some would starve the others
            deadline_s, now_ms = self._clock.monotonic() + DUE_SLICE_S, self._clock.now_ms()
            passed_over = map(profile_key_parts, self._passed_over)
            rows, looked_at = part.engine.due(now_ms, passed_over), 0
            found: list[bytes] = []
            while looked_at < len(rows) and len(found) < DUE_SLICE:
                if looked_at and self._clock.monotonic() >= deadline_s:
                    break
                changed = part.engine.pass_time(rows[looked_at : looked_at + DUE_SLICE], now_ms)
                found += map(profile_key, part.engine.keys_of(changed))
                looked_at += DUE_SLICE
            self._changed_by_time += found
            self._is_more_due |= looked_at < len(rows)

    def _load(self) -> bool:
        """Load columns that are missing since the start."""
        for part in self._audiences.parts:
            if part.columns.is_loading:
                part.columns.load_some(self._clock.monotonic() + LOAD_SLICE_S)
                return True
        return False

    def _walk(self) -> bool:
        """Make the next profiles ready for the present epoch, and evaluate them."""
        in_force = self._audiences.in_force
        if in_force.cursor is None:
            return False
        with self._changes.changing() as txn:
            keys, following = self._changes.page(txn, in_force.cursor)
            deadline_s, walked = self._clock.monotonic() + WALK_SLICE_S, 0
            for packed in keys:
                if walked and self._clock.monotonic() >= deadline_s:
                    following = packed
                    break
                if packed not in self._passed_over:
                    self._refresh(txn, (packed,))
                walked += 1
            self._changes.keep(txn, with_walk(in_force, walked, following))
        if following is None and in_force.ended_over:  # nobody is in what has ended any more
            self._shard.state.joints.arrange(self._number, self._shard.metrics)
        return following is not None or bool(in_force.loads)

    def _refresh(self, txn: Transaction, keys: Iterable[bytes]) -> None:
        """Evaluate users. Raises `_PassedOver`, from now on without the one for whom it fails."""
        for packed in keys:
            key = profile_key_parts(packed)
            try:
                self._changes.refresh(txn, (key,))
            except _FAULTS as error:
                self._passed_over.add(packed)
                logger.exception(
                    "a user cannot be evaluated; audiences and attributes go on without him",
                    extra={"event": "user_passed_over", "mpid": key.mpid},
                )
                raise _PassedOver from error
