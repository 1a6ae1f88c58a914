"""Bodies about connections, sharing and journeys, read (spec/audiences.md, 12 to 14).

Every reader raises `actors.errors.AudienceRefused` with all that is wrong.
"""

from typing import Any, cast

from actors.audiences.fields import JourneyFields, MilestoneFields, SubscriptionFields
from actors.audiences.objects import Level
from actors.errors import AudienceRefused
from server.audience_bodies import MAX_BULK, MAX_NAME, MAX_PLACES
from server.audience_members import BodyReader

LEVELS = ("private", "view_only", "usable")


def read_subscription(body: dict[str, Any], *, is_new: bool) -> SubscriptionFields:
    """Read a subscription."""
    read = BodyReader(body)
    for name in ("id", "audience_id", "is_faulted", "fault", "initial_load", "last_sent_on"):
        read.raw(name)
    fields = _subscription(read, "output_id", is_new=is_new)
    if read.has("variant"):
        is_text = body["variant"] is not None
        fields["variation"] = read.text("variant", MAX_NAME) if is_text else None
    read.finish()
    return SubscriptionFields(**fields)


def read_bulk(body: dict[str, Any], output: int) -> tuple[tuple[int, ...], SubscriptionFields]:
    """Read which audiences are to be connected to one output, and how."""
    read = BodyReader(body)
    audiences = read.integers("audience_ids", MAX_BULK, least=1, required=True)
    fields = _subscription(read, "", is_new=False)
    read.finish()
    return audiences or (), SubscriptionFields(**(fields | {"output": output}))


def _subscription(read: BodyReader, output: str, *, is_new: bool) -> dict[str, Any]:
    fields = {
        "output": read.integer(output, 1, required=is_new) if output else None,
        "is_active": read.boolean("is_active"),
        "settings": read.mapping("settings"),
        "shared_user_attributes": read.texts("shared_user_attributes", 1000, 256),
    }
    return {name: value for name, value in fields.items() if value is not None}


def read_sharing(body: dict[str, Any]) -> tuple[Level | None, dict[int, Level]]:
    """Read the levels of an audience."""
    read = BodyReader(body)
    default = read.word("default_level", LEVELS)
    levels: dict[int, Level] = {}
    for index, each in enumerate(read.entries("accounts", 1000) or ()):
        at = f"accounts/{index}"
        if not isinstance(each, dict):
            read.fail(at, "must be an object")
            continue
        inner = BodyReader(each, f"/{at}")
        account = inner.integer("account_id", 1, required=True)
        level = inner.word("level", LEVELS, required=True)
        try:
            inner.finish()
        except AudienceRefused as error:
            read.problems += error.problems
        levels[account or 0] = cast(Level, level)
    read.finish()
    return cast(Level | None, default), levels


def read_sharing_default(body: dict[str, Any]) -> Level:
    """Read the level of new audiences."""
    read = BodyReader(body)
    level = read.word("default_level", LEVELS, required=True)
    read.finish()
    return cast(Level, level)


def read_journey(body: dict[str, Any], *, is_new: bool) -> JourneyFields:
    """Read a journey, without its milestones."""
    read = BodyReader(body)
    fields: dict[str, Any] = {
        "name": read.text("name", MAX_NAME, required=is_new),
        "inputs": read.integers("inputs", MAX_PLACES),
    }
    read.finish()
    return JourneyFields(**{name: value for name, value in fields.items() if value is not None})


def read_milestone(body: dict[str, Any], *, is_new: bool) -> MilestoneFields:
    """Read a milestone."""
    read = BodyReader(body)
    for name in ("id", "audience_id"):
        read.raw(name)
    fields: dict[str, Any] = {
        "name": read.text("name", MAX_NAME, required=is_new),
        "position": read.integer("position", 0),
        "kind": read.word("kind", ("criteria", "remaining_users")),
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    if read.has("parent_id"):
        parent = body["parent_id"]
        fields["parent"] = None if parent is None else read.integer("parent_id", 1)
    if read.has("definition"):
        fields["definition"] = body["definition"]
    read.finish()
    return MilestoneFields(**fields)
