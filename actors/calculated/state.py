"""What a profile keeps of calculated attributes."""

from msgspec import Struct

Value = str | list[str] | None  # as it is shown; `None`: there is none


class Seed(Struct, frozen=True, array_like=True):
    """Historic values that a calculated attribute goes on from (spec/calculated-attributes.md, 8).

    Only what the function takes is set. A seed is for the attribute as it was named and calculated
    then.

    Attributes:
        cutoff_ms: 00:00 UTC of the cut-off date.
        number: of `count`, `sum`, `min`, `max`, of timestamps in ms, and the sum of an average.
        text: of `first_occurrence`, `last_occurrence`.
        texts: of `unique_list`, `unique_values_count`.
        counts: of `most_frequent`.
        count: of an average.
    """

    name: str
    function: str
    cutoff_ms: int
    number: float = 0.0
    text: str = ""
    texts: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    count: int = 0


class CalculatedState(Struct, array_like=True, dict=True):
    """One calculated attribute of one user.

    What is found out of `data` again is not kept on disk: `__dict__` is for whoever calculates.

    Attributes:
        revision: of the definition that `value` and `data` are of; 0: nothing was calculated yet,
            there is only a seed.
        value: as it is shown, with the seed.
        expiry_ms: instant from which `value` is another one without new events, 0 if never.
        data: what new events are added to, in the form of `actors.calculated.calculator`.
        seed: in force.
        texts: what codes in `data` stand for.
        next_seed: of a draft beside the definition in force: it has effect at activation.
    """

    revision: int = 0
    value: Value = None
    expiry_ms: int = 0
    data: bytes = b""
    seed: Seed | None = None
    texts: list[str] = []
    next_seed: Seed | None = None
