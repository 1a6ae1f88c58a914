"""In which order the batches of one request go to the shards (spec/events-api.md, 5.2).

Batches that share an identity, directly or through others, are a unit: one after the other, as far
as they do not go to a shard together. Units go at once.

One user may be named in ways that share nothing: by a customer id in one batch, by MPID in the
next, or by one of two devices in each. So where a request names users in several ways, or in one of
which a user may have several, the shards are asked first whose each batch is, and nothing is
applied before all are known; units are then those of one user. What goes to one shard needs no
asking: there a call is applied in its order up to the first batch that comes back.
"""

from collections.abc import Callable, Collection, Sequence

from actors.identity.keys import IdentityName
from server.routing import Route

Unit = Sequence["Entry"]
_BY_MPID = "mpid"  # as no identity type is called


class Entry:
    """One batch on its way, to a slot.

    Attributes:
        index: its place in the request.
        mpid: what the coordinator said, or a guess.
        is_known: it was found whose it is, also if that is nobody.
        is_done: it has its result.
    """

    __slots__ = ("index", "is_done", "is_guess", "is_known", "mpid", "raw", "route", "slot")

    def __init__(self, index: int, raw: bytes, route: Route, slot: int, mpid: int | None) -> None:
        self.index = index
        self.raw = raw
        self.route = route
        self.slot = slot
        self.mpid = mpid
        self.is_guess = mpid is not None
        self.is_known = self.is_done = False

    def redirect(self, slot: int, mpid: int | None, *, is_guess: bool) -> None:
        """Let it go elsewhere, as somebody's; `None`: nobody's."""
        self.slot = slot
        self.mpid = mpid
        self.is_guess = is_guess
        self.is_known = not is_guess


class Order:
    """What of a request goes next."""

    def __init__(
        self, entries: Unit, shard_of: Callable[[int], int], unique_ids: Collection[str]
    ) -> None:
        """Set up.

        Args:
            entries: of the request, in its order.
            shard_of: tells which shard owns a slot.
            unique_ids: identity types of which a user has one value.
        """
        self._units = _units(entries)
        self._is_begun = False
        self._is_mixed = len(self._units) > 1 and _may_share_users(self._units, unique_ids)
        # All in one unit: the first of it that comes back holds up what is behind.
        self._goes_together = (
            self._is_mixed and len({shard_of(entry.slot) for entry in entries}) == 1
        )

    def next_round(self) -> tuple[list[Unit], bool]:
        """Return the units of what has no result yet, and whether it is only asked whose it is."""
        if self._is_begun:
            self._units = _only(self._units, lambda entry: not entry.is_done)
        self._is_begun = True
        units = self._units
        if not self._is_mixed:
            return units, False
        if self._goes_together:
            self._goes_together = False
            return [_in_order(units)], False
        if unknown := _only(units, lambda entry: not entry.is_known):
            return unknown, True
        users: dict[object, list[Entry]] = {}
        for entry in _in_order(units):
            users.setdefault((entry.mpid, None if entry.mpid else entry.index), []).append(entry)
        return [*users.values()], False


def _only(units: Sequence[Unit], is_left: Callable[[Entry], bool]) -> list[Unit]:
    return [rest for unit in units if (rest := [each for each in unit if is_left(each)])]


def _may_share_users(units: Sequence[Unit], unique_ids: Collection[str]) -> bool:
    """Tell whether two units may be of one user, by how they name theirs."""
    named = [unit for unit in units if _way(unit[0]) is not None]
    ways = {_way(entry) for unit in named for entry in unit}
    return len(named) > 1 and (len(ways) > 1 or ways.isdisjoint({_BY_MPID, *unique_ids}))


def _way(entry: Entry) -> str | None:
    """Return by what a batch names its user first of all, `None` if by nothing."""
    keys = entry.route.unit_keys
    if not keys:
        return None
    return keys[0].type if isinstance(keys[0], IdentityName) else _BY_MPID


def _in_order(units: Sequence[Unit]) -> list[Entry]:
    return sorted((entry for unit in units for entry in unit), key=lambda entry: entry.index)


def _units(entries: Unit) -> list[Unit]:
    """Group batches that share an identity, directly or through others, each in their order."""
    if len(entries) == 1:
        return [entries]
    parents = list(range(len(entries)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    owners: dict[object, int] = {}
    for entry in entries:
        index = entry.index
        for key in entry.route.unit_keys:
            owner = owners.setdefault(key, index)
            if owner != index:
                parents[root(index)] = root(owner)
    units: dict[int, list[Entry]] = {}
    for entry in entries:
        units.setdefault(root(entry.index), []).append(entry)
    return list(units.values())
