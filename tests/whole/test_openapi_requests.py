"""Requests that schemathesis makes from our own OpenAPI document: none may be answered 500.

    HEADWATER_SCHEMATHESIS_S=3600 python -m pytest tests/whole/test_openapi_requests.py

goes over all operations for as long as one likes. However slow the machine is, each is asked before
the time counts, but for those whose bodies take long to make.
"""

import os
import random
import re
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
from tests.serving import KEY, SECRET, WEB_KEY, Served, serving
from tests.whole.world import basic

pytestmark = pytest.mark.ray

BUDGET_S = float(os.environ.get("HEADWATER_SCHEMATHESIS_S", "45"))
FIRST_EXAMPLES = 2  # the first of them is the least that a schema allows
EXAMPLES = 5
LEAST_HEARD = 60  # operations that read a body: others ask for something that is not there
# Many batches, or a document, take seconds to be made of their schemas: others are done first.
LARGE = re.compile(r"events|import|beacon|/v1/b$|/v1/batch$|bulkcalculated|/config$")
# What is there. Another name gets a 404 or 403, and its body is not read.
NAMES = {
    **dict.fromkeys(("org", "account", "workspace", "scope"), "1"),
    **dict.fromkeys(("key", "api_key", "write_key"), WEB_KEY),
    "environment": "production",
    "input": "backend",
    "output": "files",
    "connection": "backend-files",
}
# Who refuses everybody else is asked with what it wants to know.
INPUT = basic(f"{KEY}:{SECRET}")
WEB_INPUT = basic(f"{WEB_KEY}:")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path)


def headers_of(operation: Any, token: dict[str, str]) -> dict[str, str]:
    """Return what proves who asks."""
    if operation.path.startswith("/admin") or {"platform", "profile"} & set(operation.tags):
        return token
    return WEB_INPUT if "segment" in operation.tags else INPUT


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
    large = [each for each in operations if LARGE.search(each.path)]
    small = [each for each in operations if not LARGE.search(each.path)]
    token = served._bearer()
    statuses: Counter[int] = Counter()
    answered: set[str] = set()  # operations
    heard: set[str] = set()  # operations whose body was read
    wrong: list[str] = []

    def ask(operation: Any, examples: int) -> None:
        @given(case=operation.as_strategy())
        @seed(number + examples)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def once(case: Any) -> None:
            case.path_parameters |= {
                name: each for name, each in NAMES.items() if name in case.path_parameters
            }
            answer = case.call(headers=headers_of(operation, token), timeout=30)
            statuses[answer.status_code] += 1
            answered.add(operation.label)
            if answer.status_code < 300 or answer.status_code in (400, 422):
                heard.add(operation.label)
            if answer.status_code >= 500 and answer.status_code != 503:  # the machine is busy
                wrong.append(f"{answer.status_code} {answer.text[:200]}: {case.as_curl_command()}")

        once()

    deadline_s = time.monotonic() + BUDGET_S
    for operation in small:
        ask(operation, FIRST_EXAMPLES)
    for operation in (*large, *small):
        if time.monotonic() > deadline_s:
            break
        ask(operation, EXAMPLES)
    with_body = heard & {each.label for each in operations if each.body}
    print(f"{len(answered)} of {len(operations)} operations: {dict(statuses)}")
    print(f"bodies read by {len(with_body)}")
    assert not wrong, wrong
    assert answered >= {each.label for each in small}
    assert len(with_body) >= LEAST_HEARD, sorted(with_body)
    assert served.post("/v2/events", {"events": []})[0] in (202, 400)
