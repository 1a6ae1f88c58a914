"""The part of one transaction in the calculation of standard audiences (spec/audiences.md, 8.1)."""

from collections.abc import Mapping, Sequence

from actors.audiences.answers import Query
from actors.audiences.asking import Asking
from actors.audiences.engine.sources import Derived
from actors.audiences.history import read_history
from actors.audiences.told import LiveAudience
from actors.joint_parts import JointParts
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import WorkspaceInfo
from actors.store.environment import Transaction


class Calculations:
    """Takes users as they are, and evaluates all of them together at the end."""

    def __init__(self, workspace: WorkspaceInfo, parts: JointParts | None = None) -> None:
        """Args: `parts`: of audiences over several workspaces."""
        self._workspace = workspace
        self._parts = parts
        self._askings: dict[int, Asking] = {}

    def take(
        self,
        txn: Transaction,
        audiences: Sequence[LiveAudience],
        key: ProfileKey,
        profile: Profile,
        derived: Derived,
        groups: Mapping[int, str],
        now_ms: int,
    ) -> None:
        """Take a user for some audiences; what becomes of the profile afterwards does not count.

        Args:
            txn: sees the user's stored batches, those that are to count and no others.
            audiences: standard ones of the user's environment.
            key, profile: of the user, who has a section.
            derived: of the user; all memberships are in it, if one of the audiences asks for any.
            groups: number to id of the group definitions that exist.
            now_ms: of the evaluation.
        """
        askings = [self._asking(each, groups, now_ms) for each in audiences]
        since_ms = min((each.since_ms for each in askings if each.reads_events), default=None)
        batches = []
        if since_ms is not None and self._parts is not None:
            batches = self._parts.batches(txn, key, profile, since_ms, read_history)
        elif since_ms is not None:
            section = profile.workspaces[self._workspace.number]
            history = read_history(txn, key, section, since_ms)
            batches = [*history.own, *history.copied]
        for asking in askings:
            asking.take(key, profile, derived, batches)

    def answer(self) -> dict[tuple[int, ProfileKey], bool]:
        """Return who of those that were taken is a member, by audience and user."""
        found: dict[tuple[int, ProfileKey], bool] = {}
        for number, asking in self._askings.items():
            answer = asking.answer()
            for key, is_member in zip(answer.keys, answer.matches.tolist(), strict=True):
                found[number, key] = is_member
        return found

    def clear(self) -> None:
        """Begin another transaction."""
        self._askings.clear()

    def _asking(self, audience: LiveAudience, groups: Mapping[int, str], now_ms: int) -> Asking:
        asking = self._askings.get(audience.number)
        if asking is None:
            node, span = audience.node, audience.span
            if node is None:
                raise ValueError(f"audience {audience.number} is calculated without a definition")
            query = Query(
                node=node,
                environment=audience.environment,
                span=span,
                workspaces=audience.workspaces,
            )
            others = () if self._parts is None else self._parts.workspaces[1:]
            asking = Asking(query, self._workspace, groups, now_ms, others=others)
            self._askings[audience.number] = asking
        return asking
