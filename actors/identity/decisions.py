"""What the sequencer is asked to decide, each a function of what is known."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from actors.identity.calls import (
    IdentityAnswer,
    IdentityCall,
    IdentityProblem,
    ModifyAnswer,
    ModifyCall,
)
from actors.identity.decide import decide, request_of
from actors.identity.explain import Explanation, explain
from actors.identity.keys import IdentityName, canonical
from actors.identity.modify import modify
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState
from actors.identity.strategy import Strategy
from actors.identity.undo import Effect, undo
from actors.model.micro_batches import Newcomer
from actors.model.workspaces import Environment

AnswerT = TypeVar("AnswerT")


class Decision(Struct, Generic[AnswerT], frozen=True, kw_only=True, eq=False):
    """One decision on the identities of one environment.

    Attributes:
        kind: for the audit trail: `identify`, `modify`, ...
        run: given what is known and an MPID that nobody has; changes the state and answers. Raises
            `Missing` if more has to be known, and is then run again on a fresh state. It has no
            other effects. The MPID may be 0, and it is run again with another one if it uses that.
        about: whose MPID an answer is about.
        names: identities that it is sure to look at, in the order in which they are asked for.
        place: the identity near which a new record lies; `None` if it never makes one.
        retry_key: a decision with the same one within an hour gives the first one's answer, which
            is an `IdentityAnswer`.
        is_limited: refused if too many wait for one of `names`.
        newcomer: what a shard has said of them before.
    """

    kind: str
    environment: Environment
    run: Callable[[IdentityState, int], AnswerT]
    about: Callable[[AnswerT], int]
    names: tuple[IdentityName, ...]
    now_ms: int
    place: IdentityName | None = None
    retry_key: bytes | None = None
    is_limited: bool = True
    newcomer: Newcomer | None = None


def of_call(
    call: IdentityCall,
    rules: IdentityRules,
    strategy: Strategy,
    newcomer: Newcomer | None = None,
) -> Decision[IdentityAnswer | IdentityProblem]:
    """Return the decision of an identify, login, logout or search call, or of a batch."""
    request = request_of(call, rules)

    def run(state: IdentityState, new_mpid: int) -> IdentityAnswer | IdentityProblem:
        return decide(state, call, rules, strategy, new_mpid, request)

    return Decision(
        kind="batch" if call.is_batch else call.kind,
        environment=call.environment,
        run=run,
        about=lambda answer: answer.mpid if isinstance(answer, IdentityAnswer) else 0,
        names=tuple(request),
        now_ms=call.received_ms,
        place=request[0] if request and call.kind != "search" else None,
        retry_key=call.retry_key if call.kind == "logout" and not call.is_read_only else None,
        is_limited=not call.is_batch,
        newcomer=newcomer,
    )


def of_explanation(
    call: IdentityCall, rules: IdentityRules, strategy: Strategy
) -> Decision[Explanation]:
    """Return the decision that tells why a call would be answered as it would be."""
    decision = of_call(call, rules, strategy)
    return Decision(
        kind="explain",
        environment=call.environment,
        run=lambda state, _: explain(state, call, rules, strategy),
        about=lambda _: 0,
        names=decision.names,
        now_ms=call.received_ms,
    )


def of_modify(call: ModifyCall, rules: IdentityRules) -> Decision[ModifyAnswer | IdentityProblem]:
    """Return the decision of a modify call."""
    names = dict.fromkeys(
        IdentityName(change.type, canonical(change.type, value))
        for change in call.changes
        for value in (change.old, change.new)
        if value is not None and change.type in rules.priority
    )
    return Decision(
        kind="modify",
        environment=call.environment,
        run=lambda state, _: modify(state, call, rules),
        about=lambda _: call.mpid,
        names=tuple(names),
        now_ms=call.received_ms,
    )


def of_erasure(environment: Environment, mpid: int, now_ms: int) -> Decision[bool]:
    """Return the decision that removes a record and all its lookups; whether there was one."""

    def run(state: IdentityState, _: int) -> bool:
        if state.record(mpid) is None:
            return False
        state.erase(mpid)
        return True

    return Decision(
        kind="erase",
        environment=environment,
        run=run,
        about=lambda _: mpid,
        names=(),
        now_ms=now_ms,
    )


def of_undoing(
    environment: Environment,
    mpid: int,
    effects: Sequence[Effect],
    rules: IdentityRules,
    now_ms: int,
) -> Decision[ModifyAnswer | IdentityProblem]:
    """Return the decision that takes back what another one did."""
    return Decision(
        kind="undo",
        environment=environment,
        run=lambda state, _: undo(state, effects, rules, now_ms),
        about=lambda _: mpid,
        names=(),
        now_ms=now_ms,
    )


def of_lookup(
    environment: Environment, identity_type: str, value: str, now_ms: int
) -> Decision[list[int]]:
    """Return the decision that tells who holds an identity, newest link first."""
    name = IdentityName(identity_type, canonical(identity_type, value))
    return Decision(
        kind="lookup",
        environment=environment,
        run=lambda state, _: [holder.mpid for holder in reversed(state.holders(name))],
        about=lambda _: 0,
        names=(name,),
        now_ms=now_ms,
    )


def of_record(environment: Environment, mpid: int, now_ms: int) -> Decision[IdentityRecord | None]:
    """Return the decision that tells what a record holds."""
    return Decision(
        kind="record",
        environment=environment,
        run=lambda state, _: state.record(mpid),
        about=lambda _: 0,
        names=(),
        now_ms=now_ms,
    )
