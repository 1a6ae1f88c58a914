"""What batches and the passing of time do to a user's calculated attributes.

Every change is made in place on the section. Changed values are returned by number of the
attribute; `None` means that there is none any more.
"""

from collections.abc import Collection, Iterable

from actors.audiences.event_rows import Row, event_time_ms, rows_of
from actors.calculated.calculator import Calculator
from actors.calculated.definition import Attribute
from actors.calculated.live import EventIndex, KnownAttributes
from actors.calculated.rows import Qualified
from actors.calculated.state import CalculatedState, Seed, Value
from actors.model.batches import StoredBatch
from actors.model.profiles import Section
from actors.model.workspaces import WorkspaceInfo

NOBODY: frozenset[int] = frozenset()


def apply(
    section: Section,
    stored: StoredBatch,
    known: KnownAttributes,
    now_ms: int,
    waiting: Collection[int] = NOBODY,
) -> dict[int, Value]:
    """Apply one batch; historical ones change nothing (spec/calculated-attributes.md, 5).

    Args:
        section: the user's, of the batch's workspace.
        stored: the batch with its events, also with those of other tiers.
        known: what is active.
        now_ms: instant of the evaluation.
        waiting: numbers of those whose initialization has not come to this user: it will find the
            batch in the log.

    Returns:
        The changed values.
    """
    if stored.is_historical:
        return {}
    changed: dict[int, Value] = {}
    for calculator, events in _qualified(stored, known.index).items():
        if calculator.number in waiting:
            continue
        state = section.calculated.get(calculator.number)
        if state is None or not state.revision:  # there is a seed at most
            state = calculator.begin(state)
        elif state.revision != calculator.revision:
            continue  # what is added up there is of another definition
        is_changed = calculator.update(state, events, now_ms)
        if state.data or state.seed is not None or state.next_seed is not None:
            section.calculated[calculator.number] = state
        if is_changed:
            changed[calculator.number] = state.value
    return changed


def expire(section: Section, known: KnownAttributes, now_ms: int) -> dict[int, Value]:
    """Let go of what has left rolling ranges; return the changed values."""
    changed: dict[int, Value] = {}
    for number, state in section.calculated.items():
        if not state.expiry_ms or state.expiry_ms > now_ms:
            continue
        calculator = known.by_number.get(number)
        if calculator is None or state.revision != calculator.revision:
            state.expiry_ms = 0  # nobody calculates it any more
        elif calculator.expire(state, now_ms):
            changed[number] = state.value
    return changed


def next_expiry(section: Section) -> int | None:
    """Return the instant from which `expire` has something to do, `None` if there is none."""
    found = [state.expiry_ms for state in section.calculated.values() if state.expiry_ms]
    return min(found, default=None)


def rebuild(
    section: Section,
    batches: Iterable[StoredBatch],
    index: EventIndex,
    now_ms: int,
    earliest_ms: int,
    *,
    is_cut: bool = False,
) -> dict[int, Value]:
    """Calculate some attributes anew: a user's part of their initialization.

    Args:
        section: the user's.
        batches: all that are stored of the user, live and historical, in order of arrival.
        index: of the attributes; states that there are already, of any revision, are replaced.
        now_ms: instant of the evaluation.
        earliest_ms: events before it are not seen: now less the real-time lookback.
        is_cut: they were calculated of more events before.

    Returns:
        The changed values.
    """
    events = _events_of(batches, index)
    changed: dict[int, Value] = {}
    for calculator in index.calculators:
        former = section.calculated.pop(calculator.number, None)
        state = calculator.remake(former) if is_cut else calculator.begin(former)
        seen = [each for each in events.get(calculator, ()) if each[0] >= earliest_ms]
        calculator.update(state, seen, now_ms)
        if state.data or state.seed is not None or state.next_seed is not None:
            section.calculated[calculator.number] = state
        if state.value != (None if former is None else former.value):
            changed[calculator.number] = state.value
    return changed


def calculate(
    attribute: Attribute,
    batches: Iterable[StoredBatch],
    workspace: WorkspaceInfo,
    as_of_ms: int,
    former: CalculatedState | None = None,
) -> Value:
    """Calculate a value of which nothing is kept (spec/calculated-attributes.md, 6, preview).

    Args:
        attribute: may be one that does not exist; its name decides whether the seed is for it.
        batches: as in `rebuild`.
        workspace: whose tiers hold.
        as_of_ms: stands for now; later events are not seen.
        former: what is kept of the user under this number, for its seeds.
    """
    calculator = Calculator(attribute)
    state = calculator.begin(former)
    events = _events_of(batches, EventIndex((calculator,), workspace)).get(calculator, ())
    calculator.update(state, [each for each in events if each[0] <= as_of_ms], as_of_ms)
    return state.value


def texts_in(stored: StoredBatch, index: EventIndex) -> list[str]:
    """Return what attributes whose functions take texts would take of one batch."""
    qualified = _qualified(stored, index).values()
    return [str(content) for events in qualified for _, rows in events for _, _, content, _ in rows]


def values(section: Section, known: KnownAttributes) -> dict[str, str | list[str]]:
    """Return what a user has, by name."""
    shown: dict[str, str | list[str]] = {}
    for number, state in section.calculated.items():
        calculator = known.by_number.get(number)
        if calculator is not None and state.value is not None:
            shown[calculator.name] = state.value
    return shown


def plant(
    section: Section, number: int, seed: Seed, known: KnownAttributes, waiting: Collection[int]
) -> dict[int, Value]:
    """Put a seed in the place of the former one of this attribute; return the changed values.

    One of an attribute that is not active, or not initialised yet, has effect when it is; likewise
    one that is for the draft of an active attribute, whose seed in force stays until then.
    """
    calculator = known.by_number.get(number)
    state = section.calculated.get(number)
    is_of_draft = calculator is not None and not calculator.is_seeded_by(seed)
    if calculator is None or number in waiting or is_of_draft:
        if state is None:
            state = section.calculated[number] = CalculatedState()
        if is_of_draft:
            state.next_seed = seed
        else:
            state.seed = seed
        return {}
    if state is None or not state.revision:
        state = section.calculated[number] = calculator.start(None)
    return {number: state.value} if calculator.plant(state, seed) else {}


def forget(section: Section, known: KnownAttributes) -> bool:
    """Delete what is kept of attributes that do not exist any more; tell whether there was some."""
    gone = [each for each in section.calculated.keys() - known.kept if each < known.next_number]
    for number in gone:
        del section.calculated[number]
    return bool(gone)


def _qualified(stored: StoredBatch, index: EventIndex) -> dict[Calculator, list[Qualified]]:
    """Return the events of a batch that qualify, by calculator."""
    found: dict[Calculator, list[Qualified]] = {}
    for position, event in enumerate(stored.batch.events):
        calculators = index.of(event)
        if not calculators:
            continue
        time_ms = event_time_ms(stored, event)
        whole, parts = [Row(stored, event)], None
        for calculator in calculators:
            rows = whole
            if calculator.matcher.is_by_part:
                rows = parts = rows_of(stored, event) if parts is None else parts
            kept = calculator.matcher.kept(stored, position, time_ms, rows)
            if kept is None:
                continue
            if calculator in found:
                found[calculator].append((time_ms, kept))
            else:
                found[calculator] = [(time_ms, kept)]
    return found


def _events_of(
    batches: Iterable[StoredBatch], index: EventIndex
) -> dict[Calculator, list[Qualified]]:
    found: dict[Calculator, list[Qualified]] = {}
    for stored in batches:
        for calculator, events in _qualified(stored, index).items():
            found.setdefault(calculator, []).extend(events)
    return found
