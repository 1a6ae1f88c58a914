"""What a run sends: requests of one input, completed from a pool, their outcomes in a ledger."""

from base64 import b64encode

from load_tests.client import Target, request_head
from load_tests.ledger import Ledger
from load_tests.pool import Pool


class IngestTraffic:
    """Requests of one input, from a pool, with their outcomes kept in a ledger."""

    def __init__(self, target: Target, key: str, secret: str, pool: Pool, ledger: Ledger) -> None:
        self.open = ledger.open
        self.settle = ledger.settle
        self._pool = pool
        self._target = target
        self._path = "/v2/bulkevents" if pool.is_bulk else "/v2/events"
        credentials = f"{key}:{secret}".encode()
        self._authorization = "Basic " + b64encode(credentials).decode()
        self._heads: dict[int, bytes] = {}

    def request(self, number: int, now_ms: int) -> bytes:
        """Return request `number` as it is sent at a time; see `Traffic.request`."""
        body = self._pool.body(number, now_ms)
        head = self._heads.get(len(body))
        if head is None:
            head = self._heads[len(body)] = request_head(
                self._target, "POST", self._path, self._authorization, len(body)
            )
        return head + body
