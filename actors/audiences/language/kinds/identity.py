"""`identity` (spec/audiences.md, 3.2)."""

from actors.audiences.criteria import IdentityCriterion
from actors.audiences.language.members import Members
from actors.audiences.language.scope import Scope
from actors.audiences.language.value_tests import read_fixed_test
from actors.batches.identities import PROFILE_NAMES

PARTNER_PREFIX = "partner:"

# Push tokens have one type per platform (spec/profiles.md, 2.3).
IDENTITY_TYPES = frozenset(
    {
        *PROFILE_NAMES.values(),
        *("apple_push_notification_token", "google_cloud_messaging_token", "unknown", "mpid"),
    }
)


def read_identity(members: Members, _: Scope) -> IdentityCriterion:
    """Read a test of the identities of one type."""
    name = members.text("identity_type")
    is_partner = name.startswith(PARTNER_PREFIX) and name != PARTNER_PREFIX
    if name and not is_partner and name not in IDENTITY_TYPES:
        listed = ", ".join(sorted(IDENTITY_TYPES))
        members.fail("identity_type", f"must be {PARTNER_PREFIX}<name> or one of {listed}.")
    return IdentityCriterion(name, read_fixed_test(members, "string"))
