"""Limits of a workspace and of its inputs (spec/events-api.md, 4 and 14)."""

from typing import Annotated

from pydantic import AfterValidator, Field

from actors.model.workspaces import Limits
from config.fields import Model

_DEFAULTS = Limits()
Count = Annotated[int, Field(ge=1)]


def _check_acceleration(limit: int) -> int:
    if 0 < limit < 100:  # a full bulk request of 100 batches has to be able to pass
        raise ValueError("must be 0 (off) or at least 100")
    return limit


BatchesPerSecond = Annotated[int, Field(ge=0)]  # 0: off
Acceleration = Annotated[int, Field(ge=0), AfterValidator(_check_acceleration)]


class RateLimits(Model):
    """Speed, in batches/s, and its growth from one second to the next. 0 is off."""

    batches_per_second: BatchesPerSecond = 0
    acceleration: Acceleration = 0


class InputLimits(Model):
    """An input's own rate limits; `None` takes the workspace's value for inputs."""

    batches_per_second: BatchesPerSecond | None = None
    acceleration: Acceleration | None = None


class WorkspaceLimits(Model):
    """Rates and sizes. Lengths are in Unicode code points.

    `batches_per_second` and `acceleration` hold for each input that sets none of its own;
    `workspace`, `account`, `org` and `system` for all inputs below that level together.
    """

    batches_per_second: BatchesPerSecond = 270
    acceleration: Acceleration = 0
    workspace: RateLimits = RateLimits()
    account: RateLimits = RateLimits()
    org: RateLimits = RateLimits()
    system: RateLimits = RateLimits()
    profile_requests_per_second: Count = 15  # Profile API, per account
    # Platform API, per account; 0: off.
    platform_requests_per_minute: Annotated[int, Field(ge=0)] = 1000
    identity_requests_per_second: Annotated[int, Field(ge=0)] = 1000  # 0: off

    users: Count = 200  # of the account (spec/connections.md, 1)
    active_audiences: Count = 100  # real-time ones of the account, at once
    active_calculated_attributes: Count = 100  # of the account, at once
    data_plan_bytes: Count = 50 * 1024 * 1024  # of all active versions of the account
    standard_audience_credits: Count | None = None  # calculations per year

    event_name_length: Count = _DEFAULTS.event_name_length
    event_attributes: Count = _DEFAULTS.event_attributes
    event_attribute_name_length: Count = _DEFAULTS.event_attribute_name_length
    event_attribute_value_length: Count = _DEFAULTS.event_attribute_value_length
    user_attributes: Count = _DEFAULTS.user_attributes
    user_attribute_name_length: Count = _DEFAULTS.user_attribute_name_length
    user_attribute_value_length: Count = _DEFAULTS.user_attribute_value_length
    user_attribute_list_entries: Count = _DEFAULTS.user_attribute_list_entries
    user_attribute_entry_length: Count = _DEFAULTS.user_attribute_entry_length
    product_attributes: Count = _DEFAULTS.product_attributes
    unique_event_names: Count = _DEFAULTS.unique_event_names
    devices: Count = _DEFAULTS.devices
    real_time_bytes_per_user: Count = _DEFAULTS.real_time_bytes_per_user

    def sizes(self) -> Limits:
        """Return what the shards have to know of these limits."""
        return Limits(**{name: getattr(self, name) for name in Limits.__struct_fields__})
