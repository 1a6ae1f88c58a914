"""Bodies of the Seeding API, read (spec/calculated-attributes.md, 8)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from actors.batches.identities import PROFILE_NAMES, USER_IDENTITY_ALIASES
from actors.calculated.calls import Planting
from actors.calculated.seeds import SeedsInvalid, SeedTarget, read_seeds
from actors.model.workspaces import ENVIRONMENTS, Environment
from server.calculated_gateway import Seeded
from server.parameters import is_int64

MAX_USERS = 1000

Targets = Mapping[str, Sequence[SeedTarget]]

# Name of an identity type in requests to its IDSync key.
_IDENTITY_TYPES = {name: key for key, name in PROFILE_NAMES.items() if name != "unknown"}
_IDENTITY_TYPES |= {alias: _IDENTITY_TYPES[name] for alias, name in USER_IDENTITY_ALIASES.items()}


class SeedReader:
    """Reads what was sent for users; notes every problem."""

    def __init__(self, targets: Targets, priority: Sequence[str], received_ms: int) -> None:
        """Set up.

        Args:
            targets: name to what seeds can be for.
            priority: IDSync keys by which a profile can be found, in their order.
            received_ms: time of receipt.
        """
        self._targets = targets
        self._priority = priority
        self._received_ms = received_ms
        self.problems: list[str] = []

    def read(self, sent: Any, prefix: str = "") -> Seeded | None:
        """Read what is for one user; `None` if it is wrong, or names nobody who could be found."""
        found = list(_problems(sent))
        seeds = {}
        if isinstance(sent, dict) and not found:
            try:
                seeds = read_seeds(sent["calculated_attributes"]["workspace"], self._targets)
            except SeedsInvalid as invalid:
                found = invalid.messages
        self.problems += [prefix + message for message in found]
        if found:
            return None
        identities: tuple[tuple[str, str], ...] = ()
        if sent.get("mpid") is None:
            identities = self._ordered(sent["identities"])
            if not identities:
                return None
        planting = Planting(
            environment=cast(Environment, sent["environment"]),
            mpid=int(sent.get("mpid") or 0),
            is_by_identities=bool(identities),
            seeds=seeds,
            user_attributes=_user_attributes(sent),
            received_ms=self._received_ms,
        )
        return Seeded(planting, identities)

    def _ordered(self, sent: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        named = {_IDENTITY_TYPES[name]: value.strip() for name, value in sent.items()}
        return tuple((key, named[key]) for key in self._priority if named.get(key))


def _problems(sent: Any) -> Iterator[str]:
    """Yield what is wrong with one user's object besides its seeds."""
    if not isinstance(sent, dict):
        yield "must be an object"
        return
    if sent.get("environment") not in ENVIRONMENTS:
        yield "environment is required"
    mpid, identities = sent.get("mpid"), sent.get("identities")
    if mpid is not None:
        if isinstance(mpid, bool) or not isinstance(mpid, int | str) or not is_int64(str(mpid)):
            yield "mpid must be a 64-bit integer"
    elif not isinstance(identities, dict) or not identities:
        yield "mpid or identities is required"
    else:
        yield from _identity_problems(identities)
    seeds = sent.get("calculated_attributes")
    if not isinstance(seeds, dict) or not isinstance(seeds.get("workspace"), list):
        yield "calculated_attributes is required"
    attributes = sent.get("user_attributes")
    if attributes is not None and not _are_attributes(attributes):
        yield "user_attributes must have a list workspace of attribute_name and attribute_value"


def _identity_problems(identities: Mapping[str, Any]) -> Iterator[str]:
    for name, value in identities.items():
        if name not in _IDENTITY_TYPES:
            yield f"unknown identity type {name}"
        elif not isinstance(value, str):
            yield f"the identity {name} must be a string"


def _are_attributes(sent: Any) -> bool:
    entries = sent.get("workspace") if isinstance(sent, dict) else None
    return isinstance(entries, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("attribute_name"), str)
        and "attribute_value" in each
        for each in entries
    )


def _user_attributes(sent: Mapping[str, Any]) -> dict[str, Any]:
    entries = (sent.get("user_attributes") or {}).get("workspace", ())
    return {each["attribute_name"]: each["attribute_value"] for each in entries}
