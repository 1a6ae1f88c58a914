"""Bodies about audiences, their connections and journeys (spec/audiences.md, 12 to 14)."""

from collections.abc import Mapping

from actors.audiences.abtests import MAX_VARIATIONS
from actors.audiences.sharing import LEVELS
from server.audience_bodies import (
    MAX_BULK,
    MAX_DOWNLOADED_TYPES,
    MAX_DOWNLOADED_VARIANTS,
    MAX_NAME,
    MAX_PLACES,
    MAX_TAG,
    MAX_TAGS,
    MAX_TYPE,
    READ_BACK,
    TYPES,
)
from server.audience_connection_bodies import (
    KINDS,
    MAX_ATTRIBUTE,
    MAX_SHARED,
    MILESTONE_READ_BACK,
    SUBSCRIPTION_READ_BACK,
)
from server.audience_sharing_bodies import (
    MAX_ACCOUNTS,
    MAX_DETAILS,
    MAX_PLATFORM,
    MAX_PLATFORMS,
    MAX_TYPES,
    OWNER,
)
from server.openapi.shapes import (
    ANYTHING,
    DAY,
    ENVIRONMENT,
    FLAG,
    INT64,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    closed,
    many,
    map_of,
    nullable,
    object_of,
    ref,
    shown,
    text,
    whole,
)

_NAME = text(MAX_NAME)
_PLACES = many(NUMBER, maxItems=MAX_PLACES)
_NUMBERS = many(NUMBER, minItems=1, maxItems=MAX_BULK)
_LEVEL: Schema = {"enum": list(LEVELS)}
_CONNECTED: Mapping[str, Schema] = {
    "is_active": FLAG,
    "settings": map_of(ANYTHING),
    "shared_user_attributes": many(text(MAX_ATTRIBUTE), maxItems=MAX_SHARED),
}
_SUBSCRIPTION: Mapping[str, Schema] = {
    **_CONNECTED,
    "output_id": whole(1),
    "variant": nullable(_NAME),
    **shown(*SUBSCRIPTION_READ_BACK),
}
_MILESTONE: Mapping[str, Schema] = {
    "name": _NAME,
    "parent_id": nullable(whole(1)),
    "position": whole(0),
    "kind": {"enum": list(KINDS)},
    "definition": nullable(ref("Criteria")),
    **shown(*MILESTONE_READ_BACK),
}
_JOURNEY: Mapping[str, Schema] = {"name": _NAME, "inputs": _PLACES}

BODIES: Mapping[str, Schema] = {
    "Criteria": map_of(ANYTHING),
    "Audience": closed(
        name=_NAME,
        external_name=_NAME,
        type={"enum": list(TYPES)},
        environment=ENVIRONMENT,
        workspaces=many(NUMBER, minItems=1, maxItems=MAX_PLACES),
        inputs=_PLACES,
        tags=many(text(MAX_TAG), maxItems=MAX_TAGS),
        range={
            "anyOf": [
                {"enum": ["all", None]},
                closed(["start", "end"], start=DAY, end={"anyOf": [DAY, {"const": "latest"}]}),
            ]
        },
        definition=nullable(ref("Criteria")),
        **shown(*READ_BACK),
    ),
    "Definition": object_of(["definition"], definition=ref("Criteria")),
    "Question": object_of(
        ["definition"],
        definition=ref("Criteria"),
        environment=ENVIRONMENT,
        workspaces=many(WHOLE),
        inputs=many(WHOLE),
        mpids=many(INT64),
        as_of=TEXT,
    ),
    "MemberChange": object_of(add=many(INT64), remove=many(INT64)),
    "AudienceNumbers": closed(["audience_ids"], audience_ids=_NUMBERS),
    "SubscriptionNumbers": closed(["subscription_ids"], subscription_ids=_NUMBERS),
    "TestVariations": closed(
        ["variations"],
        variations=many(
            closed(
                ["name", "percentage"],
                name=_NAME,
                # Of hundredths, which doubles are no multiples of.
                percentage={"type": "number", "exclusiveMinimum": 0, "maximum": 100},
            ),
            minItems=1,
            maxItems=MAX_VARIATIONS,
        ),
    ),
    "DownloadOrder": closed(
        ["identity_types"],
        identity_types=many(text(MAX_TYPE), minItems=1, maxItems=MAX_DOWNLOADED_TYPES),
        variants=many(_NAME, minItems=1, maxItems=MAX_DOWNLOADED_VARIANTS),
    ),
    "NewSubscription": closed(["output_id"], **_SUBSCRIPTION),
    "ChangedSubscription": closed(**_SUBSCRIPTION),
    "BulkConnection": closed(["audience_ids"], audience_ids=_NUMBERS, **_CONNECTED),
    "Sharing": closed(
        default_level=_LEVEL,
        accounts=many(
            closed(
                ["account_id", "level"],
                account_id=whole(1),
                level={"enum": [*LEVELS, OWNER]},
            ),
            maxItems=MAX_ACCOUNTS,
        ),
        **shown("requests"),
    ),
    "AccessRequest": closed(
        ["level"],
        level=_LEVEL,
        start=DAY,
        end=DAY,
        details=text(MAX_DETAILS, 0),
        platforms=many(text(MAX_PLATFORM), maxItems=MAX_PLATFORMS),
    ),
    "SharingDefault": closed(
        default_level=_LEVEL,
        withheld_identities=many(
            closed(
                ["account_id", "identity_types"],
                account_id=whole(1),
                identity_types=many(text(MAX_TYPE), maxItems=MAX_TYPES),
            ),
            maxItems=MAX_ACCOUNTS,
        ),
    ),
    "NewJourney": closed(["name"], **_JOURNEY),
    "ChangedJourney": closed(
        **_JOURNEY,
        **shown("id", "milestones", "created_by", "created_on"),
        **shown("last_modified_by", "last_modified_on"),
    ),
    "NewMilestone": closed(["name"], **_MILESTONE),
    "ChangedMilestone": closed(**_MILESTONE),
}
