"""Why a call is answered as it is: for operators (spec/identity.md, 12).

Nothing is decided here. A call is decided on a copy of what is known, and what the decision tells
of its reasons is put into words.
"""

from msgspec import Struct

from actors.identity.attaching import Outcome
from actors.identity.calls import IdentityCall, IdentityProblem
from actors.identity.decide import resolve
from actors.identity.keys import IdentityName
from actors.identity.matching import Decider, Pick, Pools, Question, Refusal
from actors.identity.state import IdentityRules, IdentityState
from actors.identity.strategy import Reason, Strategy

_REASONS: dict[Reason, str] = {
    "known": "A known user holds an identity of the call, and a login ID of theirs was sent.",
    "anonymous": "An anonymous user holds an identity of the call; nobody known may be returned.",
    "any": "A user holds an identity of the call; with this strategy every user is anonymous.",
    "previous": "Nobody was found, a login ID is new, and the previous MPID is an anonymous user.",
    "fresh_login": "Nobody known was found, and a login ID is new: with this strategy a new user.",
    "logout": "A logout makes a new user.",
    "no_match": "Nobody who may be returned holds an identity of the call: a new user.",
}
_DECIDERS: dict[Decider, str] = {
    "identities": "The identities, taken by priority, left only this one.",
    "previous_mpid": "Several were left; one of them is the previous MPID.",
    "newest_link": "Several were left; this one was the last to be linked to the first match.",
}
_OUTCOMES: dict[Outcome, str] = {
    "held": "The user held it before.",
    "kept_immutable": "Not attached: the user has another value, and the type is immutable.",
    "held_by_another": "Not attached: the type is unique, and another user holds the value.",
    "replaced": "Attached instead of the value before: an identity of higher priority matches.",
    "kept_own": "Not attached: the user has another value, and nothing of higher priority matches.",
    "added": "Attached.",
}
_REFUSALS: dict[Refusal, str] = {
    "login_id_not_matched": "A known user, of whom no login ID was sent.",
    "immutable_id_not_matched": "A user with an immutable ID, which was not sent.",
}
_KNOWN = "Known, and a login ID of theirs was sent."
_ANONYMOUS = "Anonymous."
_SET_ASIDE = {
    "login_id": "A logout does not look at login IDs.",
    "not_in_priority": "Not in the identity priority: kept on the profile at most.",
}


class Said(Struct, frozen=True):
    """A reason: for programs and for people."""

    code: str
    text: str


class Candidate(Struct, frozen=True):
    """A record that holds an identity; `standing` tells whether it may be returned."""

    mpid: str
    standing: Said


class Found(Struct, frozen=True):
    """Who holds an identity of the call, newest link first."""

    type: str
    value: str
    candidates: tuple[Candidate, ...]


class Step(Struct, frozen=True):
    """An identity by which candidates were compared, and those that were left after it."""

    type: str
    left: tuple[str, ...]


class Chosen(Struct, frozen=True):
    """The record that answers the call; `mpid` is `None` for one that would be made.

    `steps` and `decided_by` tell how one of several was picked: the record itself or, of a new
    record, its source.
    """

    mpid: str | None
    reason: Said
    source_mpid: str | None
    steps: tuple[Step, ...]
    decided_by: Said | None


class Attached(Struct, frozen=True):
    """What would become of an identity of the call."""

    type: str
    outcome: Said


class Explanation(Struct, frozen=True):
    """A call and the reasons of its answer; MPIDs are decimal text, values in canonical form.

    Attributes:
        set_aside: type and reason of each identity that is not looked at.
        found: the others by priority.
        chosen: whose they are; `None` if nobody can be chosen.
        attached: what would be attached, by priority; empty for a search.
        problem: why the call would be refused.
    """

    set_aside: tuple[tuple[str, Said], ...]
    found: tuple[Found, ...]
    chosen: Chosen | None
    attached: tuple[Attached, ...]
    problem: IdentityProblem | None


def explain(
    state: IdentityState, call: IdentityCall, rules: IdentityRules, strategy: Strategy
) -> Explanation:
    """Tell why a call would be answered as it would be now; nothing is changed.

    Raises:
        Missing: an entry or a record was not read; explain again with it.
    """
    resolution = resolve(state.fork(), call, rules, strategy, new_mpid=0)
    request, choice = resolution.question.request, resolution.choice
    # The copy has been changed by the decision; these are the pools before it.
    pools = Question(state, request, rules, call.previous_mpid).pools
    looked_at = {name.type for name in request}
    chosen = None
    if choice is not None:
        chosen = Chosen(
            _text(choice.mpid),
            Said(choice.reason, _REASONS[choice.reason]),
            _text(choice.source_mpid),
            _steps(choice.pick),
            None if choice.pick is None else _said_of(choice.pick),
        )
    return Explanation(
        tuple(
            (key, _set_aside(key, rules)) for key in sorted(call.identities) if key not in looked_at
        ),
        tuple(_found(state, name, pools) for name in request),
        chosen,
        tuple(
            Attached(each.name.type, Said(each.outcome, _OUTCOMES[each.outcome]))
            for each in resolution.attachments
        ),
        resolution.problem,
    )


def _set_aside(key: str, rules: IdentityRules) -> Said:
    code = "login_id" if key in rules.login_ids else "not_in_priority"
    return Said(code, _SET_ASIDE[code])


def _found(state: IdentityState, name: IdentityName, pools: Pools) -> Found:
    newest_first = [holder.mpid for holder in reversed(state.holders(name))]
    candidates = tuple(Candidate(str(mpid), _standing(mpid, pools)) for mpid in newest_first)
    return Found(name.type, name.value, candidates)


def _standing(mpid: int, pools: Pools) -> Said:
    refusal = pools.refused.get(mpid)
    if refusal is not None:
        return Said(refusal, _REFUSALS[refusal])
    return Said("known", _KNOWN) if mpid in pools.known else Said("anonymous", _ANONYMOUS)


def _steps(pick: Pick | None) -> tuple[Step, ...]:
    if pick is None:
        return ()
    return tuple(Step(name.type, tuple(map(str, sorted(left)))) for name, left in pick.narrowed)


def _said_of(pick: Pick) -> Said:
    return Said(pick.decider, _DECIDERS[pick.decider])


def _text(mpid: int | None) -> str | None:
    return None if mpid is None else str(mpid)
