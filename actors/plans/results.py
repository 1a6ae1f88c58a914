"""What was found in a batch, as the Data Planning API and the command line tell it.

Source: spec/data-plans.md, 3.3.
"""

from typing import Any

from actors.plans.document import Actions
from actors.plans.findings import Finding
from actors.plans.matching import UNMATCHED, Match
from actors.plans.validation import Entry
from actors.plans.verdict import action_on


def result_of(entry: Entry, event: dict[str, Any] | None, actions: Actions) -> dict[str, Any]:
    """Return the result of one entry.

    Args:
        entry: with its findings.
        event: the data of the event that it is of, as it was sent; `None` if it is of none.
        actions: of the plan.
    """
    data: dict[str, Any] = {}
    if entry.match != UNMATCHED:
        data["match"] = entry.match.as_json()
    if event is not None:
        for name in ("event_id", "source_message_id"):
            if event.get(name) is not None:
                data[f"validated_{name}"] = str(event[name])
    data["validation_errors"] = [_error(each, entry.match, actions) for each in entry.findings]
    return {"event_type": "validation_result", "data": data}


def _error(finding: Finding, match: Match, actions: Actions) -> dict[str, Any]:
    error: dict[str, Any] = {
        "validation_error_type": finding.kind,
        "key": finding.key,
        "error_pointer": finding.pointer,
        "expected": finding.expected,
        "actual": finding.actual,
    }
    if finding.keyword is not None:
        error["schema_keyword"] = finding.keyword
    return error | {"action_expected": action_on(finding, match, actions)}
