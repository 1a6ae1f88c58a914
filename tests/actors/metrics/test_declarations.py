"""What every declaration of a metric keeps to (spec/observability.md, 6)."""

import re

import pytest
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from actors.metrics.declaration import Metric
from tests.actors.metrics.declared import DECLARED


@pytest.mark.parametrize("declared", DECLARED, ids=lambda each: each.name)
def test_a_declaration_keeps_the_rules(declared: Metric[MetricWrapperBase]) -> None:
    assert declared.name.startswith("headwater_")
    assert declared.name.endswith("_total") == (declared.kind is Counter)
    if declared.unit in ("seconds", "bytes"):
        assert re.search(f"_{declared.unit}(_total)?$", declared.name)
    assert declared.meaning.endswith(".")
    assert declared.remedy.endswith(".")
    assert not {"mpid", "event_name", "url", "attribute"} & set(declared.labels)


def test_names_are_declared_once() -> None:
    names = [each.name for each in DECLARED]
    assert len(names) == len(set(names))
