"""The identity strategies by name. A new strategy is one file and one line here."""

from typing import ClassVar, Protocol

from actors.identity.matching import Request
from actors.identity.profile_conversion import ProfileConversion
from actors.identity.state import IdentityRules, IdentityState


class Strategy(Protocol):
    """How a request becomes an MPID: a pure function of what is known.

    `identify` changes `state` (links, new records) and returns the MPID. It raises `Missing` when
    it needs an entry or a record that was not read; it is then called again on a fresh fork of
    a state that has it. `new_mpid` is used if a record has to be created at `now_ms`.
    """

    names: ClassVar[tuple[str, ...]]

    def identify(
        self,
        state: IdentityState,
        request: Request,
        rules: IdentityRules,
        new_mpid: int,
        now_ms: int,
    ) -> int:
        """Find or create the record of an identify call, or of a batch."""
        ...


STRATEGIES: dict[str, Strategy] = {
    name: strategy for strategy in (ProfileConversion(),) for name in strategy.names
}
