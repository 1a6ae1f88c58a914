"""Evaluates all real-time audiences over the profiles of one shard."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from actors.audiences.criteria import Node
from actors.audiences.engine.arrays import FAR, Bools, Ints, Places, unpack
from actors.audiences.engine.entries import EntryStore
from actors.audiences.engine.expirations import expirations_ms
from actors.audiences.engine.holdings import Holdings
from actors.audiences.engine.memberships import Memberships
from actors.audiences.engine.mirror import Mirror
from actors.audiences.engine.packing import unpack_entries, unpack_many
from actors.audiences.engine.plan import Defined, Evaluation, Plan, leaves_of
from actors.audiences.engine.profiles import EngineProfiles
from actors.audiences.engine.records import Change, Loaded
from actors.audiences.engine.rows import Rows
from actors.audiences.engine.terms import node_term
from actors.audiences.engine.verdicts import changes_of, members_of, settable
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment, WorkspaceInfo

_PLANS_KEPT = 8
_NO_GROUPS: Mapping[int, str] = {}


class Engine(EngineProfiles):
    """All real-time audiences of one workspace over the profiles of one shard.

    One thread. Nothing here is on disk: whoever commits what `observe` and `evaluate` return can,
    if that fails, `load` the profiles concerned from their records (or `forget` those that have
    none), and it is as if nothing had been.

    Args:
        workspace: tiers, number and profile lifetime count.
        lookback_ms: events older than this are seen by no audience.
        groups: number to id of the group definitions that exist.
    """

    def __init__(
        self,
        workspace: WorkspaceInfo,
        lookback_ms: int,
        groups: Mapping[int, str] = _NO_GROUPS,
    ) -> None:
        super().__init__(workspace, lookback_ms, groups)
        self._audiences: dict[int, Defined] = {}
        self._revisions: dict[int, int] = {}
        self._plans: dict[tuple[int, ...], Plan] = {}

    # -- Definitions -------------------------------------------------------------------------------

    def activate(
        self, audience: int, environment: Environment, node: Node, revision: int = 0
    ) -> None:
        """Evaluate an audience from now on, or from now on by another definition.

        Rows whose `revision` is lower keep the membership that they have; so the caller walks all
        profiles with `load` or `refresh`, `rebuild_events` and `evaluate`.

        Args:
            audience: its number.
            environment: whose users.
            node: its definition.
            revision: greater than those of all definitions before.
        """
        self.define(audience, Defined(environment, node_term(node)), revision)

    def define(self, audience: int, defined: Defined, revision: int) -> None:
        """Evaluate an audience by a term; see `activate`."""
        for leaf in leaves_of(defined.term):
            self._holdings.hold(leaf)
        former = self._audiences.get(audience)
        self._audiences[audience] = defined
        self._revisions[audience] = revision
        self._newest_revision = max(self._revisions.values())
        self._memberships.add(audience)
        if former is not None:
            self._release(former)
        self._plans.clear()

    def deactivate(self, audience: int) -> None:
        """Evaluate an audience no longer; it has no members any more."""
        self._release(self._audiences.pop(audience))
        del self._revisions[audience]
        self._newest_revision = max(self._revisions.values(), default=0)
        self._memberships.remove(audience)
        self._plans.clear()

    def keep(self, audience: int) -> None:
        """Keep the members of an audience that is not evaluated here; see `set_member`."""
        self._memberships.add(audience)

    def keep_no_more(self, audience: int) -> None:
        """Let go of the members of an audience that was kept."""
        self._memberships.remove(audience)

    @property
    def audiences(self) -> list[int]:
        """The numbers of the audiences that are evaluated."""
        return list(self._audiences)

    def revision(self, audience: int) -> int | None:
        """Return the revision of an audience's definition; `None` if it is not evaluated."""
        return self._revisions.get(audience)

    # -- Evaluation --------------------------------------------------------------------------------

    def evaluate(
        self,
        rows: Places,
        now_ms: int,
        only: Iterable[int] | None = None,
        expiring: Collection[int] | None = None,
    ) -> list[Change]:
        """Evaluate audiences for some rows, and keep the memberships that come of it.

        Args:
            rows: each once.
            now_ms: the instant.
            only: these audiences; all by default.
            expiring: audiences whose entries are to have an expiration; all by default. It costs
                as much as the rest, so leave out those that nobody is told of.

        Returns:
            What changed, by row and audience.
        """
        if not len(rows):
            return []
        self._entries.merge(now_ms - self.lookback_ms)
        plan = self.plan(self._audiences if only is None else only)
        found = plan.evaluate(self._entries, rows, np.array([2 * now_ms], np.int64))
        alive = self._rows.is_alive(rows, now_ms)
        self._set_due(rows, found, alive, is_whole=only is None)
        changed = self._memberships.change(
            rows,
            plan.wanted,
            members_of(found, self._rows, alive),
            settable(found, self._rows, alive),
        )
        expirations = self._expirations(found, *changed, expiring)
        return changes_of(found, self._rows, *changed, expirations)

    def load_new(self, users: Sequence[Loaded], now_ms: int) -> None:
        """Take many profiles that have no row, as `load` takes one, for a fraction of the time.

        They are evaluated as well: due at once are only those of whom something has changed.

        Raises:
            struct.error: `kept.entries` of one is damaged.
        """
        if not users:
            return
        try:
            self._load_new(users, now_ms)
        except BaseException:
            for each in users:  # else they would count as loaded
                self.forget(each.key)
            raise

    def _load_new(self, users: Sequence[Loaded], now_ms: int) -> None:
        since_ms = now_ms - self.lookback_ms
        rows = np.array([self._row(each.key) for each in users], np.int64)
        packed = [each.kept.entries for each in users]
        columns, special = unpack_many(packed, self._holdings.number_of_identity)
        self._entries.add_columns(rows, columns, since_ms)
        for place in special:
            found = unpack_entries(packed[place], self._holdings.number_of_identity)
            self._entries.add(int(rows[place]), found)
        self._memberships.put_new(rows, [each.kept.audiences for each in users])
        self._rows.revision.array[rows] = [each.kept.revision for each in users]
        for row, each in zip(rows.tolist(), users, strict=True):
            self._fill(row, each.key, each.profile, each.derived)
        self._rows.due_ms.array[rows[self._differing(rows, now_ms)]] = 0

    def pass_time(self, rows: Places, now_ms: int) -> Places:
        """Let time pass for rows that are due; return those for which the owner has to do more.

        These are rows on which something changes by it, which `evaluate` then does, those that are
        to wake the owner, and those that are not filled for what is defined. All others are as
        they were, and due when something can change next.
        """
        if not len(rows):
            return rows
        is_left = self._differing(rows, now_ms)
        is_left |= self._rows.wake_ms.array[rows] <= now_ms
        is_left |= self._rows.revision.array[rows] < self._newest_revision
        self._rows.due_ms.array[rows[is_left]] = 0
        return rows[is_left]

    def plan(self, audiences: Iterable[int]) -> Plan:
        """Return the joint evaluation of audiences; the last few are kept."""
        wanted = tuple(audiences)
        plan = self._plans.get(wanted)
        if plan is None:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            plan = Plan(
                self._audiences,
                self._revisions,
                wanted,
                self._holdings,
                self._rows,
                self.lookback_ms,
            )
            self._plans[wanted] = plan
        return plan

    def look(self, plan: Plan, rows: Places, now_ms: int) -> tuple[Evaluation, Bools]:
        """Evaluate without keeping anything; return also which rows belong to the population."""
        self._entries.merge(now_ms - self.lookback_ms)
        found = plan.evaluate(self._entries, rows, np.array([2 * now_ms], np.int64))
        return found, self._rows.is_alive(rows, now_ms)

    def satisfied_by(self, key: ProfileKey, now_ms: int) -> set[int]:
        """Return the audiences whose definition holds for a profile; nothing is kept of it."""
        rows = self.rows_of([key])
        if not len(rows) or not self._audiences:
            return set()
        found, alive = self.look(self.plan(self._audiences), rows, now_ms)
        places = unpack(members_of(found, self._rows, alive), 1)[:, 0]
        return {found.plan.wanted[index] for index in places.nonzero()[0].tolist()}

    def expirations_ms(self, found: Evaluation, wanted: Ints, places: Ints) -> Ints:
        """Return when definitions cease to hold; see `expirations.expirations_ms`."""
        return expirations_ms(found, self._entries, wanted, places)

    def expirations_of(self, key: ProfileKey, now_ms: int) -> dict[int, int]:
        """Return when a user's memberships lapse without new data.

        Left out are those that never do, and those that are not, or not any more, by the present
        definition.
        """
        row = self._rows.find(key)
        if row is None or not self._audiences:
            return {}
        plan = self.plan(self._audiences)
        found, _ = self.look(plan, np.array([row]), now_ms)
        revision = int(self._rows.revision.array[row])
        members = set(self._memberships.of(row))
        wanted = np.array(
            [
                index
                for index, audience in enumerate(plan.wanted)
                if audience in members and plan.revisions[index] <= revision
            ],
            np.int64,
        )
        places = np.zeros(len(wanted), np.int64)
        wanted = wanted[found.satisfies(wanted, places)]
        ends_ms = self.expirations_ms(found, wanted, places[: len(wanted)])
        return {
            plan.wanted[index]: at_ms
            for index, at_ms in zip(wanted.tolist(), ends_ms.tolist(), strict=True)
            if at_ms < FAR
        }

    # -- Size --------------------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Rows, Mirror, EntryStore, Memberships, Holdings]:
        """What takes memory, for accounts of it."""
        return self._rows, self._mirror, self._entries, self._memberships, self._holdings

    @property
    def reads_events(self) -> bool:
        """Tell whether any criterion is about events."""
        return bool(self._holdings.streams)

    # -- Inside ------------------------------------------------------------------------------------

    def _release(self, defined: Defined) -> None:
        for leaf in leaves_of(defined.term):
            self._holdings.release(leaf)

    def _differing(self, rows: Places, now_ms: int) -> Bools:
        """Tell on which rows `evaluate` would change anything; all are due when it next could."""
        plan = self.plan(self._audiences)
        found, alive = self.look(plan, rows, now_ms)
        self._set_due(rows, found, alive, is_whole=True)
        members = members_of(found, self._rows, alive)
        ready = settable(found, self._rows, alive)
        return self._memberships.differing(rows, plan.wanted, members, ready)

    def _set_due(self, rows: Places, found: Evaluation, alive: Bools, *, is_whole: bool) -> None:
        ticks = found.next_tick()
        due_ms = np.where(ticks < FAR, (ticks + 1) >> 1, FAR)
        due_ms = np.where(alive, due_ms, FAR)
        if not is_whole:
            due_ms = np.minimum(due_ms, self._rows.due_ms.array[rows])
        self._rows.due_ms.array[rows] = due_ms

    def _expirations(
        self,
        found: Evaluation,
        audience: Ints,
        place: Ints,
        entered: Bools,
        expiring: Collection[int] | None,
    ) -> Ints:
        """Return the expiration of every change; `FAR` where none is to be found."""
        expirations = np.full(len(audience), FAR, np.int64)
        wanted = entered
        if expiring is not None:
            told = np.array([number in expiring for number in found.plan.wanted], np.bool_)
            wanted = entered & told[audience]
        came = wanted.nonzero()[0]
        if len(came):
            expirations[came] = self.expirations_ms(found, audience[came], place[came])
        return expirations
