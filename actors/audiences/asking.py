"""Evaluates a definition that is only asked about, over users taken from their records.

The columns of the audiences that are live have only what those need. So a question gets an engine
of its own, which is filled with the users at hand and thrown away.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from actors.audiences.answers import Query
from actors.audiences.criteria import Named, Node
from actors.audiences.engine.arrays import FAR, Bools, Places, unpack
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.joint import JointEngine, joint_criterion_term
from actors.audiences.engine.plan import Evaluation, leaves_of
from actors.audiences.engine.records import Kept
from actors.audiences.engine.sources import Derived
from actors.audiences.engine.terms import Leaf, criterion_term
from actors.audiences.language.dependencies import criteria_of
from actors.audiences.told import Span
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.retention import DAY_MS

_WHOLE = -1  # number of the definition; its criteria follow downwards. Real ones are positive.


class Asking:
    """A question at one instant. Take users, then `answer`.

    Membership criteria read the memberships of `Derived`, also of evaluated audiences.

    Attributes:
        criteria: of the definition, in its order.
        since_ms: what was received before it cannot have events that count.
        reads_events: whether users' stored batches are wanted at all.
        is_real_time: whether only those are that real-time evaluation sees (spec/profiles.md, 4).

    Args:
        query: the definition.
        workspace: whose rules hold.
        groups: number to id of the group definitions that exist.
        now_ms: of the evaluation.
        until_ms: events that are later are hidden; `None`: none are.
        others: further workspaces that a query over several is about. Users are then taken with
            `Derived.workspaces`, and need a section of any of them.
    """

    def __init__(
        self,
        query: Query,
        workspace: WorkspaceInfo,
        groups: Mapping[int, str],
        now_ms: int,
        until_ms: int | None = None,
        others: Sequence[WorkspaceInfo] = (),
    ) -> None:
        self.criteria: list[Named] = list(criteria_of(query.node))
        self._query, self._home = query, workspace.number
        self._now_ms = now_ms
        self._until_ms = FAR if until_ms is None else until_ms
        lookback_ms = workspace.audience_event_days * DAY_MS
        if query.span is not None:
            workspace, others = _seeing_all(workspace), [_seeing_all(each) for each in others]
            lookback_ms = now_ms - _start_ms(query.span)
            if query.span.end_ms is not None:
                self._until_ms = min(self._until_ms, query.span.end_ms - 1)
        self.since_ms = now_ms - lookback_ms
        self.is_real_time = until_ms is None and query.span is None
        self._keys: list[ProfileKey] = []
        self._engine = (
            JointEngine([workspace, *others], lookback_ms)
            if query.is_joint
            else Engine(workspace, lookback_ms, groups)
        )
        self._activate(_WHOLE, query.node)
        for place, each in enumerate(self.criteria, 1):
            self._activate(_WHOLE - place, each)
        self.reads_events = self._engine.reads_events

    def take(
        self,
        key: ProfileKey,
        profile: Profile,
        derived: Derived,
        batches: Sequence[StoredBatch],
    ) -> None:
        """Take a user who has a section, with all batches since `since_ms`."""
        self._keys.append(key)
        self._engine.load(key, profile, Kept(), derived)
        if self.reads_events:
            self._engine.rebuild_events(key, batches, 0, self._now_ms, self._until_ms)

    def answer(self) -> "Answer":
        """Evaluate for all users that were taken."""
        engine = self._engine
        numbers = range(_WHOLE, _WHOLE - len(self.criteria) - 1, -1)
        rows = engine.rows_of(self._keys)
        found, is_counted = engine.look(engine.plan(numbers), rows, self._now_ms)
        return Answer(engine, rows, found, is_counted, self._query, self._home)

    def _activate(self, number: int, node: Node) -> None:
        engine, query = self._engine, self._query
        if isinstance(engine, JointEngine):
            engine.activate_over(number, query.environment, node, query.workspaces)
        else:
            engine.activate(number, query.environment, node)


class Answer:
    """What a question gave, user by user in the order of `keys`.

    Attributes:
        keys: the users.
        is_counted: whether they belong to the population.
        matches: whether they would be members.
        criteria: what each criterion gives, shape (criteria, users), also for those who are not
            counted.
    """

    def __init__(
        self,
        engine: Engine,
        rows: Places,
        found: Evaluation,
        is_counted: Bools,
        query: Query,
        home: int,
    ) -> None:
        self._query, self._home = query, home
        self._engine = engine
        self._found = found
        self.keys = engine.keys_of(rows)
        truth = unpack(found.roots().view(np.uint8), len(rows)).astype(np.bool_)
        self.is_counted = is_counted
        self.matches: Bools = truth[0] & is_counted
        self.criteria: Bools = truth[1:]

    def expirations_ms(self) -> dict[ProfileKey, int]:
        """Return when those who match cease to, without new data; without those who never do."""
        places = np.flatnonzero(self.matches)
        ends = self._engine.expirations_ms(self._found, np.zeros(len(places), np.int64), places)
        return {
            self.keys[place]: at_ms
            for place, at_ms in zip(places.tolist(), ends.tolist(), strict=True)
            if at_ms < FAR
        }

    def deciding(self, named: Named) -> Iterator[tuple[Leaf, object]]:
        """Yield what was looked at for a criterion of the question, for the first user."""
        term = (
            joint_criterion_term(named, self._query.workspaces, self._home)
            if self._query.is_joint
            else criterion_term(named.criterion)
        )
        for leaf in leaves_of(term):
            yield leaf, self._found.plan.explain(leaf, self._found.moment)


def _start_ms(span: Span) -> int:
    return 0 if span.start_ms is None else span.start_ms


def _seeing_all(workspace: WorkspaceInfo) -> WorkspaceInfo:
    """Return a workspace whose audiences see all events that are kept (spec/audiences.md, 1)."""
    tiers = {
        name: "personalize" if tier == "preserve" else tier
        for name, tier in workspace.tiers.items()
    }
    default = workspace.default_tier
    return replace(
        workspace,
        tiers=tiers,
        default_tier="personalize" if default == "preserve" else default,
    )
