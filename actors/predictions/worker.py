"""What a shard does for predictions (spec/predictions.md, 6)."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice

from actors.audience_changes import AudienceChanges
from actors.audiences.standing import decode_standing
from actors.batches.coerce import text_of
from actors.clock import Clock
from actors.model.profiles import AttributeValue, ProfileKey, Scored, Section
from actors.model.workspaces import Environment
from actors.predictions.objects import Writing, attributes_of
from actors.predictions.ranks import scored
from actors.predictions.thresholds import Thresholds
from actors.shard import Shard
from actors.store import scores
from actors.store.environment import Transaction
from actors.store.keys import profile_key

NO_INPUT = 0  # number that attributes have which came through none
SLICE = 200  # users whose values one call changes; LOOKED_AT: whom it looks at
LOOKED_AT = 2000
LEAST_CHANGE = 0.005  # smaller ones are written only where an audience can see them


class PredictionWorker:
    """Methods raise StoreFull, having changed nothing."""

    def __init__(self, shard: Shard, changes: AudienceChanges, clock: Clock) -> None:
        self._shard = shard
        self._workspace = shard.options.workspace
        self._changes = changes
        self._clock = clock

    def take_scores(
        self, prediction: int, environment: Environment, rows: Sequence[tuple[int, int]]
    ) -> int:
        """Keep scores, (MPID, millionths); return how many are of users whom nobody knows."""
        unknown = 0
        with self._shard.store.write() as txn:
            for mpid, millionths in rows:
                key = ProfileKey(self._workspace.scope, environment, mpid)
                encoded = txn.get("profiles", profile_key(key))
                workspaces = None if encoded is None else decode_standing(encoded).workspaces
                if workspaces is None or self._workspace.number not in workspaces:
                    unknown += 1
                else:
                    scores.put(txn, key, prediction, millionths)
        return unknown

    def count_scores(
        self, writing: Writing, cursor: bytes
    ) -> tuple[list[tuple[int, int]], bytes | None]:
        """Count the scores of users who may have one; return (millionths, users) and a cursor."""
        counts: Counter[int] = Counter()
        with self._shard.store.read() as txn:
            for looked, (at, key, prediction, millionths) in enumerate(scores.scan(txn, cursor)):
                if looked == LOOKED_AT:
                    return sorted(counts.items()), at
                if prediction == writing.number and self._may_have(txn, key, writing):
                    counts[millionths] += 1
        return sorted(counts.items()), None

    def write_scores(self, writing: Writing, cursor: bytes) -> tuple[int, bytes | None]:
        """Give users what their scores come to; return how many got something, and a cursor.

        Both values of a user change at once, with the memberships that depend on them.
        """
        changed, constants = 0, self._constants(writing)
        with self._changes.changing() as txn:
            for looked, (at, key, prediction, millionths) in enumerate(
                self._page(txn, cursor, LOOKED_AT + 1)
            ):
                if looked == LOOKED_AT or changed == SLICE:
                    return changed, at
                if prediction != writing.number:
                    continue
                given = None
                if writing.ranking is not None and self._may_have(txn, key, writing):
                    given = scored(writing.ranking, millionths)
                else:
                    scores.remove(txn, key, prediction)
                changed += self._give(txn, key, writing, given, constants)
        return changed, None

    def user_score(self, prediction: int, environment: Environment, mpid: int) -> Scored | None:
        """Return what a prediction gives a user, `None` for nothing."""
        key = ProfileKey(self._workspace.scope, environment, mpid)
        with self._shard.store.read() as txn:
            profile = self._shard.profiles.get(txn, key)
        section = None if profile is None else profile.workspaces.get(self._workspace.number)
        return None if section is None else section.predictions.get(prediction)

    def _page(
        self, txn: Transaction, cursor: bytes, most: int
    ) -> list[tuple[bytes, ProfileKey, int, int]]:
        """Return the next scores; what is removed then does not move the cursor of a scan."""
        return list(islice(scores.scan(txn, cursor), most))

    def _may_have(self, txn: Transaction, key: ProfileKey, writing: Writing) -> bool:
        """Tell whether a user of the prediction's environment is one who is scored."""
        encoded = txn.get("profiles", profile_key(key))
        if encoded is None:
            return False
        days = min(writing.active_within_days, self._workspace.profile_idle_days)
        now_ms = self._clock.now_ms()
        return decode_standing(encoded).is_counted(self._workspace.number, days, now_ms)

    def _give(
        self,
        txn: Transaction,
        key: ProfileKey,
        writing: Writing,
        given: Scored | None,
        constants: Collection[float] | None,
    ) -> bool:
        """Change what a user has, unless that would not be seen; tell whether it did."""
        packed = profile_key(key)
        profile = self._shard.profiles.open(txn, packed)
        section = None if profile is None else profile.workspaces.get(self._workspace.number)
        if profile is None or section is None:
            return False
        former = section.predictions.get(writing.number)
        if former == given or not _is_seen(former, given, constants):
            return False
        audiences = self._shard.audiences
        if audiences.is_idle:
            _set(section, writing, given, self._clock.now_ms())
            self._shard.profiles.write(txn, packed, profile, self._workspace.number)
            return True
        audiences.users.calculate(txn, key, profile)
        audiences.users.catch_up(txn, key, profile)
        _set(section, writing, given, self._clock.now_ms())
        audiences.users.refresh(key, profile)
        return True

    def _constants(self, writing: Writing) -> frozenset[float] | None:
        """Return what audiences compare the values with; `None` where that cannot be told."""
        audiences = self._shard.audiences.in_force.audiences.audiences
        nodes = (each.node for each in audiences if each.node is not None)
        return Thresholds(nodes).of(writing.number, writing.slug)


def _set(section: Section, writing: Writing, given: Scored | None, now_ms: int) -> None:
    names = attributes_of(writing.slug)
    if given is None:
        section.predictions.pop(writing.number, None)
        for name in names:
            section.user_attributes.pop(name, None)
        return
    section.predictions[writing.number] = given
    for name, value in zip(names, (given.score, given.percentile), strict=True):
        section.user_attributes[name] = AttributeValue(text_of(value), now_ms, NO_INPUT)


def _is_seen(
    former: Scored | None, given: Scored | None, constants: Collection[float] | None
) -> bool:
    """Tell whether a change is large, or one that an audience can see."""
    if former is None or given is None or constants is None:
        return True
    pairs = ((former.score, given.score), (former.percentile, given.percentile))
    if any(abs(after - before) >= LEAST_CHANGE for before, after in pairs):
        return True
    return any(
        (before > each, before == each) != (after > each, after == each)
        for before, after in pairs
        for each in constants
    )
