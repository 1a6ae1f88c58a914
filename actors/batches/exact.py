"""What the coercions keep as it is, as types: so that C code can read and check a whole batch.

A coercion that is declared here with `keeps` returns every value of its exact type unchanged and
counts nothing. An object whose members are all of their exact types needs no coercion but that of
the others; anything else is read member by member (`actors.batches.reading`).
"""

from collections.abc import Callable, Collection
from operator import attrgetter
from types import GenericAlias
from typing import Annotated, Any, Required, TypedDict, TypeVar

import msgspec
import orjson
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from actors.model.workspaces import Limits

Coercion = Callable[..., Any]
CoercionT = TypeVar("CoercionT", bound=Coercion)
MakeType = Callable[[Limits], Any]  # `None` where it has none after all

INT64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]

_exact: dict[Coercion, MakeType] = {}
_nearly: dict[Coercion, tuple[MakeType, Coercion]] = {}
_taken: dict[Coercion, Any] = {}
_tables: dict[Coercion, dict[str, Coercion]] = {}


def text(longest: int, shortest: int | None = None) -> Any:
    """Make the type of texts of so many characters."""
    return Annotated[str, Meta(min_length=shortest, max_length=longest)]


def list_of(entry: Any) -> Any:
    """Make the type of lists of such entries."""
    return GenericAlias(list, (entry,))


def dict_of(name: Any, value: Any) -> Any:
    """Make the type of objects with free names."""
    return GenericAlias(dict, (name, value))


def keeps(exact: Any) -> Callable[[CoercionT], CoercionT]:
    """Declare the type of values that a coercion keeps."""
    return keeps_within(lambda _: exact)


def keeps_within(make: MakeType) -> Callable[[CoercionT], CoercionT]:
    """Declare the type of values that a coercion keeps under given limits."""

    def declare(coercion: CoercionT) -> CoercionT:
        _exact[coercion] = make
        return coercion

    return declare


def keeps_but(
    make: MakeType, finish: Callable[[Any, Any], Any]
) -> Callable[[CoercionT], CoercionT]:
    """Declare the type of values that a coercion keeps but for what `finish` does, a coercion too.

    `finish` may change the value in place.
    """

    def declare(coercion: CoercionT) -> CoercionT:
        _nearly[coercion] = make, finish
        return coercion

    return declare


def keeps_members(table: dict[str, Coercion]) -> Callable[[CoercionT], CoercionT]:
    """Declare that a coercion reads an object by a table and does nothing else."""

    def declare(coercion: CoercionT) -> CoercionT:
        _tables[coercion] = table
        return coercion

    return declare


def takes(taken: Any) -> Callable[[CoercionT], CoercionT]:
    """Declare the type of values that a coercion usually gets; it has to see them all the same."""

    def declare(coercion: CoercionT) -> CoercionT:
        _taken[coercion] = taken
        return coercion

    return declare


def exact_type(coercion: Coercion, limits: Limits) -> Any:
    """Return the type of values that a coercion keeps, `None` if it has to see every value."""
    table = _tables.get(coercion)
    if table is not None:
        shape = shape_of(table, limits)
        return shape.type if shape.is_exact else None
    make = _exact.get(coercion)
    return None if make is None else make(limits)


def members_type(name: str, table: dict[str, Coercion], limits: Limits, *needs: str) -> Any:
    """Make the type of dicts that `actors.batches.reading.read_fields` keeps, but for nulls.

    Args:
        name: of the type.
        table: member to coercion, each declared with `keeps` or `keeps_but`.
        limits: of the workspace.
        needs: members that have to be there and not empty.
    """
    members: dict[str, Any] = {}
    for member, coercion in table.items():
        exact = _nearly[coercion][0](limits) if coercion in _nearly else _exact[coercion](limits)
        members[member] = Required[_filled(exact)] if member in needs else exact | None
    return TypedDict(name, members, total=False)  # type: ignore[operator]


class Shape(Struct, frozen=True):
    """How an object is read that has what its table says.

    Attributes:
        type: a struct of all members. Absent ones are `None`, or unset in the place of raw ones.
        taken: the members that were decoded and that their coercion has to see all the same.
        raw: the members that are still JSON text.
        raw_of: returns the values of `raw`; with all of them unset, as usual, that is `nothing`.
        parts: the members that are objects with a rest of their own.
    """

    type: Any
    taken: tuple[tuple[str, Coercion], ...]
    raw: tuple[tuple[str, Coercion], ...]
    raw_of: Callable[[Any], Any]
    nothing: Any
    parts: tuple[tuple[str, "Shape"], ...]

    @property
    def is_exact(self) -> bool:
        """Tell whether no coercion has to see any member."""
        return not (self.taken or self.raw or self.parts)

    def complete(self, found: Any, reading: Any) -> None:
        """Coerce what has to be coerced of an object of `type`.

        Raises:
            Invalid: a member is not valid.
            orjson.JSONDecodeError: a member is no JSON.
        """
        if self.taken:
            for name, coercion in self.taken:
                value = getattr(found, name)
                if value is not None:
                    setattr(found, name, coercion(value, reading))
        if self.raw_of(found) != self.nothing:
            self._complete_raw(found, reading)
        if self.parts:
            for name, part in self.parts:
                value = getattr(found, name)
                if value is not None:
                    part.complete(value, reading)

    def _complete_raw(self, found: Any, reading: Any) -> None:
        for name, coercion in self.raw:
            text = getattr(found, name)
            if text is UNSET:
                continue
            value = orjson.loads(bytes(text))
            kept = None if value is None else coercion(value, reading)
            setattr(found, name, UNSET if kept is None else kept)


def shape_of(
    table: dict[str, Coercion], limits: Limits, needs: Collection[str] = (), **more: Any
) -> Shape:
    """Make the shape of the objects that a table describes.

    Args:
        table: member to coercion.
        limits: of the workspace.
        needs: members that have to be there and not empty.
        more: further members and their types.
    """
    needed: list[Any] = []  # first in the struct: they have no default
    fields: list[Any] = [(name, exact | None, None) for name, exact in more.items()]
    taken: list[tuple[str, Coercion]] = []
    raw: list[tuple[str, Coercion]] = []
    parts: list[tuple[str, Shape]] = []
    for name, coercion in table.items():
        if name in more:
            continue
        exact = exact_type(coercion, limits)
        taken_type: Any = _taken.get(coercion)
        nearly = _nearly.get(coercion)
        if exact is not None and name in needs:
            needed.append((name, _filled(exact)))
        elif exact is not None:
            fields.append((name, exact | None, None))
        elif coercion in _tables:
            part = shape_of(_tables[coercion], limits)
            parts.append((name, part))
            fields.append((name, part.type | None, None))
        elif nearly is not None:
            make, finish = nearly
            taken.append((name, finish))
            fields.append((name, make(limits) | None, None))
        elif taken_type is not None:
            taken.append((name, coercion))
            fields.append((name, taken_type | None, None))
        else:
            raw.append((name, coercion))
            fields.append((name, Raw | UnsetType, UNSET))
    made = msgspec.defstruct("Exact", needed + fields, omit_defaults=True)
    names = [name for name, _ in raw]
    nothing = UNSET if len(raw) == 1 else (UNSET,) * len(raw)
    raw_of = attrgetter(*names) if names else lambda _: ()
    return Shape(made, tuple(taken), tuple(raw), raw_of, nothing, tuple(parts))


def _filled(exact: Any) -> Any:
    is_text = isinstance(msgspec.inspect.type_info(exact), msgspec.inspect.StrType)
    return Annotated[exact, Meta(min_length=1)] if is_text else exact
