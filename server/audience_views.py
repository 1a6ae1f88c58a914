"""Audiences and what belongs to them as the API shows it (spec/audiences.md, 2, 10 to 14)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from actors.audiences.answers import Counts, Evaluation, Explanation
from actors.audiences.catalog import AudienceOutput
from actors.audiences.estimate import Estimate
from actors.audiences.lifecycle import shown_status
from actors.audiences.objects import (
    AbTest,
    Audience,
    DateRange,
    Definition,
    Journey,
    Subscription,
)
from actors.audiences.queries import Asked
from actors.audiences.trees import members_document, milestone
from actors.audiences.variations import with_control

# spec/platform-api.md, 12
SERVICE_NAMES = {"webhook": "AudienceWebhook", "audience_csv": "AudienceCsv"}


def moment(at_ms: int) -> str:
    """Write an instant: UTC, milliseconds, no zone."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{at_ms % 1000:03d}"
    )


def shown_audience(
    audience: Audience,
    counts: Counts | None,
    is_faulted: bool,
    journeys: Mapping[int, Journey],
    now_ms: int,
) -> dict[str, Any]:
    """Return an audience as version 2 shows it.

    Args:
        audience: to be shown.
        counts: of its members, `None` if it has none or they are not known.
        is_faulted: one of its connections is.
        journeys: by number; that of a milestone's audience has to be there.
        now_ms: when.
    """
    definition = audience.definition
    document = None if definition is None else definition.canonical
    if audience.journey is not None and audience.milestone is not None:
        journey = journeys[audience.journey]
        found = milestone(journey, audience.milestone)
        document = None if found is None else members_document(journey, found)
    body: dict[str, Any] = {
        "id": audience.number,
        "name": audience.name,
        "external_name": audience.external_name,
        "type": audience.type,
        "workspaces": audience.workspaces,
        "inputs": audience.inputs,
        "environment": audience.environment,
        "definition": document,
        "tags": audience.tags,
        "status": _status(audience, is_faulted, now_ms),
        **_sizes(audience, counts),
        "created_by": audience.created_by,
        "created_on": moment(audience.created_ms),
        "last_modified_by": audience.last_modified_by,
        "last_modified_on": moment(audience.last_modified_ms),
        "revision": audience.revision,
        "warnings": [] if definition is None else shown_warnings(definition.warnings),
    }
    if definition is not None and _is_imported(definition):
        body["imported_definition"] = definition.sent
    if audience.type == "standard":
        body["range"] = shown_range(audience.range)
        calculated_ms = audience.calculated_ms
        body["calculated_on"] = None if calculated_ms is None else moment(calculated_ms)
    if audience.journey is not None:
        body |= {"journey_id": audience.journey, "milestone_id": audience.milestone}
    return body


def listed_audience(
    audience: Audience,
    counts: Counts | None,
    subscriptions: Sequence[Subscription],
    outputs: Mapping[int, AudienceOutput],
    names: Mapping[int, str],
    now_ms: int,
    document: Any,
) -> dict[str, Any]:
    """Return an audience as version 1 lists it.

    `names`: of workspaces by number; `document`: its whole definition.
    """
    by_provider: dict[str, list[str]] = {}
    for each in subscriptions:
        output = outputs.get(each.output)
        if output is not None and each.is_active:
            provider = SERVICE_NAMES.get(output.module, output.module)
            by_provider.setdefault(provider, []).append(output.name)
    sizes = _sizes(audience, counts)
    is_faulted = any(each.fault is not None for each in subscriptions)
    return {
        "id": audience.number,
        "name": audience.name,
        "external_name": audience.external_name,
        "size": sizes["size"],
        "created_by": audience.created_by,
        "last_modified_by": audience.last_modified_by,
        "last_modified_on": moment(audience.last_modified_ms),
        "is_calculated": _is_logical(document and document["criteria"]),
        "added_last_24_hours": sizes["added_last_24_hours"],
        "dropped_last_24_hours": sizes["dropped_last_24_hours"],
        "status": _status(audience, is_faulted, now_ms),
        "workspaces": [
            {"id": each, "name": names[each], "created_on": None, "data_type": "workspace"}
            for each in audience.workspaces
        ],
        "connected_outputs": [
            {
                "provider_name": provider,
                "configurations": [{"name": name} for name in names],
                "data_type": "audience_output",
            }
            for provider, names in sorted(by_provider.items())
        ],
        "data_type": "audience",
    }


