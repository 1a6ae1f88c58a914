"""Bodies about connections and journeys, read (spec/audiences.md, 12 to 14).

Every reader raises `actors.errors.AudienceRefused` with all that is wrong.
"""

from collections.abc import Mapping
from typing import Any

from actors.audiences.fields import JourneyFields, MilestoneFields, SubscriptionFields
from server.audience_bodies import MAX_BULK, MAX_NAME, MAX_PLACES
from server.audience_members import BodyReader

MAX_SHARED, MAX_ATTRIBUTE = 1000, 256
KINDS = ("criteria", "remaining_users")
# Members that may be sent back, as an object is shown, and change nothing.
SUBSCRIPTION_READ_BACK = (
    "id",
    "audience_id",
    "is_faulted",
    "fault",
    "initial_load",
    "last_sent_on",
)
MILESTONE_READ_BACK = ("id", "audience_id")


def read_subscription(body: dict[str, Any], *, is_new: bool) -> SubscriptionFields:
    """Read a subscription."""
    read = BodyReader(body)
    for name in SUBSCRIPTION_READ_BACK:
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
        "shared_user_attributes": read.texts("shared_user_attributes", MAX_SHARED, MAX_ATTRIBUTE),
    }
    return {name: value for name, value in fields.items() if value is not None}


def read_journey(body: dict[str, Any], shown: Mapping[str, Any] | None = None) -> JourneyFields:
    """Read a journey, without its milestones.

    `shown`: the one that is changed, as it is shown; `None` for a new one.
    """
    read = BodyReader(body)
    if shown is not None:
        read.read_only(shown, shown.keys() - {"name", "inputs"})
    fields: dict[str, Any] = {
        "name": read.text("name", MAX_NAME, required=shown is None),
        "inputs": read.integers("inputs", MAX_PLACES),
    }
    read.finish()
    return JourneyFields(**{name: value for name, value in fields.items() if value is not None})


def read_milestone(body: dict[str, Any], *, is_new: bool) -> MilestoneFields:
    """Read a milestone."""
    read = BodyReader(body)
    for name in MILESTONE_READ_BACK:
        read.raw(name)
    fields: dict[str, Any] = {
        "name": read.text("name", MAX_NAME, required=is_new),
        "position": read.integer("position", 0),
        "kind": read.word("kind", KINDS),
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    if read.has("parent_id"):
        parent = body["parent_id"]
        fields["parent"] = None if parent is None else read.integer("parent_id", 1)
    if read.has("definition"):
        fields["definition"] = body["definition"]
    read.finish()
    return MilestoneFields(**fields)
