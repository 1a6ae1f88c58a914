"""Definitions that are only asked about, on a shard: reads that change nothing.

Sources: spec/audiences.md, 7 and 14. Those that go over all users do it in slices, each a call of
its own: a slice ends with the milliseconds that it may take, and a cursor says where it ended.
"""

from collections.abc import Callable, Sequence

from actors.audience_columns import derived_of
from actors.audiences.answers import Difference, Evaluation, Explanation, Query, Sample
from actors.audiences.asking import Answer, Asking
from actors.audiences.estimate import sample_number
from actors.audiences.history import read_history, read_recent
from actors.audiences.reasons import reason
from actors.audiences.standing import decode_standing
from actors.clock import Clock
from actors.joint_parts import JointParts
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import Environment
from actors.shard import Shard
from actors.store.environment import Transaction
from actors.store.keys import profile_key, profile_key_parts
from actors.store.profiles import decode_profile

SLICE_S = 0.008  # with evaluating whom it has taken, a slice is some 10 ms
MOST_TAKEN = 1000  # users whom one slice evaluates
CLOCK_EVERY = 64  # keys, between two looks at the clock: one costs as much as a key


class QuestionViews:
    """Answers for one shard as `actors.audiences.calls.AudienceShard` says."""

    def __init__(self, shard: Shard, clock: Clock, slice_s: float = SLICE_S) -> None:
        self._shard = shard
        self._audiences = shard.audiences
        self._workspace = shard.options.workspace
        self._clock = clock
        self._slice_s = slice_s

    def evaluate_audience(
        self, query: Query, mpids: Sequence[int], as_of_ms: int | None
    ) -> list[Evaluation]:
        """Evaluate a query for users of this shard, in their order.

        `as_of_ms` replaces now, and hides events that are later (spec/audiences.md, 14).
        """
        asking = self._asking(query, as_of_ms)
        with self._shard.store.read() as txn:
            for mpid in dict.fromkeys(mpids):
                key = self._key(query.environment, mpid)
                encoded = txn.get("profiles", profile_key(key))
                if encoded is not None:
                    self._take(txn, query, asking, key, decode_profile(encoded))
        answer = asking.answer()
        ends_ms = answer.expirations_ms()
        found = {
            key.mpid: Evaluation(
                key.mpid,
                bool(answer.matches[place]),
                tuple(answer.criteria[:, place].tolist()),
                ends_ms.get(key),
            )
            for place, key in enumerate(answer.keys)
        }
        return [found.get(mpid, Evaluation(mpid, None)) for mpid in mpids]

    def explain_audience(self, query: Query, audience: int | None, mpid: int) -> Explanation | None:
        """Tell why a user is a member of an audience or not; `None` if there is no such user."""
        asking, key = self._asking(query), self._key(query.environment, mpid)
        with self._shard.store.read() as txn:
            encoded = txn.get("profiles", profile_key(key))
            profile = None if encoded is None else decode_profile(encoded)
            if profile is None or not self._take(txn, query, asking, key, profile):
                return None
        answer = asking.answer()
        since_ms = None
        if audience is not None:
            since_ms = self._audiences.part_of(audience).columns.standing(profile).get(audience)
        return Explanation(
            result=bool(answer.matches[0]),
            since_ms=since_ms,
            is_counted=bool(answer.is_counted[0]),
            criteria=tuple(
                reason(result, answer.deciding(criterion))
                for criterion, result in zip(
                    asking.criteria, answer.criteria[:, 0].tolist(), strict=True
                )
            ),
            expiration_ms=answer.expirations_ms().get(key),
        )

    # -- In slices --------------------------------------------------------------------------------

    def audience_population(self, query: Query, cursor: bytes = b"") -> tuple[int, bytes | None]:
        """Count users that a query is about; see `calls.AudienceShard` for the cursor."""
        now_ms, counted = self._clock.now_ms(), 0
        parts = self._parts(query)
        workspaces = [self._workspace] if parts is None else parts.workspaces

        def count(key: ProfileKey, encoded: bytes) -> bool:
            nonlocal counted
            if key.environment == query.environment:
                standing = decode_standing(encoded)
                counted += any(
                    standing.is_counted(each.number, each.profile_idle_days, now_ms)
                    for each in workspaces
                )
            return False

        with self._shard.store.read() as txn:
            following = self._walk(txn, cursor, count)
        return counted, following

    def sample_audience(
        self, query: Query, threshold: int, cursor: bytes = b""
    ) -> tuple[Sample, bytes | None]:
        """Evaluate a query for the users whose sample number is below a threshold."""
        answer, _, following = self._ask_some(
            query, cursor, lambda key: sample_number(key.mpid) < threshold
        )
        hits = (answer.criteria & answer.is_counted).sum(axis=1)
        sample = Sample(
            int(answer.is_counted.sum()), int(answer.matches.sum()), tuple(hits.tolist())
        )
        return sample, following

    def compare_audience(
        self, query: Query, audience: int, limit: int, cursor: bytes = b""
    ) -> tuple[Difference, bytes | None]:
        """Tell who would enter and leave an audience if a query replaced its definition."""
        answer, profiles, following = self._ask_some(query, cursor, lambda _: True)
        standing = self._audiences.part_of(audience).columns.standing
        members = {key for key, profile in profiles.items() if audience in standing(profile)}
        matching = {
            key for key, matches in zip(answer.keys, answer.matches, strict=True) if matches
        }
        entering = sorted(key.mpid for key in matching - members)
        leaving = sorted(key.mpid for key in members - matching)
        difference = Difference(
            len(entering),
            len(leaving),
            len(matching & members),
            tuple(entering[:limit]),
            tuple(leaving[:limit]),
        )
        return difference, following

    # -- Inside -----------------------------------------------------------------------------------

    def _key(self, environment: Environment, mpid: int) -> ProfileKey:
        return ProfileKey(self._workspace.scope, environment, mpid)

    def _asking(self, query: Query, as_of_ms: int | None = None) -> Asking:
        now_ms = self._clock.now_ms() if as_of_ms is None else as_of_ms
        parts = self._parts(query)
        others = () if parts is None else parts.workspaces[1:]
        return Asking(
            query, self._workspace, self._shard.groups.ids, now_ms, as_of_ms, others=others
        )

    def _parts(self, query: Query) -> JointParts | None:
        """Return the workspaces that a query is over, if they are several; the own one is first."""
        if not query.is_joint:
            return None
        shards = self._shard.state.joints.shards
        others = {each: shards[each] for each in query.workspaces if each in shards}
        return JointParts({self._workspace.number: self._shard} | others)

    def _take(
        self, txn: Transaction, query: Query, asking: Asking, key: ProfileKey, profile: Profile
    ) -> bool:
        """Let a question take a user; tell whether it can, which needs a section."""
        parts = self._parts(query)
        if parts is not None:
            return self._take_joint(txn, parts, asking, key, profile)
        section = profile.workspaces.get(self._workspace.number)
        if section is None:
            return False
        derived = derived_of(
            section,
            self._audiences.attributes,
            self._memberships(profile),
            self._workspace.regulations,
        )
        if asking.reads_events:
            read = read_recent if asking.is_real_time else read_history
            history = read(txn, key, section, asking.since_ms)
            asking.take(key, profile, derived, [*history.own, *history.copied])
        else:
            asking.take(key, profile, derived, ())
        return True

    def _take_joint(
        self,
        txn: Transaction,
        parts: JointParts,
        asking: Asking,
        key: ProfileKey,
        profile: Profile,
    ) -> bool:
        if not parts.sections(profile):
            return False
        batches: list[StoredBatch] = []
        if asking.reads_events:
            read = read_recent if asking.is_real_time else read_history
            batches = parts.batches(txn, key, profile, asking.since_ms, read)
        asking.take(key, profile, parts.derived(profile, self._memberships(profile)), batches)
        return True

    def _memberships(self, profile: Profile) -> frozenset[int]:
        """Return the audiences of this workspace that a user is in."""
        standings = (part.columns.standing(profile) for part in self._audiences.parts)
        return frozenset(number for each in standings for number in each)

    def _ask_some(
        self, query: Query, cursor: bytes, is_wanted: Callable[[ProfileKey], bool]
    ) -> tuple[Answer, dict[ProfileKey, Profile], bytes | None]:
        """Ask about the users of one slice; return also their profiles."""
        asking = self._asking(query)
        profiles: dict[ProfileKey, Profile] = {}

        def take(key: ProfileKey, encoded: bytes) -> bool:
            if key.environment != query.environment or not is_wanted(key):
                return False
            profile = decode_profile(encoded)
            if self._take(txn, query, asking, key, profile):
                profiles[key] = profile
            return True

        with self._shard.store.read() as txn:
            following = self._walk(txn, cursor, take)
        return asking.answer(), profiles, following

    def _walk(
        self, txn: Transaction, cursor: bytes, visit: Callable[[ProfileKey, bytes], bool]
    ) -> bytes | None:
        """Visit profiles from a key on until the slice is over; return where to go on.

        `visit` tells whether it did something that takes long.
        """
        deadline_s, taken = self._clock.monotonic() + self._slice_s, 0
        for seen, (packed, encoded) in enumerate(txn.scan("profiles", start=cursor)):
            if seen and (
                taken >= MOST_TAKEN
                or ((taken or seen % CLOCK_EVERY == 0) and self._clock.monotonic() >= deadline_s)
            ):
                return packed
            taken += visit(profile_key_parts(packed), encoded)
        return None
