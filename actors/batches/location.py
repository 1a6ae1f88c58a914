"""Locations (spec/events-api.md, 12.2)."""

from typing import Any

from actors.batches.coerce import to_integer, to_number, to_string
from actors.batches.reading import Coerce, Fields, Reading, as_object, read_fields

_FIELDS: dict[str, Coerce] = {
    "latitude": to_number,
    "longitude": to_number,
    "accuracy": to_number,
    "country_code": to_string,
    "region_code": to_string,
    "city_name": to_string,
    "postal_code": to_string,
    "dma_code": to_integer,
    "location_source": to_string,
}
_OF_COORDINATES = frozenset({"accuracy", "location_source"})  # without them these say nothing


def to_location(value: Any, reading: Reading) -> Fields | None:
    """Coerce a location; coordinates off the globe are left out, one that is nowhere is absent."""
    location = read_fields(as_object(value), _FIELDS, reading)
    if abs(location.get("latitude", 0)) > 90 or abs(location.get("longitude", 0)) > 180:
        location.pop("latitude", None)
        location.pop("longitude", None)
        reading.drops.append("location_invalid")
        if location.keys() <= _OF_COORDINATES:
            return None
    return location or None
