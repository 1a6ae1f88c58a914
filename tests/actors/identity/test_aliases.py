"""Which aliases are dropped: the three cases of spec/identity.md, 10.2."""

import pytest

from actors.identity.aliases import Alias, AliasState, DropReason, drop_reason
from tests.actors.aliasing import request

S, D, X = 1, 2, 3


@pytest.mark.parametrize(
    ("source", "destination", "start", "end", "reason"),
    [
        pytest.param(S, X, 5, 20, "overlapping_source", id="source again, overlapping"),
        pytest.param(S, D, 10, 20, "overlapping_source", id="source again, touching the end"),
        pytest.param(S, D, -5, 1, "overlapping_source", id="source again, touching the start"),
        pytest.param(S, X, 3, 4, "overlapping_source", id="source again, inside"),
        pytest.param(S, X, -5, 50, "overlapping_source", id="source again, around"),
        pytest.param(S, X, 11, 20, None, id="source again, after"),
        pytest.param(S, D, -5, 0, None, id="source again, before"),
        pytest.param(D, X, 50, 60, "source_was_destination", id="destination as source"),
        pytest.param(D, S, 50, 60, "source_was_destination", id="back again"),
        pytest.param(X, S, 50, 60, "destination_was_source", id="source as destination"),
        pytest.param(X, D, 1, 10, None, id="destination again"),
    ],
)
def test_an_applied_alias_decides_later_ones(
    source: int, destination: int, start: int, end: int, reason: DropReason | None
) -> None:
    applied = Alias(1, request(S, D, 1, 10), state="applied")
    assert drop_reason(request(source, destination, start, end), [applied]) == reason


@pytest.mark.parametrize("state", ["pending", "dropped"])
def test_only_applied_ones_count(state: AliasState) -> None:
    earlier = Alias(1, request(S, D, 1, 10), state=state)
    assert drop_reason(request(S, X, 1, 10), [earlier]) is None
