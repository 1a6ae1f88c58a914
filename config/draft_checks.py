"""What is refused of a configuration that is right in itself: what others would lose by it.

Whether they would is known only where they are: of events, by whom they are read; of names, who
has them; of connections, what waits for them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from actors.errors import ConfigurationRefused, Problem
from config.book import Book
from config.data_plans import lost_quarantines
from config.differences import Difference, with_danger
from config.errors import ConfigError
from config.merging import Data
from config.pages import Draft
from config.public_keys import check_keys
from config.publishing import Publisher
from config.secret_values import new_masks
from config.served import ServedDocument
from config.settings import Settings
from config.workspace import WorkspaceDocument

# Returns (name of an event's data point, who reads it) of a workspace.
ReadersOfEvents = Callable[[int], Iterable[tuple[str, str]]]
# Returns name, case-folded, to number of the audiences that no document manages.
MadeAudiences = Callable[[int], Mapping[str, int]]
# Returns number of an active calculated attribute to one of those that refer to it.
CalculatedInUse = Callable[[int], Mapping[int, int]]


class DraftChecks:
    """Checks drafts against what holds, and against what desks, shards and forwarders have."""

    def __init__(self, book: Book, publisher: Publisher, settings: Settings) -> None:
        self._book = book
        self._publisher = publisher
        self._settings = settings
        self._readers_of_events: ReadersOfEvents = lambda _: ()
        self._made_audiences: MadeAudiences = lambda _: {}
        self._calculated_in_use: CalculatedInUse = lambda _: {}

    def bind(
        self,
        readers_of_events: ReadersOfEvents,
        made_audiences: MadeAudiences,
        calculated_in_use: CalculatedInUse,
    ) -> None:
        """Say whom to ask; see `ConfigDesk.bind`."""
        self._readers_of_events = readers_of_events
        self._made_audiences = made_audiences
        self._calculated_in_use = calculated_in_use

    def check(self, drafts: Sequence[Draft]) -> None:
        """Check what can be told at once. Raises ConfigurationRefused."""
        try:
            self._book.check(drafts, is_running=True)
            check_keys((each.document for each in drafts), self._settings)
        except ConfigError as error:
            raise refused(error) from None
        for each in drafts:
            served = self._served(each)
            if served is not None:
                self._check_tiers(each, served)
                self._check_names(each, served)
                self._check_calculated(each, served)

    async def differences(self, draft: Draft) -> tuple[Difference, ...]:
        """Return what a draft changes; connections are only lost together with what waits.

        Raises ShardUnavailable: whether anything waits cannot be told now.
        """
        served = self._served(draft)
        assert served is not None, "a draft that was checked is of a workspace that is served"
        found = []
        for each in draft.differences:
            for name in _lost_connections(each, served.document, draft.document):
                number = served.numbers.connections[name]
                queues = await self._publisher.queues(served.info.number, number)
                waiting = sum(queue["depth"] for queue in queues)
                dead = sum(queue["dead_letters"] for queue in queues)
                if waiting or dead:
                    reason = f"deletes {waiting} deliveries that wait and {dead} dead letters"
                    each = with_danger(each, reason)
            found.append(each)
        return tuple(found)

    def _served(self, draft: Draft) -> ServedDocument | None:
        """Return the workspace of a draft as it holds now."""
        return next((each for each in self._book.served if each.info.id == draft.workspace), None)

    def _check_tiers(self, draft: Draft, served: ServedDocument) -> None:
        """Refuse to hide events from what reads them (spec/rules.md, 8)."""
        wanted = draft.document.workspace.event_tiers
        tiers, info = {each.event: each.tier for each in wanted.overrides}, served.info
        if (wanted.default, tiers) == (info.default_tier, info.tiers):
            return
        problems = [
            Problem(f"{reader} reads the event '{name}'", "workspace.event_tiers")
            for name, reader in self._readers_of_events(info.number)
            if info.tiers.get(name, info.default_tier) == "personalize"
            and tiers.get(name, wanted.default) != "personalize"
        ]
        if problems:
            raise ConfigurationRefused("TIER_NOT_PERSONALIZE", problems)

    def _check_names(self, draft: Draft, served: ServedDocument) -> None:
        """Refuse names of audiences that were made through the API (spec/audiences.md, 2)."""
        if not draft.document.audiences:
            return
        taken, numbers = self._made_audiences(served.info.number), served.numbers.audiences
        problems = [
            Problem(f"already used by audience {holder}", f"audiences[{index}].name")
            for index, each in enumerate(draft.document.audiences)
            if (holder := taken.get(each.name.casefold())) is not None
            and holder != numbers.get(each.id)
        ]
        if problems:
            raise ConfigurationRefused("VALIDATION_ERROR", problems)

    def _check_calculated(self, draft: Draft, served: ServedDocument) -> None:
        """Refuse to take calculated attributes from audiences that were made through the API
        (spec/calculated-attributes.md, 5). Of its own audiences the document was checked."""
        numbers = served.numbers.calculated_attributes
        # Of one that the API has taken over, the document does not say whether it is active.
        owned = draft.owned.get("calculated_attributes", frozenset())
        ends = {
            each.name: f"calculated_attributes/{each.name}"
            for each in draft.differences
            if (each.section, each.action) == ("calculated_attributes", "delete")
        } | {
            each.id: f"calculated_attributes[{index}].active"
            for index, each in enumerate(draft.document.calculated_attributes)
            if not each.active and each.id in owned
        }
        used = self._calculated_in_use(served.info.number) if ends else {}
        problems = [
            Problem(f"used by audience {used[numbers[name]]}", path)
            for name, path in ends.items()
            if name in numbers and numbers[name] in used
        ]
        if problems:
            raise ConfigurationRefused("IN_USE", problems)


def check_danger(found: Sequence[Difference]) -> None:
    """Refuse what is dangerous. Raises ConfigurationRefused."""
    if dangers := [each for each in found if each.danger is not None]:
        problems = [
            Problem(f"is dangerous, and has to be allowed: {each.danger}", each.path)
            for each in dangers
        ]
        raise ConfigurationRefused("DANGEROUS", problems)


def check_masks(draft: Draft, kept: Data) -> None:
    """Refuse a mask that is to become a secret; `kept`: what holds now. Raises ConfigError."""
    if problems := list(new_masks(draft.data, draft.document, kept)):
        raise ConfigError(problems)


def refused(error: ConfigError) -> ConfigurationRefused:
    """Return what whoever asked is told of a configuration that is not right."""
    problems = [Problem(message, path or None) for path, message in error.problems]
    return ConfigurationRefused("VALIDATION_ERROR", problems)


def _lost_connections(
    difference: Difference, before: WorkspaceDocument, after: WorkspaceDocument
) -> list[str]:
    """Return the ids of the connections that a change deletes."""
    name = difference.name
    if name is None:
        return []
    if difference.section == "data_plans":
        plans = [[plan for plan in each.data_plans if plan.id == name] for each in (before, after)]
        return lost_quarantines(*plans)
    is_lost = difference.action == "delete" and difference.section == "connections"
    return [name] if is_lost else []
