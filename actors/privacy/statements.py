"""What is said of a request, in answers and in callbacks (spec/privacy.md, 3.3 and 4.2)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from actors.privacy.requests import Status, SubjectRequest, Version

# Where requests are, by version.
REQUESTS: Mapping[Version, str] = {
    "1.0": "/v1/opengdpr_requests",
    "2.0": "/v2/requests",
    "3.0": "/v3/requests",
}


def shown_time(moment_ms: int | None) -> str | None:
    """Write a time in ISO 8601, to the second."""
    if moment_ms is None:
        return None
    return datetime.fromtimestamp(moment_ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def results_url(request: SubjectRequest, base: str) -> str | None:
    """Return where a result is fetched, `None` if there is none."""
    if request.result is None:
        return None
    path = REQUESTS[request.sent.version]
    return f"{base}{path}/{request.id}/results?token={request.result.token}"


def statement(
    request: SubjectRequest,
    controller: str,
    base: str,
    status: Status | None = None,
    expected_ms: int | None = None,
) -> dict[str, Any]:
    """Return what a request has come to.

    Args:
        request: as it is now.
        controller: the workspace's number.
        base: scheme and host of the API.
        status: that it had once, with what was expected then; `None`: it is told as it is now.
    """
    is_now = status is None
    shown = {
        "controller_id": controller,
        "expected_completion_time": shown_time(request.expected_ms if is_now else expected_ms),
        "subject_request_id": request.id,
        "group_id": request.sent.group,
        "request_status": request.status if is_now else status,
        "api_version": request.sent.version,
        "results_url": results_url(request, base) if is_now or status == "completed" else None,
        "extensions": None
        if request.forwards is None
        else [
            {
                "domain": each.domain,
                "name": each.name,
                "status": each.status,
                "status_message": each.message,
            }
            for each in request.forwards
        ],
    }
    if request.sent.version == "1.0":  # it knows of no groups
        del shown["group_id"]
    return shown
