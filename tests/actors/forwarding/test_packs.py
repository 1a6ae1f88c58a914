"""What a bundle leaves in memory of its deliveries."""

import tracemalloc
from collections.abc import Sequence

import pytest

from actors.forwarding import packs
from actors.forwarding.packs import Pack
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome
from tests.actors.forwarding.support import delivery


class Nothing:
    """A bundle that keeps nothing."""

    is_full = False

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        return len(deliveries)

    async def send(self) -> Outcome:
        return Delivered()

    async def discard(self) -> None:
        """Nothing to do."""


def test_a_bundle_keeps_a_number_of_each_delivery_and_the_ids_of_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remembered, count, page = 1000, 20_000, 500
    monkeypatch.setattr(packs, "REMEMBERED_IDS", remembered)
    pack = Pack(Nothing(), delivery(0), 0)
    tracemalloc.start()
    try:
        for first in range(0, count, page):
            pack.took([delivery(first + each, mpid=first) for each in range(page)])
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert list(pack.sequences) == list(range(count))
    assert len(pack.ids) == remembered
    assert pack.ids[-1] == (delivery(count - 1).delivery_id, count - page)
    assert kept_bytes < 10 * count + 400 * remembered
