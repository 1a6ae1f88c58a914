"""Requests that schemathesis makes from our own OpenAPI document: none may be answered 500.

    HEADWATER_SCHEMATHESIS_S=3600 python -m pytest tests/whole/test_openapi_requests.py

goes over all operations for as long as one likes; without it operations are drawn for a while.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.core.result import Ok

from actors.clock import SystemRandomness
from tests.serving import KEY, SECRET, Served, serving
from tests.whole.world import basic

pytestmark = pytest.mark.ray

BUDGET_S = float(os.environ.get("HEADWATER_SCHEMATHESIS_S", "45"))
EXAMPLES = 5
# Schemas of whole batches take seconds to be made a strategy of: others are done first.
LARGE = ("events", "import", "seed", "calculatedattributes")
# Who refuses everybody else is asked with what it wants to know.
INPUT = basic(f"{KEY}:{SECRET}")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path)


def headers_of(path: str, token: dict[str, str]) -> dict[str, str]:
    """Return what proves who asks."""
    is_management = path.startswith(("/platform", "/userprofile", "/admin", "/v1/audiences"))
    return token if is_management or "calculatedattributes" in path else INPUT


def test_no_request_that_the_document_allows_is_answered_500(served: Served) -> None:
    """Of an edge's port and of the admin port."""
    urls = served.process.url, served.process.admin_url.removesuffix("/metrics")
    schemas = [schemathesis.openapi.from_url(f"{url}/openapi.json") for url in urls]
    found = [each for schema in schemas for each in schema.get_all_operations()]
    assert all(isinstance(each, Ok) for each in found), found
    operations = [each.ok() for each in found if isinstance(each, Ok)]
    number = SystemRandomness().bits(32)
    print(f"seed {number}")
    random.Random(number).shuffle(operations)
    operations.sort(key=lambda each: any(word in each.path for word in LARGE))
    token = served._bearer()
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    deadline_s = time.monotonic() + BUDGET_S

    def ask(operation: Any) -> None:
        @given(case=operation.as_strategy())
        @seed(number)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def once(case: Any) -> None:
            answer = case.call(headers=headers_of(operation.path, token), timeout=30)
            statuses[answer.status_code] += 1
            if answer.status_code >= 500 and answer.status_code != 503:  # the machine is busy
                wrong.append(f"{answer.status_code} {answer.text[:200]}: {case.as_curl_command()}")

        once()

    asked = 0
    for operation in operations:
        if time.monotonic() > deadline_s:
            break
        ask(operation)
        asked += 1
    print(f"{asked} of {len(operations)} operations: {dict(statuses)}")
    assert not wrong, wrong
    assert asked
    assert served.post("/v2/events", {"events": []})[0] in (202, 400)
