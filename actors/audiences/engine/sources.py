"""Where the values that user-based criteria test come from (spec/audiences.md, 3.2)."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from actors.audiences.values import MISSING, StoredValue
from actors.batches.coerce import text_of
from actors.groups.definitions import attribute_name
from actors.model.batches import AttributeText
from actors.model.profiles import Device, Profile, ProfileKey, Section
from actors.profiles.device_view import listed_identities

_PLACES = {  # the location's member that a criterion's field names
    "country": "country_code",
    "state": "region_code",
    "city": "city_name",
    "zip": "postal_code",
    "dma": "dma_code",
}
_OF_DEVICE = frozenset({"first_seen_ms", "last_seen_ms", "push_token", "push_registered"})
_PARTNER = "partner:"


class Derived(Struct, frozen=True):
    """What others have made of a user.

    Attributes:
        calculated: values of calculated attributes by number, without those that are null.
        predictions: (prediction, output) to value.
        segments: analytics segments that the user is in.
        audiences: static and standard audiences that the user is in.
        names: of calculated attributes to their numbers; one that has a value hides the user
            attribute of its name.
        regulations: those that are enabled; consent by others is not seen.
        workspaces: for an evaluation over several, what others have made in each of them.
        groups: of such a part, number to id of the group definitions.
    """

    calculated: Mapping[int, AttributeText] = {}
    predictions: Mapping[tuple[int, str], float] = {}
    segments: frozenset[int] = frozenset()
    audiences: frozenset[int] = frozenset()
    names: Mapping[str, int] = {}
    regulations: frozenset[str] = frozenset({"gdpr", "ccpa"})
    workspaces: Mapping[int, "Derived"] = {}
    groups: Mapping[int, str] = {}


NO_DERIVED = Derived()


class Subject(Struct, frozen=True, eq=False):
    """One user as sources read it; `groups`: number to id of the group definitions."""

    key: ProfileKey
    profile: Profile
    section: Section
    derived: Derived
    groups: Mapping[int, str]


class AttributeSource(Struct, frozen=True):
    """A user attribute, also one of a group."""

    name: str

    def read(self, subject: Subject) -> StoredValue:
        """Return the value; a calculated or a group's attribute hides a user's own of its name."""
        derived = subject.derived
        if self.name in derived.names:
            calculated = derived.calculated.get(derived.names[self.name])
            if calculated is not None:
                return calculated
        for number, membership in subject.section.groups.items():
            definition = subject.groups.get(number)
            if definition is not None:
                for attribute, value in membership.attributes.items():
                    if attribute_name(definition, attribute) == self.name:
                        return value
        found = subject.section.user_attributes.get(self.name)
        return MISSING if found is None else found.value


class CalculatedSource(Struct, frozen=True):
    """A calculated attribute, by its number."""

    number: int

    def read(self, subject: Subject) -> StoredValue:
        """Return the present value."""
        value = subject.derived.calculated.get(self.number)
        return MISSING if value is None else value


class NamedCalculatedSource(Struct, frozen=True):
    """A calculated attribute, by its name: it has another number in each workspace."""

    name: str

    def read(self, subject: Subject) -> StoredValue:
        """Return the present value."""
        derived = subject.derived
        value = derived.calculated.get(derived.names.get(self.name, 0))
        return MISSING if value is None else value


class PredictionSource(Struct, frozen=True):
    """What a prediction gave the user."""

    prediction: int
    output: str

    def read(self, subject: Subject) -> StoredValue:
        """Return the number as text that parses as the same number."""
        value = subject.derived.predictions.get((self.prediction, self.output))
        return MISSING if value is None else repr(value)


class DeviceSource(Struct, frozen=True):
    """A field of all devices, or of the one that was seen last."""

    field: str
    is_latest: bool

    def read(self, subject: Subject) -> StoredValue:
        """Return the values of the devices that have one."""
        devices: Iterable[Device] = subject.section.devices.values()
        if self.is_latest and subject.section.devices:
            devices = [max(devices, key=lambda device: device.last_seen_ms)]
        return _several(self._of(device) for device in devices)

    def _of(self, device: Device) -> Any:
        if self.field in _OF_DEVICE:
            return getattr(device, self.field)
        return device.fields.get(self.field)


class IdentitySource(Struct, frozen=True):
    """The values of one identity type, of the user and of all devices."""

    type: str

    def read(self, subject: Subject) -> StoredValue:
        """Return all values."""
        if self.type == "mpid":
            return str(subject.key.mpid)
        profile = subject.profile
        if self.type.startswith(_PARTNER):
            return _several([profile.partner_identities.get(self.type.removeprefix(_PARTNER))])
        shown = profile.user_identities.get(self.type)
        devices = list(subject.section.devices.values())
        return _several(
            [
                None if shown is None else shown.value,
                *(one["value"] for one in listed_identities(devices) if one["type"] == self.type),
            ]
        )


class AttributionSource(Struct, frozen=True):
    """A field of the stored installs or uninstalls."""

    event: str
    field: str

    def read(self, subject: Subject) -> StoredValue:
        """Return the values of the records that have one."""
        records = (one for one in subject.section.attribution if one.event == self.event)
        return _several(getattr(one, self.field) for one in records)


class ConsentSource(Struct, frozen=True):
    """What a purpose's record says: its state as `true` or `false`, or one of its fields."""

    regulation: str
    purpose: str
    field: Literal["consented", "document", "location", "hardware_id", "timestamp_ms"]

    def read(self, subject: Subject) -> StoredValue:
        """Return the value; `MISSING` without a record that is to be seen."""
        if self.regulation not in subject.derived.regulations:
            return MISSING
        record = subject.section.consent_state.get(self.regulation, {}).get(self.purpose)
        return MISSING if record is None else _text(getattr(record, self.field))


