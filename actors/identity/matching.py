"""Who may be returned and who is picked: the parts that the strategies share.

Pure functions of what is known (spec/identity.md, 7.1 and 7.2). A request is R: sent identities
after the value rules, only types of the priority list, in its order.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState, Missing

Request = Sequence[IdentityName]
# Why a record may not be returned.
Refusal = Literal["login_id_not_matched", "immutable_id_not_matched"]
# What decided between the members of a pool.
Decider = Literal["identities", "previous_mpid", "newest_link"]


class Pools(NamedTuple):
    """The holders of anything in a request: eligible known, eligible anonymous, and the others."""

    known: set[int]
    anonymous: set[int]
    refused: dict[int, Refusal]


class Pick(NamedTuple):
    """The member of a pool that matches best.

    `narrowed` has each identity that some member holds, in the order in which they were looked at,
    with the members that were left after it.
    """

    mpid: int
    decider: Decider
    narrowed: list[tuple[IdentityName, frozenset[int]]]


class Question:
    """What a strategy has to answer: a request, and what is known about it."""

    def __init__(
        self,
        state: IdentityState,
        request: Request,
        rules: IdentityRules,
        previous_mpid: int | None = None,
    ) -> None:
        """Args: `previous_mpid` is a hint; it may name nobody."""
        self.state = state
        self.request = request
        self.rules = rules
        self.previous_mpid = previous_mpid
        self._pools: Pools | None = None

    @property
    def pools(self) -> Pools:
        """Everybody who holds anything in the request. Raises Missing."""
        if self._pools is None:
            self._pools = self._find()
        return self._pools

    def _find(self) -> Pools:
        found = Pools(set(), set(), {})
        mpids = self._holding
        if mpids:
            self.state.require(self.request)
        for mpid in mpids:
            record = self.state.existing(mpid)
            refusal = refusal_of(record, self.request, self.rules)
            if refusal is not None:
                found.refused[mpid] = refusal
            elif is_known(record, self.rules):
                found.known.add(mpid)
            else:
                found.anonymous.add(mpid)
        return found

    @property
    def _holding(self) -> set[int]:
        try:
            return {each.mpid for name in self.request for each in self.state.holders(name)}
        except Missing:
            self.state.require(self.request)  # to name all that is missing
            raise

    def pick(self, pool: set[int]) -> Pick:
        """Return the member of a pool that matches best, by priority (spec/identity.md, 7.2).

        The pool's members all hold something of the request. Raises Missing.
        """
        left: frozenset[int] = frozenset()
        narrowed: list[tuple[IdentityName, frozenset[int]]] = []
        for name in self.request:
            matching = pool.intersection([each.mpid for each in self.state.holders(name)])
            if not matching:
                continue
            left = (left & matching or left) if narrowed else frozenset(matching)
            narrowed.append((name, left))
            if len(left) == 1:
                return Pick(next(iter(left)), "identities", narrowed)
        if not narrowed:
            raise ValueError("no member of the pool holds an identity of the request")
        if self.previous_mpid in left:
            return Pick(self.previous_mpid, "previous_mpid", narrowed)
        newest_first = reversed(self.state.holders(narrowed[0][0]))
        newest = next(holder.mpid for holder in newest_first if holder.mpid in left)
        return Pick(newest, "newest_link", narrowed)

    @property
    def is_fresh_login(self) -> bool:
        """Whether the request has a login ID that nobody holds. Raises Missing."""
        login_ids = self.rules.login_ids
        fresh = [
            name for name in self.request if name.type in login_ids and not self.state.holders(name)
        ]
        return bool(fresh)

    @property
    def previous(self) -> int | None:
        """`prev`: the previous MPID if it names an anonymous record here. Raises Missing.

        A record without lookups is no answer to anything (spec/identity.md, 1, Orphan).
        """
        if self.previous_mpid is None:
            return None
        record = self.state.record(self.previous_mpid)
        if record is None or not record.lookups or is_known(record, self.rules):
            return None
        return self.previous_mpid


def is_known(record: IdentityRecord, rules: IdentityRules) -> bool:
    """Tell whether a record has a login ID."""
    return record.has_any(rules.login_ids)


def refusal_of(record: IdentityRecord, request: Request, rules: IdentityRules) -> Refusal | None:
    """Return why a request may not be answered with a record, `None` if it may be."""
    if is_known(record, rules) and not is_matched(record, request, rules.login_ids):
        return "login_id_not_matched"
    if record.has_any(rules.immutable_ids) and not is_matched(record, request, rules.immutable_ids):
        return "immutable_id_not_matched"
    return None


def is_matched(record: IdentityRecord, request: Request, types: frozenset[str]) -> bool:
    """Tell whether a record holds an identity of a request that has one of these types."""
    return any(name.type in types and record.holds(name) for name in request)
