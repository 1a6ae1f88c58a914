"""Profile conversion: a first login makes the anonymous record of the device the user's own."""

from typing import ClassVar

from actors.identity.matching import Request, attach, pick, pools
from actors.identity.state import IdentityRules, IdentityState


class ProfileConversion:
    """spec/identity.md, 7.4, first column. The default strategy differs in its settings only."""

    names: ClassVar[tuple[str, ...]] = ("default", "profile_conversion")

    def identify(
        self,
        state: IdentityState,
        request: Request,
        rules: IdentityRules,
        new_mpid: int,
        now_ms: int,
    ) -> int:
        """Find or create the record of a request (see `registry.Strategy`)."""
        known, anonymous = pools(state, request, rules)
        if known or anonymous:
            mpid = pick(state, request, known or anonymous)
        else:
            state.create(new_mpid, now_ms)
            mpid = new_mpid
        attach(state, mpid, request, rules)
        return mpid
