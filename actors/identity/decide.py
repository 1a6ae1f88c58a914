"""What an identify, login, logout or search call is answered, and what it changes.

A pure function of what is known (spec/identity.md, 7). The strategy chooses a record; everything
around the choice is here and the same for all strategies.
"""

from typing import NamedTuple

from actors.identity.attaching import ATTACHED, Attachment, attach
from actors.identity.calls import IdentityAnswer, IdentityCall, IdentityProblem
from actors.identity.keys import IdentityName, canonical
from actors.identity.matching import Question, Request, is_known
from actors.identity.state import IdentityRules, IdentityState
from actors.identity.strategy import Choice, Strategy

# Rows 12, 13, 15 and 16 of spec/identity.md, 4.4.
NOTHING_SENT = IdentityProblem(400, "LOOKUP_ERROR", "knownIdentities is empty.")
NOTHING_USABLE = IdentityProblem(
    400, "LOOKUP_ERROR", "knownIdentities has no identity of the identity priority."
)
NOTHING_ATTACHED = IdentityProblem(
    400, "LOOKUP_ERROR", "No profile can be returned or created for these identities."
)
NOT_FOUND = IdentityProblem(404, "NOT_FOUND_ERROR", "User not found.")


class Resolution(NamedTuple):
    """What was decided, with the reasons.

    Attributes:
        question: the request, and who holds anything of it.
        choice: whose it is, and why; `None` if that was not come to.
        mpid: the chosen record, or the new one; 0 if there is none.
        matched: types that the record held before the call.
        attachments: what became of each identity; empty for a search.
        problem: why the call is refused.
    """

    question: Question
    choice: Choice | None = None
    mpid: int = 0
    matched: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    problem: IdentityProblem | None = None

    @property
    def is_new(self) -> bool:
        """Whether a record has to be made."""
        return self.choice is not None and self.choice.mpid is None


def decide(
    state: IdentityState,
    call: IdentityCall,
    rules: IdentityRules,
    strategy: Strategy,
    new_mpid: int,
    request: Request | None = None,
) -> IdentityAnswer | IdentityProblem:
    """Answer a call, and make on the state the changes that follow from it.

    Args:
        state: what is known; not changed by a refused, a read-only or a search call.
        call: to be answered.
        rules, strategy: of the scope.
        new_mpid: that nobody has, for a record that has to be made.
        request: what `request_of` makes of the call, if that was asked before.

    Raises:
        Missing: an entry or a record was not read; decide again with it, on a fresh state.
    """
    # A batch is not refused once it has changed something, so that it needs none of its own.
    is_kept = call.is_batch and not call.is_read_only
    fork = state if is_kept else state.fork()
    resolution = resolve(fork, call, rules, strategy, new_mpid, request)
    if resolution.problem is not None:
        return resolution.problem
    mpid = resolution.mpid
    if is_kept:
        pass
    elif not call.is_read_only and call.kind != "search":
        state.merge(fork)
    elif resolution.is_new:
        mpid = 0
    # Of a read-only call the answer tells what is, not what would be.
    is_logged_in = mpid != 0 and is_known(state.existing(mpid), rules)
    is_ephemeral = strategy.has_known_users and not is_logged_in
    return IdentityAnswer(mpid, resolution.matched, is_ephemeral, is_logged_in)


def resolve(
    state: IdentityState,
    call: IdentityCall,
    rules: IdentityRules,
    strategy: Strategy,
    new_mpid: int,
    request: Request | None = None,
) -> Resolution:
    """Decide a call with all reasons; arguments and errors as of `decide`.

    The state is changed also by a call that is refused or reads only: it is one to be thrown away.
    """
    sent = _sent(call, rules)
    if request is None:
        request = request_of(call, rules)
    question = Question(state, request, rules, call.previous_mpid)
    if not request:
        return Resolution(question, problem=NOTHING_USABLE if sent else NOTHING_SENT)
    choice = strategy.choose(call.kind, question)
    if choice is None:
        return Resolution(question, problem=NOT_FOUND)
    if isinstance(choice, IdentityProblem):
        return Resolution(question, problem=choice)
    if choice.mpid is None:
        state.create(new_mpid, call.received_ms, choice.source_mpid)
        state.tally.created[choice.reason] = 1
        return _carried_out(Resolution(question, choice, new_mpid), call, sent)
    record = state.existing(choice.mpid)
    matched = tuple(name.type for name in request if record.holds(name))
    found = Resolution(question, choice, choice.mpid, matched)
    return found if call.kind == "search" else _carried_out(found, call, sent)


def request_of(call: IdentityCall, rules: IdentityRules) -> list[IdentityName]:
    """Return the identities that a call is about, in the order of their priority."""
    sent = _sent(call, rules)
    return [IdentityName(key, canonical(key, sent[key])) for key in rules.priority if key in sent]


def _carried_out(resolution: Resolution, call: IdentityCall, sent: dict[str, str]) -> Resolution:
    """Attach what can be attached to the record, and have its profile show it (7.3, 7.7)."""
    question, mpid = resolution.question, resolution.mpid
    state, rules = question.state, question.rules
    was_known = resolution.is_new or is_known(state.existing(mpid), rules)
    attachments = tuple(attach(state, mpid, question.request, rules, call.received_ms))
    if not was_known and is_known(state.existing(mpid), rules):
        state.tally.conversions += 1
    attached = {each.name.type for each in attachments if each.outcome in ATTACHED}
    problem = None
    if not call.is_batch:
        for key, value in sent.items():
            if key in attached or key not in rules.priority:
                state.show(mpid, key, value, call.received_ms)
        if resolution.is_new:
            state.open_profile(mpid, call.workspace, call.received_ms)
            problem = None if attached else NOTHING_ATTACHED
    return Resolution(question, resolution.choice, mpid, resolution.matched, attachments, problem)


def _sent(call: IdentityCall, rules: IdentityRules) -> dict[str, str]:
    """Return the identities that count: a logout's login IDs are set aside."""
    if call.kind != "logout":
        return call.identities
    return {key: value for key, value in call.identities.items() if key not in rules.login_ids}
