"""What a definition may refer to, as the caller knows it when it is checked."""

from msgspec import Struct, field


class AudienceReference(Struct, frozen=True):
    """An audience that others may ask about.

    Attributes:
        reads_membership: its own definition has an `audience_membership` criterion.
        is_active: real-time and active, static, or standard and `ready` or `expired`.
        is_elsewhere: it is over several workspaces, and the one that asks is not.
    """

    reads_membership: bool = False
    is_active: bool = True
    is_elsewhere: bool = False


class CalculatedAttributeReference(Struct, frozen=True):
    """A calculated attribute; active also while it still calculates."""

    number: int
    name: str
    is_active: bool = True


class References(Struct, frozen=True):
    """All that the rules about other state look at (spec/audiences.md, 3, 8 and 15).

    Attributes:
        workspaces: numbers of the audience's workspaces.
        inputs: numbers of the audience's inputs; empty for all, also future ones.
        known_inputs: numbers of all inputs of those workspaces.
        calculated_attributes: those of the workspaces.
        audiences: number to what is to be known; the audience itself may be among them.
        audience: number of the audience whose definition is checked, `None` of one to be made.
        is_referenced: other audiences ask about this one.
        segments: ids of analytics segments. predictions: ids of predictions.
        tiers: name of an event's data point to tier, `default_tier` of all others.
        visible_tiers: tiers whose events this audience sees.
        lookback_ms: how far back it sees events, `None` without limit.
        now_ms: when the definition is checked.
        is_activation: what it refers to has to be active too.
        is_kept: it was taken before, perhaps when more was; limits of later are none to it.
    """

    workspaces: frozenset[int]
    now_ms: int
    inputs: tuple[int, ...] = ()
    known_inputs: frozenset[int] = frozenset()
    calculated_attributes: tuple[CalculatedAttributeReference, ...] = ()
    audiences: dict[int, AudienceReference] = field(default_factory=dict)
    audience: int | None = None
    is_referenced: bool = False
    segments: frozenset[int] = frozenset()
    predictions: frozenset[int] = frozenset()
    tiers: dict[str, str] = field(default_factory=dict)
    default_tier: str = "personalize"
    visible_tiers: frozenset[str] = frozenset({"personalize"})
    lookback_ms: int | None = None
    is_activation: bool = False
    is_kept: bool = False