def shown_warnings(warnings: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return what the author of a definition should know."""
    return [{"path": path, "message": message} for path, message in warnings]


def shown_range(range_: DateRange | None) -> Any:
    """Return the dates of a standard audience as they are sent."""
    if range_ is None or range_ == DateRange():
        return "all"
    return {"start": range_.start, "end": range_.end or "latest"}


def shown_test(test: AbTest) -> dict[str, Any]:
    """Return an A/B test, `Control` included."""
    return {
        "test_id": test.number,
        "variations": [
            {"name": each.name, "percentage": each.share / 100} for each in with_control(test)
        ],
        "created_by": test.created_by,
        "created_on": moment(test.created_ms),
    }


def shown_subscription(
    subscription: Subscription, *, is_loaded: bool | None = None
) -> dict[str, Any]:
    """Return a subscription.

    `is_loaded`: whether it was told of all members that there were; `None` if that is not known.
    """
    fault, sent_ms = subscription.fault, subscription.last_sent_ms
    return {
        "id": subscription.number,
        "audience_id": subscription.audience,
        "variant": subscription.variation,
        "output_id": subscription.output,
        "is_active": subscription.is_active,
        "is_faulted": fault is not None,
        "fault": None
        if fault is None
        else {
            "faulted_on": moment(fault.faulted_ms),
            "reason_code": fault.reason_code,
            "message": fault.message,
            "first_job_id": fault.first_job_id,
        },
        "settings": subscription.settings,
        "shared_user_attributes": subscription.shared_user_attributes,
        "initial_load": {} if is_loaded is None else {"is_done": is_loaded},
        "last_sent_on": None if sent_ms is None else moment(sent_ms),
    }


def shown_journey(journey: Journey) -> dict[str, Any]:
    """Return a journey with its milestones."""
    in_order = sorted(journey.milestones, key=lambda each: (each.parent or 0, each.position))
    return {
        "id": journey.number,
        "name": journey.name,
        "inputs": journey.inputs,
        "milestones": [shown_milestone(journey, each.number) for each in in_order],
        "created_by": journey.created_by,
        "created_on": moment(journey.created_ms),
        "last_modified_by": journey.last_modified_by,
        "last_modified_on": moment(journey.last_modified_ms),
    }


def shown_milestone(journey: Journey, number: int) -> dict[str, Any]:
    """Return a milestone, which has to be there."""
    found = milestone(journey, number)
    assert found is not None, "it was asked for by its number"
    return {
        "id": found.number,
        "name": found.name,
        "parent_id": found.parent,
        "position": found.position,
        "kind": found.kind,
        "definition": None if found.definition is None else found.definition.canonical,
        "audience_id": found.audience,
    }


def shown_estimate(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate."""
    body: dict[str, Any] = {
        "estimate": estimate.estimate,
        "low": estimate.low,
        "high": estimate.high,
        "sample_size": estimate.sample_size,
        "method": estimate.method,
        "state": estimate.state,
    }
    return body if estimate.message is None else body | {"message": estimate.message}


def shown_evaluation(asked: Asked, evaluation: Evaluation) -> dict[str, Any]:
    """Return what a definition gives for one user."""
    if evaluation.result is None:
        return {
            "mpid": evaluation.mpid,
            "result": None,
            "criteria": {},
            "expiration_timestamp_ms": None,
        }
    return {
        "mpid": evaluation.mpid,
        "result": evaluation.result,
        "criteria": dict(zip(asked.criteria, evaluation.criteria, strict=True)),
        "expiration_timestamp_ms": evaluation.expiration_ms,
    }


def shown_explanation(
    asked: Asked, mpid: int, found: Explanation, variant: str | None
) -> dict[str, Any]:
    """Return why a user is a member or not; `variant`: of the A/B test, `None` without one."""
    return {
        "mpid": mpid,
        "variant": variant,
        "result": found.result,
        "is_member": found.since_ms is not None,
        "since_ms": found.since_ms,
        "is_counted": found.is_counted,
        "expiration_timestamp_ms": found.expiration_ms,
        "criteria": [
            {"id": name, "result": each.result, "values": each.values, "missing": each.is_missing}
            for name, each in zip(asked.criteria, found.criteria, strict=True)
        ],
    }


def _status(audience: Audience, is_faulted: bool, now_ms: int) -> str:
    status = shown_status(audience, now_ms)
    return "faulted" if status == "active" and is_faulted else status


def _sizes(audience: Audience, counts: Counts | None) -> dict[str, Any]:
    if counts is None:
        unknown = ("size", "added_last_24_hours", "dropped_last_24_hours", "volatility")
        return dict.fromkeys(unknown)
    changes = counts.added + counts.dropped
    # What is counted while users are still being evaluated is no size.
    is_partial = audience.status == "activating" and audience.type == "real_time"
    return {
        "size": None if is_partial else counts.size,
        "added_last_24_hours": counts.added,
        "dropped_last_24_hours": counts.dropped,
        "volatility": changes / counts.size if counts.size and not is_partial else None,
    }


def _is_imported(definition: Definition) -> bool:
    return isinstance(definition.sent, dict) and "schema_version" in definition.sent


def _is_logical(criteria: Any) -> bool:
    """Tell whether a definition has a group of two nodes or more, or a `not`."""
    if not isinstance(criteria, dict) or "op" not in criteria:
        return False
    nodes = criteria["nodes"]
    is_group = criteria["op"] == "not" or len(nodes) >= 2
    return is_group or any(_is_logical(each) for each in nodes)
