"""What is blocked of a batch, by what was found in it (spec/data-plans.md, 4)."""

from collections.abc import Iterable

from msgspec import Struct, field

from actors.plans.document import Actions
from actors.plans.findings import Finding, Path
from actors.plans.matching import USER_ATTRIBUTES, USER_IDENTITIES, Match
from actors.plans.validation import DEVICE_STAMP, Entry


class Verdict(Struct):
    """What goes no further.

    Attributes:
        drops_batch: nothing does.
        events: indices of the events that do not.
        attributes: index of an event that does, to the paths of what is removed from it.
        user_attributes, identities: names.
    """

    drops_batch: bool = False
    events: set[int] = field(default_factory=set)
    attributes: dict[int, list[Path]] = field(default_factory=dict)
    user_attributes: list[str] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)

    @property
    def blocks(self) -> bool:
        """Whether there is anything."""
        return bool(
            self.drops_batch
            or self.events
            or self.attributes
            or self.user_attributes
            or self.identities
        )


def action_on(finding: Finding, match: Match, actions: Actions) -> str:
    """Return what the settings say of a violation; only what is unplanned is ever blocked."""
    if finding.kind != "unplanned":
        return "allow"
    if match.type == USER_ATTRIBUTES:
        return actions.user_attribute
    if match.type == USER_IDENTITIES:
        return actions.user_identity
    return actions.event if finding.keyword is None else actions.event_attribute


def judge(entries: Iterable[Entry], actions: Actions) -> Verdict:
    """Return what is blocked of a batch."""
    verdict = Verdict()
    for entry in entries:
        for finding in entry.findings:
            action = action_on(finding, entry.match, actions)
            if action == "drop_batch":
                verdict.drops_batch = True
            elif action == "drop_event" and entry.index is not None:
                verdict.events.add(entry.index)
            elif action == "drop_attribute" and finding.key is not None:
                _drop_attribute(verdict, entry, (*finding.path, finding.key))
    for index in verdict.events:
        verdict.attributes.pop(index, None)
    return verdict


def _drop_attribute(verdict: Verdict, entry: Entry, path: Path) -> None:
    if entry.index is not None:
        verdict.attributes.setdefault(entry.index, []).append(path)
    elif entry.match.type == USER_ATTRIBUTES:
        verdict.user_attributes.append(str(path[0]))
    elif path[0] != DEVICE_STAMP:  # reported and never dropped: batches need an owner
        verdict.identities.append(str(path[0]))
