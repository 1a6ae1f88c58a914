"""How objects are read by tables of fields, and how problems find their paths.

A coercion takes a JSON value, never null, and returns the value to keep, `None` for "absent", or
raises `Invalid`. Paths are put together while an `Invalid` travels up, so that a good batch pays
nothing for them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from actors.batches.exact import dict_of, exact_type, keeps_members, keeps_within, list_of
from actors.errors import Problem
from actors.model.workspaces import InputInfo, Limits, WorkspaceInfo

MAX_PROBLEMS = 20  # spec/events-api.md, 3.4
MAX_STEP = 256  # code points of a sender's name that an error repeats


class Fault(NamedTuple):
    """A problem on its way up. `path` is relative to the value read so far, "" for itself.

    `is_complete` is false while `text` lacks the name of the field that it is about.
    """

    path: str
    text: str
    is_complete: bool = False

    def within(self, step: str) -> "Fault":
        """Return this fault as seen from the parent: `step` is a name or `[index]`."""
        step = step[:MAX_STEP]
        separator = "." if self.path and not self.path.startswith("[") else ""
        path = f"{step}{separator}{self.path}"
        if self.is_complete or step.startswith("["):
            return Fault(path, self.text, self.is_complete)
        return Fault(path, f'Invalid value for field "{path}": {self.text}', True)


class Invalid(Exception):
    """A value that its field does not take, with everything found wrong inside it."""

    def __init__(self, faults: str | list[Fault]) -> None:
        super().__init__(faults)
        self.faults = [Fault("", faults)] if isinstance(faults, str) else faults

    def within(self, step: str) -> list[Fault]:
        """Return the faults as seen from the parent."""
        return [fault.within(step) for fault in self.faults]

    def problems(self) -> list[Problem]:
        """Return the first problems, in document order."""
        return [Problem(fault.text, fault.path) for fault in self.faults[:MAX_PROBLEMS]]


class Reading(Struct):
    """What the decoding of one batch carries along.

    `drops` collects the reasons of what is cut or left out. With `skips_invalid` a value that is
    not valid counts as absent instead of refusing the batch (spec/events-api.md, 16).
    """

    workspace: WorkspaceInfo
    input: InputInfo
    received_ms: int
    drops: list[str]
    is_historical: bool = False
    skips_invalid: bool = False

    def strict(self) -> "Reading":
        """Return a reading with the same `drops` that skips nothing."""
        return replace(self, skips_invalid=False) if self.skips_invalid else self

    def settle(self, faults: list[Fault]) -> None:
        """Refuse what has these faults, or count them where invalid values are skipped.

        Raises:
            Invalid: there are faults and nothing is skipped.
        """
        if not faults:
            return
        if not self.skips_invalid:
            raise Invalid(faults)
        self.drops.extend("invalid_field" for _ in faults)


Fields = dict[str, Any]
Coerce = Callable[[Any, Reading], Any]


class Members(Protocol):
    """Members by their names, `None` where there is none."""

    def get(self, name: str, /) -> Any:
        """Return a member."""
        ...


Check = Callable[[Members], list[Fault]]


def read_fields(
    source: Fields, table: dict[str, Coerce], reading: Reading, check: Check | None = None
) -> Fields:
    """Read the members of `source` that `table` knows, in document order; null is absent.

    `check` looks at the source as a whole first.

    Raises:
        Invalid: with the faults of all members.
    """
    fields: Fields = {}
    faults = check(source) if check else []
    for name, value in source.items():
        if value is None or (coerce := table.get(name)) is None:
            continue
        try:
            kept = coerce(value, reading)
        except Invalid as error:
            if all(fault.path != name for fault in faults):  # the check may have said enough
                faults += error.within(name)
            continue
        if kept is not None:
            fields[name] = kept
    if faults:
        reading.settle(faults)
    return fields


def without_nulls(fields: Fields) -> Fields:
    """Take out the members that are null, in place; return the same fields."""
    if None in fields.values():
        for name in [name for name, value in fields.items() if value is None]:
            del fields[name]
    return fields


def required(*names: str, word: str = "field") -> Check:
    """Make a check that these members are neither missing nor null nor empty."""

    def check(source: Members) -> list[Fault]:
        return [missing(name, word) for name in names if source.get(name) in (None, "")]

    return check


def missing(name: str, word: str = "field") -> Fault:
    """Make the fault of a required member that is not there."""
    return Fault(name, f'Required {word} "{name}" is missing or empty.', True)


def as_object(value: Any) -> Fields:
    """Return `value`, which must be an object.

    Raises:
        Invalid: it is not.
    """
    if type(value) is not dict:
        raise Invalid("must be an object.")
    return value


def as_array(value: Any) -> list[Any]:
    """Return `value`, which must be an array.

    Raises:
        Invalid: it is not.
    """
    if type(value) is not list:
        raise Invalid("must be an array.")
    return value


def object_of(table: dict[str, Coerce], check: Check | None = None) -> Coerce:
    """Make the coercion of an object with these members."""

    def to_object(value: Any, reading: Reading) -> Fields:
        return read_fields(as_object(value), table, reading, check)

    return to_object if check else keeps_members(table)(to_object)


def array_of(coerce: Coerce, refuses_null: bool = False) -> Coerce:
    """Make the coercion of an array of such entries; nulls are left out unless refused."""

    def to_array(value: Any, reading: Reading) -> list[Any]:
        entries: list[Any] = []
        faults: list[Fault] = []
        for index, entry in enumerate(as_array(value)):
            if entry is None and not refuses_null:
                continue
            try:
                entries.append(coerce(entry, reading))
            except Invalid as error:
                faults += error.within(f"[{index}]")
                if len(faults) >= MAX_PROBLEMS and not reading.skips_invalid:
                    break
        reading.settle(faults)
        return entries

    def exact(limits: Limits) -> Any:
        entry = exact_type(coerce, limits)
        return None if entry is None else list_of(entry)

    return keeps_within(exact)(to_array)


def map_of(coerce: Coerce, keeps_null: bool = False) -> Coerce:
    """Make the coercion of an object with free names; nulls are left out unless kept."""

    def to_map(value: Any, reading: Reading) -> Fields:
        entries: Fields = {}
        faults: list[Fault] = []
        for name, entry in as_object(value).items():
            if entry is None:
                if keeps_null:
                    entries[name] = None
                continue
            try:
                entries[name] = coerce(entry, reading)
            except Invalid as error:
                faults += error.within(name)
        reading.settle(faults)
        return entries

    def exact(limits: Limits) -> Any:
        entry = exact_type(coerce, limits)
        if entry is None:
            return None
        return dict_of(str, entry | None if keeps_null else entry)

    return keeps_within(exact)(to_map)
