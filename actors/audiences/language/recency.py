"""`recency` of event-based criteria (spec/audiences.md, 3.3)."""

from typing import Any, Literal, get_args

from actors.audiences.criteria import Recency
from actors.audiences.language.durations import duration_ms, read_duration, read_duration_of
from actors.audiences.language.members import Members
from actors.audiences.language.operands import WrongOperand, canonical_operand, is_ascending
from actors.audiences.values import EARLIEST_MS
from actors.audiences.windows import recency_window

RecencyType = Literal[
    "all",
    "within_last",
    "older_than",
    "between_ago",
    "before",
    "after",
    "on",
    "between_dates",
    "calendar",
]
CalendarUnit = Literal["day", "week", "month", "quarter", "year"]

_TYPES: tuple[RecencyType, ...] = get_args(RecencyType)
_UNITS: tuple[CalendarUnit, ...] = get_args(CalendarUnit)

# Days of more than 270 years: before all events that are kept, and far from where instants end.
_LEAST_OFFSET = -100_000


def read_recency(members: Members, *, takes_within: bool = True) -> Recency:
    """Read `recency` of a criterion, or its shorthand `within`.

    Args:
        members: the criterion.
        takes_within: whether `within` has no meaning of its own there.
    """
    sent_as = members.rename("within", "recency") if takes_within else "recency"
    if not members.has(sent_as):
        members.raw(sent_as)
        return Recency()
    part = members.part("recency", sent_as)
    before = len(members.context.problems)
    if sent_as == "within":
        part.canonical["type"] = "within_last"
        recency = Recency("within_last", duration_ms=duration_ms(*read_duration_of(part)))
    else:
        recency = _read(part)
    members.canonical["recency"] = part.finish()
    if len(members.context.problems) == before:
        _warn_beyond_lookback(part, recency)
    return recency


def _read(part: Members) -> Recency:
    kind = part.word("type", _TYPES)
    match kind:
        case "all":
            return Recency()
        case "within_last" | "older_than":
            return Recency(kind, duration_ms=duration_ms(*read_duration_of(part)))
        case "between_ago":
            from_ms, to_ms = read_duration(part, "from"), read_duration(part, "to")
            if from_ms < to_ms and {"from", "to"} <= part.canonical.keys():
                part.fail("from", "must not be shorter than to.")
            return Recency(kind, from_ms=from_ms, to_ms=to_ms)
        case "before" | "after" | "on":
            return Recency(kind, date=_date(part, "date"))
        case "between_dates":
            start, end = _date(part, "start"), _date(part, "end")
            if start and end and not is_ascending("date", start, end):
                part.fail("start", "must not be after end.")
            return Recency(kind, start=start, end=end)
        case "calendar":
            unit = part.word("unit", _UNITS)
            offset = part.optional_integer("offset", _not_positive) or 0
            if offset < _LEAST_OFFSET and not part.context.references.is_kept:
                part.fail("offset", f"must be at least {_LEAST_OFFSET}.")
            return Recency(kind, unit=unit, offset=offset)


def _date(part: Members, name: str) -> str:
    value: Any = part.raw(name)
    if value is None:
        part.missing(name)
        return ""
    try:
        date = str(canonical_operand("date", value))
    except WrongOperand as wrong:
        part.fail(name, str(wrong))
        return ""
    part.canonical[name] = date
    return date


def _not_positive(value: int) -> str | None:
    return None if value <= 0 else "must be 0 or less."


def _warn_beyond_lookback(part: Members, recency: Recency) -> None:
    """Warn where events are asked for that this audience never sees (5, rule 13)."""
    references = part.context.references
    if references.lookback_ms is None or recency.type == "all":
        return
    first_ms, last_ms = recency_window(recency).at(references.now_ms)
    border = last_ms if first_ms == EARLIEST_MS else first_ms
    if border < references.now_ms - references.lookback_ms:
        days = references.lookback_ms / 86_400_000
        part.context.warn(part.place, f"reaches beyond the {days:g} days that are looked back.")
