"""The calculated attributes in force, ready to be looked up by event."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from actors.calculated.calculator import Calculator
from actors.calculated.definition import LiveAttributes
from actors.calculated.state import CalculatedState
from actors.model.batches import AttributeText, Event
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.tiers import event_name

_NAMED_TYPES = frozenset({"custom_event", "screen_view", "commerce_event"})


class _OfType:
    """Those whose data point is of one event type."""

    def __init__(self, event_type: str, calculators: Sequence[Calculator]) -> None:
        names: dict[str, list[Calculator]] = {}
        any_name: list[Calculator] = []
        for each in calculators:
            datapoint = each.attribute.definition.datapoint
            name = datapoint.event_name
            if event_type == "commerce_event":
                name = datapoint.action
            if name is None or event_type not in _NAMED_TYPES:
                any_name.append(each)
            else:
                names.setdefault(name, []).append(each)
        self.named = {name: (*found, *any_name) for name, found in names.items()}
        self.others = tuple(any_name)


class EventIndex:
    """Finds the calculators that an event may matter to."""

    def __init__(self, calculators: Iterable[Calculator], workspace: WorkspaceInfo) -> None:
        self.calculators = tuple(calculators)
        of_type: dict[str, list[Calculator]] = {}
        for each in self.calculators:
            event_type = each.attribute.definition.datapoint.event_type
            of_type.setdefault(event_type, []).append(each)
        self._of_type = {name: _OfType(name, found) for name, found in of_type.items()}
        self._tiers, self._default_tier = workspace.tiers, workspace.default_tier
        self._is_tiered = {self._default_tier, *self._tiers.values()} != {"personalize"}

    def of(self, event: Event) -> Sequence[Calculator]:
        """Return those whose data point an event may be, if its tier is `personalize`."""
        of_type = self._of_type.get(event.event_type)
        if of_type is None:
            return ()
        if not (of_type.named or self._is_tiered):
            return of_type.others
        name = event_name(event)
        if self._is_tiered and self._tiers.get(name or "", self._default_tier) != "personalize":
            return ()
        return of_type.named.get(name or "", of_type.others)


class ShownValues(Mapping[int, AttributeText]):
    """What a user has of the active attributes, by number; nothing is done before it is asked for.

    Args:
        states: by number.
        active: by the numbers of the active attributes.
    """

    def __init__(
        self, states: Mapping[int, CalculatedState], active: Mapping[int, Calculator]
    ) -> None:
        self._states = states
        self._active = active

    def __getitem__(self, number: int) -> AttributeText:
        """Return the value. Raises KeyError: there is none."""
        value = self._states[number].value if number in self._active else None
        if value is None:
            raise KeyError(number)
        return value

    def __iter__(self) -> Iterator[int]:
        """Return the numbers of those that have a value."""
        return (each for each in self._active if self.get(each) is not None)

    def __len__(self) -> int:
        """Return how many have a value."""
        return sum(1 for _ in self)


class KnownAttributes:
    """`LiveAttributes` of a workspace, compiled.

    Attributes:
        version: of what is known.
        by_number: number to calculator, of the active ones.
        kept: numbers of which values and seeds are kept, the active ones and others.
        next_number: see `LiveAttributes`.
        numbers: name to number, of the active ones.
        moving: numbers of those whose range moves with time.
        index: of all active ones.
    """

    def __init__(self, live: LiveAttributes, workspace: WorkspaceInfo) -> None:
        self.version = live.version
        self.by_number = {each.number: Calculator(each) for each in live.attributes}
        self.numbers = {each.name: number for number, each in self.by_number.items()}
        self.kept = live.kept | self.by_number.keys()
        self.next_number = live.next_number
        self.index = EventIndex(self.by_number.values(), workspace)
        self.moving = frozenset(
            each.number for each in live.attributes if each.definition.range.type == "within"
        )
        self._workspace = workspace
        self._indexes: dict[tuple[int, ...], EventIndex] = {}  # one for each activation at most

    def index_of(self, numbers: Collection[int]) -> EventIndex:
        """Return an index of some of the active ones; numbers of others are passed over."""
        wanted = tuple(sorted(numbers))
        index = self._indexes.get(wanted)
        if index is None:
            found = (self.by_number.get(number) for number in wanted)
            index = EventIndex((each for each in found if each is not None), self._workspace)
            self._indexes[wanted] = index
        return index
