"""A shard of audiences in memory, whose evaluation is the row oracle's."""

from collections.abc import Iterator, Sequence

from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.answers import (
    Costs,
    Counts,
    Difference,
    Evaluation,
    Explanation,
    Member,
    MemberRow,
    Query,
    Reason,
    Sample,
    SourceBytes,
)
from actors.audiences.criteria import Named, Node
from actors.audiences.estimate import sample_number
from actors.audiences.language.dependencies import criteria_of
from actors.audiences.told import LiveAudiences, Progress, ShardProgress
from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from actors.store.keys import shard_of_slot, slot_of_mpid
from tests.oracle.audiences.evaluate import holds, is_in_population, is_member
from tests.oracle.audiences.people import Person, Surroundings
from tests.oracle.audiences.users import Users

SLICE = 2  # users, so that the five of the fixture are several slices


class PlainShard:
    """Keeps what it is told; evaluates everybody anew in `walk`."""

    def __init__(self, users: Users, clock: ManualClock, number: int, of: int) -> None:
        self.live = LiveAudiences()
        self.is_away = False
        self.is_loading = False  # its members, after a start
        self.members: dict[int, dict[int, int]] = {}
        self.lists: dict[int, set[int]] = {}
        self.list_changes: list[int] = []
        self.identities: dict[int, tuple[tuple[str, str], ...]] = {}
        self._walked: dict[int, int] = {}
        self._users = users
        self._clock = clock
        self._place = (number, of)

    def walk(self) -> None:
        """Evaluate all audiences for all users."""
        now_ms = self._clock.now_ms()
        wanted = {each.number: each for each in self.live.audiences}
        targets = {number: each.node for number, each in wanted.items() if each.node is not None}
        around = Surroundings(self._users.workspace, targets)
        for number, audience in wanted.items():
            if audience.type == "standard" and self._walked.get(number) == audience.revision:
                continue
            if audience.node is None:
                found = self.lists.get(number, set()) & {each.mpid for each in self._people()}
            else:
                found = {
                    each.mpid
                    for each in self._people()
                    if is_member(audience.node, each, around, now_ms)
                }
            before = self.members.get(number, {})
            self.members[number] = {mpid: before.get(mpid, now_ms) for mpid in found}
            self._walked[number] = audience.revision
        for gone in self.members.keys() - wanted.keys():
            del self.members[gone]
            del self._walked[gone]

    async def set_audiences(self, live: LiveAudiences) -> int:
        self._answer()
        known = self.live.version
        if live.version > known:
            self.live = live
        return known

    async def change_list(
        self,
        number: int,
        audience: int,
        add: Sequence[int],
        remove: Sequence[int],
        is_cleared: bool = False,
    ) -> None:
        self._answer()
        if self.list_changes and number <= self.list_changes[-1]:
            return
        self.list_changes.append(number)
        former = set() if is_cleared else self.lists.get(audience, set())
        self.lists[audience] = (former | set(add)) - set(remove)

    async def audience_progress(self) -> ShardProgress:
        self._answer()
        total = len(list(self._people()))
        return ShardProgress(
            version=self.live.version,
            audiences={
                each.number: Progress(
                    each.revision,
                    total,
                    total,
                    is_done=self._walked.get(each.number) == each.revision,
                )
                for each in self.live.audiences
            },
            leaving=self.live.leaving & self.members.keys(),
            list_change=self.list_changes[-1] if self.list_changes else 0,
            loaded=frozenset(
                each.subscription.number - FIRST_NUMBER for each in self.live.subscriptions
            ),
        )

    async def audience_counts(self) -> dict[int, Counts]:
        self._answer()
        if self.is_loading:
            raise ShardUnavailable("the shard still loads its audiences")
        live = {each.number for each in self.live.audiences}
        return {
            number: Counts(len(found)) for number, found in self.members.items() if number in live
        }

    async def audience_members(self, audience: int, after: int | None, limit: int) -> list[Member]:
        found = sorted(self.members.get(audience, {}).items())
        return [Member(*each) for each in found if after is None or each[0] > after][:limit]

    async def audience_member(self, audience: int, mpid: int) -> Member | None:
        since_ms = self.members.get(audience, {}).get(mpid)
        return None if since_ms is None else Member(mpid, since_ms)

    async def evaluate_audience(
        self, query: Query, mpids: Sequence[int], as_of_ms: int | None
    ) -> list[Evaluation]:
        now_ms = self._clock.now_ms() if as_of_ms is None else as_of_ms
        people = {each.mpid: each for each in self._people()}
        found = []
        for mpid in mpids:
            person = people.get(mpid)
            if person is None:
                found.append(Evaluation(mpid, None))
            else:
                result = is_member(query.node, person, self._around(), now_ms, as_of_ms)
                found.append(Evaluation(mpid, result, self._parts(query.node, person, now_ms)))
        return found

    async def audience_population(
        self, query: Query, cursor: bytes = b""
    ) -> tuple[int, bytes | None]:
        some, following = self._slice(cursor)
        return sum(1 for _ in self._counted(some)), following

    async def sample_audience(
        self, query: Query, threshold: int, cursor: bytes = b""
    ) -> tuple[Sample, bytes | None]:
        now_ms = self._clock.now_ms()
        some, following = self._slice(cursor)
        sample = [each for each in self._counted(some) if sample_number(each.mpid) < threshold]
        parts = [self._parts(query.node, each, now_ms) for each in sample]
        count = sum(1 for _ in criteria_of(query.node))
        found = Sample(
            len(sample),
            sum(holds(query.node, each, self._around(), now_ms) for each in sample),
            tuple(sum(part[place] for part in parts) for place in range(count)),
        )
        return found, following

    async def explain_audience(
        self, query: Query, audience: int | None, mpid: int
    ) -> Explanation | None:
        person = next((each for each in self._people() if each.mpid == mpid), None)
        if person is None:
            return None
        now_ms = self._clock.now_ms()
        return Explanation(
            result=is_member(query.node, person, self._around(), now_ms),
            since_ms=self.members.get(audience or 0, {}).get(mpid),
            is_counted=is_in_population(person, self._around(), now_ms),
            criteria=tuple(
                Reason(part, ("seen",)) for part in self._parts(query.node, person, now_ms)
            ),
        )

    async def compare_audience(
        self, query: Query, audience: int, limit: int, cursor: bytes = b""
    ) -> tuple[Difference, bytes | None]:
        now_ms = self._clock.now_ms()
        some, following = self._slice(cursor)
        before = {each.mpid for each in some} & self.members.get(audience, {}).keys()
        after = {each.mpid for each in some if is_member(query.node, each, self._around(), now_ms)}
        found = Difference(
            len(after - before),
            len(before - after),
            len(after & before),
            tuple(sorted(after - before)[:limit]),
            tuple(sorted(before - after)[:limit]),
        )
        return found, following

    async def audience_costs(self) -> Costs:
        return Costs(
            rows=len(list(self._people())),
            row_bytes=500,
            membership_bytes=40,
            sources=(SourceBytes("AttributeSource(name='status')", 24, 3, 300),),
            entries=10,
            entry_bytes=240,
            bytes_per_entry=24,
            audiences=len(self.live.audiences),
            criteria=2,
            streams=1,
        )

    async def export_members(
        self, audience: int, identity_types: Sequence[str], after: int | None, limit: int
    ) -> list[MemberRow]:
        self._answer()
        return [
            MemberRow(
                each.mpid,
                self._clock.now_ms(),
                tuple(
                    one for one in self.identities.get(each.mpid, ()) if one[0] in identity_types
                ),
            )
            for each in await self.audience_members(audience, after, limit)
        ]

    def _answer(self) -> None:
        if self.is_away:
            raise ShardUnavailable("shard-0 does not answer")

    def _around(self) -> Surroundings:
        live = {each.number: each.node for each in self.live.audiences if each.node is not None}
        return Surroundings(self._users.workspace, live)

    def _parts(self, node: Node, person: Person, now_ms: int) -> tuple[bool, ...]:
        return tuple(
            holds(Named(each.criterion), person, self._around(), now_ms)
            for each in criteria_of(node)
        )

    def _people(self) -> Iterator[Person]:
        number, of = self._place
        for each in self._users.people():
            if shard_of_slot(slot_of_mpid(each.mpid), of) == number:
                yield each

    def _slice(self, cursor: bytes) -> tuple[list[Person], bytes | None]:
        """Return some users, and the cursor of the next."""
        people, start = list(self._people()), int(cursor or b"0")
        end = start + SLICE
        return people[start:end], b"%d" % end if end < len(people) else None

    def _counted(self, people: list[Person]) -> Iterator[Person]:
        now_ms = self._clock.now_ms()
        return (each for each in people if is_in_population(each, self._around(), now_ms))
