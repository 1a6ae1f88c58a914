"""Where a user was last (spec/profiles.md, 3.5)."""

from actors.model.batches import Batch
from actors.model.profiles import Section
from actors.profiles.lateness import AsOf


def update_location(section: Section, batch: Batch, as_of: AsOf) -> None:
    """Replace the section's location, as a whole, by the batch's if it has one."""
    if batch.location is None:
        return
    if section.location is None or as_of.replaces(section.location_updated_ms):
        section.location = batch.location
        section.location_updated_ms = as_of.ms
