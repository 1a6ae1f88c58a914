"""Who is in the audiences of a shard, and what audiences take of its memory: reads alone.

Sources: spec/audiences.md, 7, 11 and 14.
"""

from collections.abc import Iterator, Sequence

from actors.audiences.announce import all_identities
from actors.audiences.answers import Costs, Counts, Member, MemberRow, SourceBytes
from actors.audiences.standing import decode_standing
from actors.clock import Clock
from actors.errors import ShardUnavailable
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment
from actors.shard import Shard
from actors.shard_audiences import ShardAudiences
from actors.store.environment import Transaction
from actors.store.keys import profile_key
from actors.store.profiles import decode_profile


class MemberViews:
    """Answers for one shard as `actors.audiences.calls.AudienceShard` says.

    What goes over members raises ShardUnavailable until the columns are loaded after a start.
    """

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._audiences = shard.audiences
        self._workspace = shard.options.workspace
        self._clock = clock

    def audience_counts(self) -> dict[int, Counts]:
        """Return the counts of all live audiences."""
        now_ms = self._clock.now_ms()
        for part in self._audiences.parts:
            _check_loaded(part)
        return {
            number: Counts(part.engine.size(number), *part.changes.last_day(number, now_ms))
            for part in self._audiences.parts
            for number in part.known.by_number
        }

    def audience_members(self, audience: int, after: int | None, limit: int) -> list[Member]:
        """Return members with an MPID above `after`, ascending, at most `limit`."""
        found: list[Member] = []
        with self._shard.store.read() as txn:
            for key, encoded in self._page(txn, audience, after, limit):
                since_ms = decode_standing(encoded).since_ms(self._workspace.number, audience)
                found.append(Member(key.mpid, since_ms or 0))
        return found

    def audience_member(self, audience: int, mpid: int) -> Member | None:
        """Return one member, `None` if the user is none."""
        live = self._audiences.part_of(audience).known.by_number.get(audience)
        if live is None:
            return None
        with self._shard.store.read() as txn:
            encoded = txn.get("profiles", profile_key(self._key(live.environment, mpid)))
        if encoded is None:
            return None
        since_ms = decode_standing(encoded).since_ms(self._workspace.number, audience)
        return None if since_ms is None else Member(mpid, since_ms)

    def export_members(
        self, audience: int, identity_types: Sequence[str], after: int | None, limit: int
    ) -> list[MemberRow]:
        """Return members as `audience_members` does, with their identities of some types."""
        wanted, now_ms = frozenset(identity_types), self._clock.now_ms()
        found: list[MemberRow] = []
        with self._shard.store.read() as txn:
            for key, encoded in self._page(txn, audience, after, limit):
                identities = all_identities(decode_profile(encoded))
                found.append(
                    MemberRow(
                        key.mpid, now_ms, tuple(each for each in identities if each[0] in wanted)
                    )
                )
        return found

    def export_subscribed(
        self, subscription: int, identity_types: Sequence[str], after: int | None, limit: int
    ) -> list[MemberRow]:
        """Return members of a subscription's audience as `export_members` does.

        Whom the subscription is not to be told of, or not of all identities, lacks these.
        """
        live = self._audiences.telling.subscription(subscription)
        if live is None:
            return []
        announced, now_ms = live.subscription, self._clock.now_ms()
        telling = self._audiences.part_of(announced.audience).telling
        found: list[MemberRow] = []
        with self._shard.store.read() as txn:
            for key, encoded in self._page(txn, announced.audience, after, limit):
                profile = decode_profile(encoded)
                wanted = set(identity_types) - announced.withheld.of(profile)
                if not telling.is_of_variation(live, key.mpid):
                    wanted = set()
                identities = (each for each in all_identities(profile) if each[0] in wanted)
                found.append(MemberRow(key.mpid, now_ms, tuple(identities)))
        return found

    # -- Cost -------------------------------------------------------------------------------------

    def audience_costs(self) -> Costs:
        """Tell what audiences take of the shard's memory, those over several workspaces too."""
        engines = [part.engine for part in self._audiences.parts]
        parts = [engine.parts for engine in engines]
        return Costs(
            rows=len(parts[0][0]),
            row_bytes=sum(rows.nbytes + rows.index_bytes for rows, *_ in parts),
            membership_bytes=sum(memberships.nbytes for _, _, _, memberships, _ in parts),
            sources=tuple(
                SourceBytes(each.source, each.array_bytes, each.distinct, each.value_bytes)
                for _, mirror, *_ in parts
                for each in mirror.costs()
            ),
            entries=sum(entries.total for _, _, entries, _, _ in parts),
            entry_bytes=sum(entries.nbytes for _, _, entries, _, _ in parts),
            bytes_per_entry=parts[0][2].entry_bytes,
            audiences=sum(len(engine.audiences) for engine in engines),
            criteria=sum(holdings.leaves for *_, holdings in parts),
            streams=sum(holdings.streams for *_, holdings in parts),
        )

    # -- Inside -----------------------------------------------------------------------------------

    def _key(self, environment: Environment, mpid: int) -> ProfileKey:
        return ProfileKey(self._workspace.scope, environment, mpid)

    def _page(
        self, txn: Transaction, audience: int, after: int | None, limit: int
    ) -> Iterator[tuple[ProfileKey, bytes]]:
        """Yield members' keys and records, by MPID."""
        part = self._audiences.part_of(audience)
        _check_loaded(part)
        live = part.known.by_number.get(audience)
        if live is None:
            return
        for mpid in part.engine.first_members(audience, after, limit):
            key = self._key(live.environment, mpid)
            encoded = txn.get("profiles", profile_key(key))
            if encoded is not None:
                yield key, encoded


def _check_loaded(part: ShardAudiences) -> None:
    """Raise ShardUnavailable if not all members of the audiences are known since the start."""
    if part.columns.is_loading:
        raise ShardUnavailable("the shard still loads its audiences")
