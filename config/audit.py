"""What the audit log has of the configuration, and how it is read (spec/platform-api.md, 17)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.errors import CursorInvalid
from actors.once import answer_with
from actors.store import audit_log
from actors.store.audit_log import Action, AuditEntry, Author
from actors.store.environment import Store
from config.differences import Difference
from config.merging import Data, name_of
from config.numbers import ObjectNumbers

LOOKED_AT = 10_000  # entries, for one page

_TYPES: Mapping[str, str] = {  # what the Platform API calls otherwise than the document
    "connections": "output_connection",
    "api_credentials": "credential",
    "identity": "identity_settings",
}


class AuditQuery(Struct, frozen=True, kw_only=True):
    """Which entries are asked for: `from_ms` <= time < `to_ms`. `None` takes all.

    Attributes:
        resource: a type, or `<type>/<id>`.
        cursor: `next_cursor` of the page before.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    actor: str | None = None
    resource: str | None = None
    action: str | None = None
    limit: int
    cursor: str | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Tell whether an entry of the right time is asked for."""
        whole = f"{entry.resource_type}/{entry.resource_id}"
        return (
            self.actor in (None, entry.author.id)
            and self.resource in (None, entry.resource_type, whole)
            and self.action in (None, entry.action)
        )


class Audited(Struct, frozen=True):
    """An entry as it is listed."""

    id: str
    at_ms: int
    entry: AuditEntry


class AuditPage(Struct, frozen=True):
    """Some entries, newest first; with a cursor there may be more, however few these are."""

    items: tuple[Audited, ...]
    next_cursor: str | None


class AuditLog:
    """The audit log of a deployment, in the store of its configuration."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def record(self, account: int, entry: AuditEntry) -> None:
        """Keep what was done to something that is not of the configuration. Raises StoreFull."""
        answer_with(None)
        with self._store.write() as txn:
            audit_log.append(txn, account, [entry], self._clock.now_ms())

    def page(self, account: int, query: AuditQuery) -> AuditPage:
        """Return entries of an account.

        Raises:
            CursorInvalid: the cursor was not given out by the page before.
        """
        before = None if query.to_ms is None else audit_log.place_of(query.to_ms)
        if query.cursor is not None:
            before = _place_of(query.cursor)
        items: list[Audited] = []
        with self._store.read() as txn:
            found = audit_log.read(txn, account, before, self._clock.now_ms())
            for looked_at, (place, entry) in enumerate(found, 1):
                at_ms = audit_log.time_of(place)
                if query.from_ms is not None and at_ms < query.from_ms:
                    break
                if query.matches(entry):
                    items.append(Audited(_id_of(place), at_ms, entry))
                if len(items) == query.limit or looked_at == LOOKED_AT:
                    return AuditPage(tuple(items), _id_of(place))
        return AuditPage(tuple(items), None)


class Version(Struct, frozen=True):
    """A document, secrets masked, and the numbers of its objects."""

    data: Data
    numbers: ObjectNumbers


def entries_of(
    found: Sequence[Difference], before: Version, after: Version, workspace: int, author: Author
) -> Iterator[AuditEntry]:
    """Yield what the audit log has to have of the differences between two versions."""
    for each in found:
        old, new = _object(before.data, each), _object(after.data, each)
        numbers = (before if each.action == "delete" else after).numbers
        if each.name is None:
            number = workspace
        else:
            number = getattr(numbers, each.section, {}).get(each.name, each.name)
        yield AuditEntry(
            author=author,
            action=_action(each, new),
            resource_type=_TYPES.get(each.section, each.section.removesuffix("s")),
            resource_id=str(number),
            workspace=workspace,
            before=old,
            after=new,
        )


def _object(data: Data, difference: Difference) -> Any:
    section = data.get(difference.section)
    if difference.name is None or not isinstance(section, list):
        return section
    return next((each for each in section if name_of(each) == difference.name), None)


def _action(difference: Difference, after: Any) -> Action:
    if difference.fields == ("active",):
        return "activate" if after.get("active", True) else "deactivate"
    return difference.action


def _id_of(place: int) -> str:
    return f"{place:016x}"


def _place_of(cursor: str) -> int:
    try:
        place = int(cursor, 16)
    except ValueError:
        raise CursorInvalid from None
    if not 0 <= place <= audit_log.LAST_PLACE or _id_of(place) != cursor:
        raise CursorInvalid
    return place
