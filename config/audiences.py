"""The `audiences` section (spec/connections.md, 10; spec/audiences.md, 2 and 3)."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from config.fields import EnvironmentName, Items, Model, Name, Number, Slug, matching

MAX_NAME = 100


def plain(value: Any) -> Any:
    """Return what YAML was read as, its dates as the texts that they were written as."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def _day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError("must be a date such as 2026-03-10")


def _instant(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time such as 2026-03-10T13:00:00Z") from None
    return text


Day = Annotated[str, BeforeValidator(plain), AfterValidator(_day)]
Instant = Annotated[str, BeforeValidator(plain), AfterValidator(_instant)]
Json = Annotated[dict[str, Any], BeforeValidator(plain)]
Tag = Annotated[str, Field(min_length=1, max_length=18)]
# Of an audience over several workspaces, `other-workspace/input` is an input of another one.
InputName = Annotated[
    str,
    AfterValidator(
        matching(
            r"([a-z0-9][a-z0-9_-]{0,63}/)?[a-z0-9][a-z0-9_-]{0,63}",
            "must be the id of an input, or of a workspace and its input: 'shop/web'",
        )
    ),
]
AudienceName = Annotated[Name, Field(max_length=MAX_NAME)]


class Subscription(Model):
    """An output that an audience is connected to."""

    output: Slug
    active: bool = True
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)
    shared_user_attributes: Items[Annotated[str, Field(min_length=1)]] = ()


class Range(Model):
    """UTC dates of a standard audience, both included; `end: latest` has no end."""

    start: Day
    end: Literal["latest"] | Day


class TestEvent(Model):
    """An event of a test: as in a batch, and `at` for its time."""

    event_type: str
    at: Instant | None = None
    input: InputName | None = None
    data: Json = Field(default_factory=dict)


class KnownUser(Model):
    """What a workspace knows of a test's user: all as in a batch of the Events API."""

    attributes: Json = Field(default_factory=dict)
    identities: Json = Field(default_factory=dict)
    consent: Json = Field(default_factory=dict)
    device: Json = Field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """Whether anything is said."""
        return bool(self.attributes or self.identities or self.consent or self.device)


class AudienceTest(KnownUser):
    """A user, and whether the definition has to match them; run by `headwater config validate`.

    Attributes:
        now: the instant of evaluation; without one, the time of the last event.
        workspaces: what other workspaces of the audience know of the user, by their ids; what is
            said beside it is known to that of the document.
    """

    name: Name
    expect: Literal["member", "not_member"]
    now: Instant | None = None
    workspaces: dict[Slug, KnownUser] = Field(default_factory=dict)
    events: Items[TestEvent] = ()


class Audience(Model):
    """One audience.

    Attributes:
        workspaces: ids, that of the document among them; none: that one alone.
        definition: of the criteria language; workspaces, inputs and audiences in it may be named by
            their ids in the documents.
    """

    id: Slug
    name: AudienceName
    external_name: AudienceName | None = None
    number: Number | None = None
    type: Literal["real_time", "standard", "static"] = "real_time"
    environment: EnvironmentName = "production"
    active: bool = True
    workspaces: Items[Slug] = ()
    inputs: Items[InputName] = ()
    tags: Items[Tag] = ()
    definition: Json | None = None
    range: Range | None = None
    subscriptions: Items[Subscription] = ()
    tests: Items[AudienceTest] = ()

    @property
    def is_joint(self) -> bool:
        """Whether it is over several workspaces."""
        return len(self.workspaces) > 1
