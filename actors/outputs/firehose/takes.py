"""What the pipeline can leave out already, where the document itself has the registration.

Source: spec/connections.md, 2, steps 3, 11, 12 and 14.
"""

from collections.abc import Mapping

from actors.outputs.firehose.settings import FirehoseSettings
from actors.outputs.firehose.words import USER_IDENTITIES, RuntimeType
from actors.pipeline.settings import Takes

_INPUTS: Mapping[RuntimeType, str] = {  # to the `os` of inputs
    "unknown": "Unknown",
    "android": "Android",
    "ios": "iOS",
    "tvos": "tvOS",
    "mobileweb": "MobileWeb",
    "roku": "Roku",
    "xbox": "Xbox",
    "firetv": "FireTV",
    "alexa": "Alexa",
    "smarttv": "SmartTV",
}
# Of which events, or parts of commerce events, each type of the protocol is made.
_SOURCES: Mapping[str, tuple[str, ...]] = {
    "error": ("crash_report",),
    "privacy_setting_change": ("opt_out",),
    "push_subscription": ("push_registration",),
    "push_message_receipt": ("push_message",),
    "push_message_open": ("push_message",),
    "impression": ("product_impressions",),
    "attribution": ("custom_event",),
}
_PROFILE_NAMES: dict[str, str] = {word: name for name, word in USER_IDENTITIES.items()}


def takes(settings: FirehoseSettings) -> Takes:
    """Return what the module of an output takes, as far as the document tells."""
    registration = settings.registration
    wanted = None if registration is None else registration.event_processing_registration
    if registration is None or wanted is None:
        return Takes()
    kinds = wanted.supported_runtime_environments
    permissions = registration.permissions
    required: list[str] = [each.type for each in permissions.user_identities if each.required]
    required += [each.type for each in permissions.device_identities if each.required]
    # A partner identity that may do instead is known to the forwarder alone.
    has_partner = any(each.required for each in permissions.partner_identities)
    return Takes(
        platforms=frozenset(_INPUTS[each] for each in kinds) if kinds else None,
        event_types=frozenset(
            source
            for each in wanted.supported_event_types
            for source in _SOURCES.get(each, (each,))
        ),
        max_data_age_hours=wanted.max_data_age_hours if wanted.max_data_age_hours >= 0 else None,
        required_identities=frozenset()
        if has_partner
        else frozenset(_PROFILE_NAMES.get(each, each) for each in required),
    )
