"""Whether a history of calls could have come from doing them one after the other, and which way.

The reference does each call on all that there is, by the pure functions that the tables of
spec/identity.md are checked against; it knows no shards, no time and no failures. A history is
allowed if its calls can be put in an order in which each lies between its beginning and its end,
every answer is that of the reference, and the end is what is on disk. A call without an answer may
be anywhere after its beginning, or nowhere.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from actors.identity.calls import IdentityAnswer
from actors.identity.decisions import Decision
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityState, Missing
from actors.model.profiles import Profile
from tests.actors.identity.simulation import SCOPE, SimulatedWorld
from tests.actors.profiles.builders import NOW

Dump = tuple[Any, ...]


class NotSequential(AssertionError):
    """No order of the calls explains a history."""


@dataclass
class Call:
    """One call of a history.

    Attributes:
        decision: what was asked for; `text` describes it.
        began, ended: places in the history; `ended` is `None` if it was not answered.
        answer: what was answered.
        is_reading: whether it never changes anything.
    """

    text: str
    decision: Decision[Any]
    began: int
    is_reading: bool = False
    ended: int | None = None
    answer: Any = None

    def __str__(self) -> str:
        return f"{self.began}..{self.ended} {self.text} -> {self.answer}"


@dataclass
class History:
    """Calls as their callers saw them."""

    calls: list[Call] = field(default_factory=list)
    _places: int = 0

    def begin(self, text: str, decision: Decision[Any], *, is_reading: bool = False) -> Call:
        """Note a call that is about to be sent."""
        self._places += 1
        call = Call(text, decision, self._places, is_reading)
        self.calls.append(call)
        return call

    def end(self, call: Call, answer: Any) -> None:
        """Note an answer."""
        self._places += 1
        call.ended, call.answer = self._places, answer

    def refuse(self, call: Call) -> None:
        """Note that a call was refused, so that it has no effects."""
        self.calls.remove(call)

    def __str__(self) -> str:
        return "\n".join(map(str, self.calls))


class Reference:
    """Everything that there is, after some calls; never changed, only continued.

    Attributes:
        minted: all MPIDs that were ever given out, also those of erased records: "never reused"
            (spec/identity.md, 1).
    """

    def __init__(
        self,
        state: IdentityState,
        retries: dict[bytes, IdentityAnswer],
        minted: frozenset[int] = frozenset(),
    ) -> None:
        self.minted = minted
        self._state = state
        self._retries = retries

    @classmethod
    def empty(cls) -> "Reference":
        """Return the beginning."""
        return cls(_Everything(SCOPE, "production"), {})

    def after(self, decision: Decision[Any], new_mpid: int) -> tuple[Any, "Reference"]:
        """Do a call."""
        if decision.retry_key is not None and decision.retry_key in self._retries:
            return self._retries[decision.retry_key], self
        state = self.state()
        answer = decision.run(state, new_mpid)
        retries = self._retries
        if decision.retry_key is not None and isinstance(answer, IdentityAnswer):
            retries = {**retries, decision.retry_key: answer}
        if not state.changed_names and not state.changed_mpids:
            return answer, Reference(self._state, retries, self.minted)
        return answer, Reference(state, retries, self.minted | state.changed_mpids)

    def state(self) -> IdentityState:
        """Return what there is, to be decided on."""
        return _Everything(SCOPE, "production", self._state)

    def key(self) -> Dump:
        """Return all on which later calls may depend: two with the same have the same future."""
        return (*self.dump(), self.minted, frozenset(self._retries.items()))

    def links(self) -> set[tuple[IdentityName, int, int]]:
        """Return who holds what, with the numbers of the links."""
        return {(name, mpid, link) for name, held in self.dump()[0] for mpid, link, _ in held}

    def dump(self) -> tuple[Dump, Dump]:
        """Return entries and records, with their sources, in a form that can be compared."""
        entries: dict[IdentityName, Dump] = {}
        records: dict[int, Dump | None] = {}
        state: IdentityState | None = self._state
        while state is not None:
            for name, holders in state._holders.items():
                found = tuple((each.mpid, each.link, each.is_known) for each in holders)
                entries.setdefault(name, found)
            for mpid, record in state._records.items():
                records.setdefault(mpid, None if record is None else _dumped(record))
            state = state._base
        return (
            tuple(sorted((name, found) for name, found in entries.items() if found)),
            tuple(sorted((mpid, held) for mpid, held in records.items() if held is not None)),
        )


def _dumped(record: IdentityRecord | Profile) -> Dump:
    return record.source_mpid, tuple((each.type, each.value, each.link) for each in record.lookups)


def dump_of(world: SimulatedWorld) -> tuple[Dump, Dump]:
    """Return what is on disk in the form of `Reference.dump`."""
    erased = world.erased()
    return (
        tuple(
            sorted(
                (
                    IdentityName(kind, value),
                    tuple((each.mpid, each.link, each.is_known) for each in holders),
                )
                for (_, kind, value), holders in world.entries().items()
            )
        ),
        tuple(
            sorted(
                (who[1], _dumped(profile))
                for who, profile in world.profiles().items()
                if who not in erased
            )
        ),
    )


def explain(history: History, world: SimulatedWorld) -> list[str]:
    """Return an order of the calls that explains a history and what is on disk.

    Raises:
        NotSequential: there is none.
    """
    made = {mpid for _, mpid in (*world.profiles(), *world.erased())}
    return order_of(history, dump_of(world), made)


def order_of(history: History, goal: tuple[Dump, Dump], made: Collection[int]) -> list[str]:
    """Return an order of the calls that explains a history and what is there in the end.

    Args:
        history: what the callers saw.
        goal: what is there, in the form of `Reference.dump`.
        made: all MPIDs that have or had a record.

    Raises:
        NotSequential: there is none.
    """
    # Without an answer, and without an effect: nothing is to be explained.
    calls = [each for each in history.calls if each.ended is not None or not each.is_reading]
    links = {(name, mpid, link) for name, held in goal[0] for mpid, link, _ in held}
    seen: set[tuple[int, Dump]] = set()
    order: list[str] = []

    def options(left: int, reference: Reference) -> list[tuple[int, Call, Reference]]:
        """Return what may come next (place, call, what is then), the likeliest first."""
        rest = [(place, call) for place, call in enumerate(calls) if left >> place & 1]
        horizon = min((call.ended for _, call in rest if call.ended is not None), default=10**9)
        found: list[tuple[int, Call, Reference]] = []
        repetitions: set[tuple[str, bytes | None]] = set()
        for place, call in rest:
            if call.began > horizon:
                continue
            if call.ended is None:
                same = call.text, call.decision.retry_key
                if same in repetitions:
                    continue  # it would do what the earlier one does
                repetitions.add(same)
            for answer, after in _outcomes(call, reference, made):
                if call.ended is not None and answer != call.answer:
                    continue
                if call.is_reading:
                    return [(place, call, after)]  # as good now as ever
                found.append((place, call, after))

        def distance(option: tuple[int, Call, Reference]) -> tuple[int, int]:
            """Tell how far the links are from those in the end: wrong ones, and right ones."""
            then = option[2].links()
            return len(then - links), -len(then & links)

        return sorted(found, key=distance)

    def search(left: int, reference: Reference) -> bool:
        """Tell whether the calls that are left (bits) can follow."""
        key = left, reference.key()
        if key in seen:
            return False
        seen.add(key)
        is_answered = any(call.ended is not None for n, call in enumerate(calls) if left >> n & 1)
        if not is_answered and reference.dump() == goal:
            return True
        for place, call, after in options(left, reference):
            order.append(call.text)
            if search(left & ~(1 << place), after):
                return True
            order.pop()
        return False

    if not search((1 << len(calls)) - 1, Reference.empty()):
        raise NotSequential(f"no order explains\n{history}\nwith on disk\n{goal}")
    return order


def _outcomes(
    call: Call, reference: Reference, made: Collection[int]
) -> list[tuple[Any, Reference]]:
    """Return what a call may do: a new record may be any that is there in the end."""
    if call.decision.place is None:
        return [reference.after(call.decision, 0)]
    if call.ended is not None:
        mpid = call.answer.mpid if isinstance(call.answer, IdentityAnswer) else call.answer
        mpid = mpid if isinstance(mpid, int) else 0
        is_new = mpid != 0 and mpid not in reference.minted
        return [reference.after(call.decision, mpid if is_new else -1)]
    fresh = [mpid for mpid in sorted(made) if mpid not in reference.minted]
    return [reference.after(call.decision, mpid) for mpid in fresh or [-1]]


def of_upload(mpid: int) -> Decision[None]:
    """Return what a batch does that names an MPID (spec/identity.md, 9, row 1)."""

    def run(state: IdentityState, _: int) -> None:
        level: IdentityState | None = state
        while level is not None:
            if mpid in level._records:
                return  # it is somebody's, or it was, and is erased
            level = level._base
        state.create(mpid, NOW)

    return Decision(
        kind="upload",
        environment="production",
        run=run,
        about=lambda _: mpid,
        names=(),
        now_ms=NOW,
    )


class _Everything(IdentityState):
    """A state that lacks nothing: what was never changed is not there."""

    def holders(self, name: IdentityName) -> Any:
        """Return the holders of an identity."""
        try:
            return super().holders(name)
        except Missing:
            return []

    def record(self, mpid: int) -> Any:
        """Return the record of an MPID."""
        try:
            return super().record(mpid)
        except Missing:
            return None

    def knows_holders(self, name: IdentityName) -> bool:
        return True

    def knows_record(self, mpid: int) -> bool:
        return True
