"""What the configuration says of a workspace's data subject requests."""

from msgspec import Struct

from actors.privacy.forwards import DsrOutput
from actors.privacy.schedule import Schedule


class PrivacyOptions(Struct, frozen=True, kw_only=True):
    """How requests are dealt with.

    Attributes:
        outputs: the active ones of kind `dsr`.
        forwarders: ids of all outputs that are sent things.
        profiles_for: regulations by which people get their profiles, too.
    """

    schedule: Schedule = Schedule()
    outputs: tuple[DsrOutput, ...] = ()
    forwarders: tuple[str, ...] = ()
    profiles_for: frozenset[str] = frozenset()