class PlaceSource(Struct, frozen=True):
    """A field of the section's location, by the name that criteria use."""

    field: str

    def read(self, subject: Subject) -> StoredValue:
        """Return the value."""
        return _text((subject.section.location or {}).get(_PLACES[self.field]))


class CoordinateSource(Struct, frozen=True):
    """Latitude or longitude of the section's location, in degrees."""

    field: Literal["latitude", "longitude"]

    def read(self, subject: Subject) -> StoredValue:
        """Return the number as text that parses as the same number."""
        value = (subject.section.location or {}).get(self.field)
        return MISSING if value is None else repr(float(value))


class FlagSource(Struct, frozen=True):
    """A flag of the profile."""

    name: str

    def read(self, subject: Subject) -> StoredValue:
        """Return `true` or `false`."""
        profile = subject.profile
        return _text(profile.is_opted_out if self.name == "opt_out" else profile.limit_ad_tracking)


class SeenSource(Struct, frozen=True):
    """When the user was first or last seen in the workspace, in ms."""

    which: str

    def read(self, subject: Subject) -> StoredValue:
        """Return the instant."""
        section = subject.section
        is_first = self.which == "first_seen"
        return str(section.first_seen_ms if is_first else section.last_seen_ms)


class SegmentSource(Struct, frozen=True):
    """Whether the user is in an analytics segment."""

    segment: int

    def read(self, subject: Subject) -> StoredValue:
        """Return `true`, or nothing."""
        return "true" if self.segment in subject.derived.segments else MISSING


class ListedSource(Struct, frozen=True):
    """Whether the user is in an audience that has no criteria of its own here."""

    audience: int

    def read(self, subject: Subject) -> StoredValue:
        """Return `true`, or nothing."""
        return "true" if self.audience in subject.derived.audiences else MISSING


class LiveSource(Struct, frozen=True):
    """Whether the user has a live section of a workspace, by its number."""

    workspace: int

    def read(self, subject: Subject) -> StoredValue:
        """Return `true`, or nothing."""
        section = subject.profile.workspaces.get(self.workspace)
        return MISSING if section is None or section.is_aged_out else "true"


class SectionSource(Struct, frozen=True):
    """A source, read in a user's section of one workspace, by its number."""

    workspace: int
    source: "Source"

    def read(self, subject: Subject) -> StoredValue:
        """Return what the source gives there; nothing without a live section."""
        section = subject.profile.workspaces.get(self.workspace)
        if section is None or section.is_aged_out:
            return MISSING
        derived = subject.derived.workspaces.get(self.workspace, NO_DERIVED)
        return self.source.read(
            Subject(subject.key, subject.profile, section, derived, derived.groups)
        )


Source = (
    AttributeSource
    | CalculatedSource
    | NamedCalculatedSource
    | PredictionSource
    | DeviceSource
    | IdentitySource
    | AttributionSource
    | ConsentSource
    | PlaceSource
    | CoordinateSource
    | FlagSource
    | SeenSource
    | SegmentSource
    | ListedSource
    | LiveSource
    | SectionSource
)


def _text(value: Any) -> StoredValue:
    if value is None:
        return MISSING
    return value if isinstance(value, str) else text_of(value)


def _several(values: Iterable[Any]) -> StoredValue:
    found = [
        value if isinstance(value, str) else text_of(value) for value in values if value is not None
    ]
    return found or MISSING
