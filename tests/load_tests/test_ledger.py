"""The record of outcomes."""

import pytest

from load_tests.client import Response
from load_tests.ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, UNSENT, Ledger
from tests.load_tests.conftest import MakePool

_A, _R, _U = ACKNOWLEDGED, REFUSED, UNKNOWN


def _problems(indexes: list[int]) -> bytes:
    entries = ",".join(f'{{"code":"BAD_REQUEST","path":"[{i}].events"}}' for i in indexes)
    return f'{{"errors":[{entries}]}}'.encode()


@pytest.mark.parametrize(
    ("status", "body", "is_doubtful", "states"),
    [
        pytest.param(202, b"", False, [_A] * 30, id="accepted"),
        pytest.param(202, b"", True, [_A] * 30, id="accepted at the second attempt"),
        pytest.param(202, _problems([1]), False, [_A, _R] + [_A] * 28, id="one refused"),
        pytest.param(
            202, _problems([1]), True, [_A, _U] + [_A] * 28, id="one refused when sent again"
        ),
        pytest.param(
            202, _problems([2] * 19), False, [_A] * 2 + [_R] + [_A] * 27, id="nineteen problems"
        ),
        pytest.param(
            202, _problems([2] * 20), False, [_A] * 2 + [_R] + [_U] * 27, id="list of problems full"
        ),
        pytest.param(400, b"", False, [_R] * 30, id="all refused"),
        pytest.param(400, b"", True, [_U] * 30, id="refused after an attempt without an answer"),
        pytest.param(500, b"", False, [_U] * 30, id="defect of the server"),
        pytest.param(None, b"", False, [_R] * 30, id="never admitted"),
        pytest.param(None, b"", True, [_U] * 30, id="never answered"),
    ],
)
def test_each_outcome_is_written_down_for_what_it_promises(
    make_pool: MakePool, status: int | None, body: bytes, is_doubtful: bool, states: list[int]
) -> None:
    """spec/events-api.md, 5.1 and 5.3."""
    pool = make_pool(batches=60, batches_per_request=30)
    ledger = Ledger(pool)
    for number in range(3):
        ledger.open(number)
    response = None if status is None else Response(status, None, body)
    batches, events = ledger.settle(2, response, is_doubtful=is_doubtful)
    assert ledger.states().tolist() == [UNSENT] * 60 + states
    accepted = [place for place, state in enumerate(states) if state == ACKNOWLEDGED]
    assert batches == len(accepted)
    assert events == int(pool.events[accepted].sum())  # the third request repeats the first


def test_events_and_users_follow_the_pool_round_after_round(make_pool: MakePool) -> None:
    """Batch 105 as sent is batch 5 of a pool of 100."""
    pool = make_pool()
    ledger = Ledger(pool)
    for number in range(11):
        ledger.open(number)
    assert ledger.users()[105] == pool.users[5]
    assert ledger.events()[105] == pool.events[5]
    assert len(ledger.users()) == len(ledger.events()) == 110
