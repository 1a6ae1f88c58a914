"""What the sequencer is asked to decide, each a function of what is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from actors.identity.keys import IdentityName
from actors.identity.state import IdentityState
from actors.model import Environment

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, kw_only=True)
class Decision(Generic[AnswerT]):
    """One decision on the identities of one environment.

    Attributes:
        kind: for the audit trail: `identify`, `modify`, ...
        run: given what is known and an MPID that nobody has; changes the state and answers. Raises
            `Missing` if more has to be known, and is then run again on a fresh state. It has no
            other effects.
        about: whose MPID an answer is about.
        names: identities that it is sure to look at.
        place: the identity near which a new record lies; `None` if it never makes one.
        retry_key: a decision with the same one within an hour gives the first one's answer, which
            is an `IdentityAnswer`.
        is_limited: refused if too many wait for one of `names`.
    """

    kind: str
    environment: Environment
    run: Callable[[IdentityState, int], AnswerT]
    about: Callable[[AnswerT], int]
    names: frozenset[IdentityName]
    now_ms: int
    place: IdentityName | None = None
    retry_key: bytes | None = None
    is_limited: bool = True
