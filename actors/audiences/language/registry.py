"""All kinds of criteria: one entry each (spec/audiences.md, 3.1 and 3.2)."""

from collections.abc import Callable

from actors.audiences.criteria import Criterion
from actors.audiences.language.kinds.attribution import read_attribution
from actors.audiences.language.kinds.calculated_attribute import read_calculated_attribute
from actors.audiences.language.kinds.cart_abandonment import read_cart_abandonment
from actors.audiences.language.kinds.consent import read_consent
from actors.audiences.language.kinds.device import read_device
from actors.audiences.language.kinds.event import read_event
from actors.audiences.language.kinds.flag import read_limit_ad_tracking, read_opt_out
from actors.audiences.language.kinds.identity import read_identity
from actors.audiences.language.kinds.location import read_location
from actors.audiences.language.kinds.membership import (
    read_audience_membership,
    read_segment_membership,
)
from actors.audiences.language.kinds.prediction import read_prediction
from actors.audiences.language.kinds.seen import read_first_seen, read_last_seen
from actors.audiences.language.kinds.sequence import read_sequence
from actors.audiences.language.kinds.user_attribute import (
    read_user_attribute,
    read_user_attribute_list,
)
from actors.audiences.language.members import Members
from actors.audiences.language.scope import Scope

ReadKind = Callable[[Members, Scope], Criterion]

KINDS: dict[str, ReadKind] = {
    "event": read_event,
    "cart_abandonment": read_cart_abandonment,
    "sequence": read_sequence,
    "user_attribute": read_user_attribute,
    "user_attribute_list": read_user_attribute_list,
    "calculated_attribute": read_calculated_attribute,
    "audience_membership": read_audience_membership,
    "segment_membership": read_segment_membership,
    "consent": read_consent,
    "device": read_device,
    "first_seen": read_first_seen,
    "last_seen": read_last_seen,
    "location": read_location,
    "identity": read_identity,
    "attribution": read_attribution,
    "opt_out": read_opt_out,
    "limit_ad_tracking": read_limit_ad_tracking,
    "prediction": read_prediction,
}
