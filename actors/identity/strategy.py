"""The contract of the identity strategies: which record answers a call (spec/identity.md, 7.4)."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, NamedTuple

from actors.identity.calls import CallKind, IdentityProblem
from actors.identity.matching import Pick, Question, is_matched

# Why a record was chosen, or a new one is made.
Reason = Literal[
    "known",  # a known record of which a login ID was sent
    "anonymous",  # an anonymous record that holds something of the request
    "any",  # a record that holds something of the request; nobody is known here
    "previous",  # the client's current user, who is anonymous
    "fresh_login",  # a login ID that nobody has makes a user of its own
    "logout",  # every logout makes a new user
    "no_match",  # nobody who may be returned holds anything of the request
]


class Choice(NamedTuple):
    """The record that answers a call; `mpid` is `None` if a new one is to be made.

    `pick` says how it was found among several, or how `source_mpid` of the new one was.
    """

    mpid: int | None
    reason: Reason
    pick: Pick | None = None
    source_mpid: int | None = None


class Strategy(ABC):
    """How a request becomes an MPID.

    Each method is a pure function of a question and changes nothing; what follows from the choice
    is the same for all strategies (`decide`). A method raises `Missing` when it needs an entry or a
    record that was not read, and is called again when it was.
    """

    names: ClassVar[tuple[str, ...]]
    # Whether there are known users at all; without them nobody is logged in or ephemeral.
    has_known_users: ClassVar[bool] = True

    @abstractmethod
    def identify(self, question: Question) -> Choice:
        """Choose for an identify call, or for a batch."""

    def login(self, question: Question) -> Choice | IdentityProblem:
        """Choose for a login call."""
        return self.identify(question)

    def logout(self, question: Question) -> Choice:
        """Choose for a logout call; the request has no login IDs."""
        return Choice(None, "logout")

    def search(self, question: Question) -> Choice | None:
        """Choose for a search call, `None` if nobody is found."""
        if question.rules.search_requires_immutable and question.rules.immutable_ids:
            return best_known(question, must_match=question.rules.immutable_ids)
        return best_known(question) or best_anonymous(question)

    def choose(self, kind: CallKind, question: Question) -> Choice | IdentityProblem | None:
        """Choose for a call of this kind; `None` if a search finds nobody."""
        match kind:
            case "identify":
                return self.identify(question)
            case "login":
                return self.login(question)
            case "logout":
                return self.logout(question)
            case "search":
                return self.search(question)


def best_known(question: Question, must_match: frozenset[str] = frozenset()) -> Choice | None:
    """Return the best of the eligible known records, if there is one.

    `must_match`: identity types of which the request has to name one of the record's.
    """
    pool = question.pools.known
    if must_match:
        state, request = question.state, question.request
        pool = {each for each in pool if is_matched(state.existing(each), request, must_match)}
    return _best(question, pool, "known")


def best_anonymous(question: Question) -> Choice | None:
    """Return the best of the eligible anonymous records, if there is one."""
    return _best(question, question.pools.anonymous, "anonymous")


def _best(question: Question, pool: set[int], reason: Reason) -> Choice | None:
    if not pool:
        return None
    pick = question.pick(pool)
    return Choice(pick.mpid, reason, pick)
