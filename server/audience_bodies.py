"""Bodies of the audience API, read (spec/audiences.md, 2, 10, 12 to 14).

Every reader raises `actors.errors.AudienceRefused` with all that is wrong.
"""

from typing import Any, cast

from msgspec import Struct

from actors.audiences.fields import (
    AudienceFields,
)
from actors.audiences.objects import AudienceType, DateRange, Variation
from actors.audiences.variations import BUCKETS
from actors.errors import AudienceRefused
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.outputs.identity_types import types_of_members
from server.audience_members import BodyReader

MAX_NAME = 100
MAX_TAG = 18
MAX_TAGS = 10_000
MAX_PLACES = 10_000  # workspaces or inputs
MAX_LIST_CHANGE = 10_000
MAX_EVALUATED = 100
MAX_BULK = 1000
MAX_DOWNLOADED_TYPES, MAX_DOWNLOADED_VARIANTS = 100, 6
MAX_TYPE = 256  # characters of an identity type
TYPES = ("real_time", "standard", "static")
READ_BACK = (  # members of the object that may be sent back and change nothing
    "id",
    "status",
    "size",
    "is_estimate",
    "calculation_percent_complete",
    "pending_prediction",
    "added_last_24_hours",
    "dropped_last_24_hours",
    "volatility",
    "created_by",
    "created_on",
    "last_modified_by",
    "last_modified_on",
    "revision",
    "warnings",
    "shared",
    "calculated_on",
    "imported_definition",
    "journey_id",
    "milestone_id",
)


class Question(Struct, frozen=True, kw_only=True):
    """A definition to be asked about."""

    definition: Any
    workspaces: tuple[int, ...]
    inputs: tuple[int, ...]
    environment: Environment
    mpids: tuple[int, ...] = ()
    as_of: str | None = None


def read_audience(body: dict[str, Any], *, is_new: bool) -> AudienceFields:
    """Read an audience; what is computed may be sent back, as it was shown."""
    read = BodyReader(body)
    for name in READ_BACK:
        read.raw(name)
    fields: dict[str, Any] = {
        "name": read.text("name", MAX_NAME, required=is_new),
        "external_name": read.text("external_name", MAX_NAME),
        "type": read.word("type", TYPES),
        "environment": read.word("environment", ENVIRONMENTS),
        "workspaces": read.integers("workspaces", MAX_PLACES, least=1),
        "inputs": read.integers("inputs", MAX_PLACES),
        "tags": read.texts("tags", MAX_TAGS, MAX_TAG),
    }
    name = fields["name"]
    if name is not None and name != name.strip():
        read.fail("name", "must not begin or end with a space")
    given = {name: value for name, value in fields.items() if value is not None}
    if read.has("range"):
        given["range"] = read_range(read)
    if read.has("definition"):
        given["definition"] = body["definition"]
    read.finish()
    return AudienceFields(**given)


def read_range(read: BodyReader) -> DateRange | None:
    """Read the dates of a standard audience: `all`, or an object of `start` and `end`."""
    value = read.raw("range")
    if value is None:
        return None
    if value == "all":
        return DateRange()
    if not isinstance(value, dict):
        read.fail("range", "must be all, or an object with start and end")
        return None
    inner = BodyReader(value, "/range")
    start = inner.day("start")
    end = None if value.get("end") == "latest" else inner.day("end")
    if start is None and "start" not in value:
        inner.fail("start", "is missing")
    if "end" not in value:
        inner.fail("end", "is missing")
    if start is not None and end is not None and start > end:
        inner.fail("end", "must not be before start")
    inner.has("end")
    try:
        inner.finish()
    except AudienceRefused as error:
        read.problems += error.problems
    return DateRange(start, end)


def read_question(body: dict[str, Any], *, is_evaluation: bool = False) -> Question:
    """Read what is to be estimated or evaluated."""
    read = BodyReader(body)
    workspaces = read.integers("workspaces", MAX_PLACES)
    inputs = read.integers("inputs", MAX_PLACES)
    environment = read.word("environment", ENVIRONMENTS)
    definition = read.raw("definition")
    if definition is None:
        read.fail("definition", "is missing")
    mpids: tuple[int, ...] | None = None
    as_of: str | None = None
    if is_evaluation:
        mpids = read.integers("mpids", MAX_EVALUATED, least=1, required=True)
        as_of = read.text("as_of", 40)
    read.finish()
    return Question(
        definition=definition,
        workspaces=workspaces or (),
        inputs=inputs or (),
        environment=cast(Environment, environment or "production"),
        mpids=mpids or (),
        as_of=as_of,
    )


def read_definition(body: dict[str, Any]) -> Any:
    """Read a body that holds a definition alone."""
    read = BodyReader(body)
    definition = read.raw("definition")
    if definition is None:
        read.fail("definition", "is missing")
    read.finish()
    return definition


def read_numbers(body: dict[str, Any], name: str, most: int = MAX_BULK) -> tuple[int, ...]:
    """Read a body that holds a list of numbers alone."""
    read = BodyReader(body)
    numbers = read.integers(name, most, least=1, required=True)
    read.finish()
    return numbers or ()


def read_list_change(body: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Read MPIDs to be added to and removed from a list."""
    read = BodyReader(body)
    add = read.integers("add", MAX_LIST_CHANGE)
    remove = read.integers("remove", MAX_LIST_CHANGE)
    read.finish()
    return add or (), remove or ()


def read_test(body: dict[str, Any]) -> tuple[Variation, ...]:
    """Read the variations of an A/B test: names and percentages."""
    read = BodyReader(body)
    variations: list[Variation] = []
    entries = read.entries("variations", MAX_BULK, least=1, required=True)
    for index, each in enumerate(entries or ()):
        at = f"variations/{index}"
        if not isinstance(each, dict):
            read.fail(at, "must be an object")
            continue
        inner = BodyReader(each, f"/{at}")
        name = inner.text("name", MAX_NAME, required=True)
        if name is not None and name.casefold() == "control":
            inner.fail("name", "must not be Control, which is there by itself")
        if name is not None and name in (one.name for one in variations):
            inner.fail("name", "is that of another variation")
        share = _share(inner)
        try:
            inner.finish()
        except AudienceRefused as error:
            read.problems += error.problems
        variations.append(Variation(name or "", share))
    if sum(each.share for each in variations) > BUCKETS:
        read.fail("variations", "must not be more than 100 percent together")
    read.finish()
    return tuple(variations)


def _share(read: BodyReader) -> int:
    value = read.raw("percentage")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 100:
        share = round(value * 100)
        if abs(value * 100 - share) < 1e-6:  # what doubles make of hundredths
            return share
    read.fail("percentage", "must be a multiple of 0.01, above 0 and up to 100")
    return 0


def read_download(body: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Read the identity types and variations of a download."""
    read = BodyReader(body)
    names = read.texts("identity_types", MAX_DOWNLOADED_TYPES, MAX_TYPE, least=1, required=True)
    types: list[str] = []
    for index, name in enumerate(names or ()):
        try:
            types += types_of_members([name])
        except ValueError:
            read.fail(f"identity_types/{index}", "must be identity types")
    variations = read.texts("variants", MAX_DOWNLOADED_VARIANTS, MAX_NAME, least=1)
    read.finish()
    return tuple(types), variations


def audience_type(name: str) -> AudienceType | None:
    """Return a type by its name, `None` if there is none."""
    return cast(AudienceType, name) if name in TYPES else None
