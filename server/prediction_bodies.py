"""Bodies about predictions, read and shown (spec/predictions.md, 1 and 2).

Every reader raises `actors.errors.AudienceRefused` with all that is wrong.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from actors.errors import AudienceRefused, Problem
from actors.model.workspaces import ENVIRONMENTS
from actors.predictions.objects import Prediction, PredictionFields
from actors.store.scores import MILLION
from server.audience_bodies import MAX_NAME
from server.audience_members import BodyReader
from server.audience_views import moment
from server.parameters import is_int64

MAX_ROWS = 10_000
MAX_DESCRIPTION = 1000
MAX_HORIZON_DAYS = 90
MAX_ACTIVE_DAYS = 365
# Narrow who is trained on and scored: whoever scores outside decides that.
_OF_BUILTIN = ("population", "exclude")


def read_prediction(body: dict[str, Any]) -> PredictionFields:
    """Read a new prediction; its `goal` is as sent."""
    if body.get("type") == "uplift" and body.get("treatment") is None:
        raise AudienceRefused("MISSING_FIELD", [Problem("treatment is missing.", "/treatment")])
    read = BodyReader(body)
    read.word("type", ("future_event",))
    scorer = read.word("scorer", ("external", "builtin"))
    fields: dict[str, Any] = {
        "name": read.text("name", MAX_NAME, required=True),
        "description": read.text("description", MAX_DESCRIPTION, 0),
        "environment": read.word("environment", ENVIRONMENTS),
        "horizon_days": read.integer("horizon_days", 1, MAX_HORIZON_DAYS),
        "active_within_days": read.integer("active_within_days", 1, MAX_ACTIVE_DAYS),
    }
    if not read.has("goal"):
        read.fail("goal", "is missing")
    if scorer != "external" and (scorer or "scorer" not in body):
        read.fail("scorer", "must be external: nothing is trained here")
    for name in _OF_BUILTIN:
        if read.raw(name) is not None:
            read.fail(name, "must be null: nothing is scored here")
    read.finish()
    fields = {name: value for name, value in fields.items() if value is not None}
    return PredictionFields(goal=body["goal"], **fields)


def read_change(body: dict[str, Any], shown: Mapping[str, Any]) -> PredictionFields:
    """Read what of a prediction is to be changed; `shown`: it as it is shown."""
    read = BodyReader(body)
    read.read_only(shown, shown.keys() - {"name", "description"})
    fields: dict[str, Any] = {
        "name": read.text("name", MAX_NAME),
        "description": read.text("description", MAX_DESCRIPTION, 0),
    }
    read.finish()
    return PredictionFields(**{name: value for name, value in fields.items() if value is not None})


def read_scores(body: dict[str, Any]) -> list[tuple[int, int]]:
    """Read scores: (MPID, millionths). One that is wrong refuses all."""
    read = BodyReader(body)
    rows = read.entries("rows", MAX_ROWS, required=True) or []
    read.finish()
    problems: list[Problem] = []
    found = [_row(row, f"/rows/{index}", problems) for index, row in enumerate(rows)]
    if problems:
        raise AudienceRefused("VALIDATION_ERROR", problems)
    return found


def _row(row: Any, at: str, problems: list[Problem]) -> tuple[int, int]:
    if not isinstance(row, dict) or row.keys() != {"mpid", "score"}:
        problems.append(Problem("It must have mpid and score, and nothing else.", at))
        return 0, 0
    mpid, score = row["mpid"], row["score"]
    if not (type(mpid) is int or isinstance(mpid, str)) or not is_int64(str(mpid)):
        problems.append(Problem("mpid must be a whole number of 64 bits.", f"{at}/mpid"))
        return 0, 0
    if type(score) not in {int, float} or not 0 <= score <= 1:
        problems.append(Problem("score must be a number from 0 to 1.", f"{at}/score"))
        return 0, 0
    return int(mpid), round(score * MILLION)


def shown_prediction(prediction: Prediction, used: Sequence[int], now_ms: int) -> dict[str, Any]:
    """Return a prediction as callers see it; `used`: the audiences that refer to it."""
    goal = prediction.goal | ({"absent": True} if prediction.is_absent else {})
    posted_ms, applied_ms = prediction.posted_ms, prediction.applied_ms
    return {
        "id": prediction.number,
        "name": prediction.name,
        "slug": prediction.slug,
        "description": prediction.description,
        "type": "future_event",
        "scorer": "external",
        "environment": prediction.environment,
        "goal": goal,
        "horizon_days": prediction.horizon_days,
        "active_within_days": prediction.active_within_days,
        **dict.fromkeys(_OF_BUILTIN),
        "status": prediction.status(now_ms),
        "quality": "unknown",
        "attributes": list(prediction.attributes),
        "scored_users": prediction.users,
        "last_posted_at": None if posted_ms is None else moment(posted_ms),
        "last_scored_at": None if applied_ms is None else moment(applied_ms),
        "used_by": used_by(used),
        "created_by": prediction.created_by,
        "created_on": moment(prediction.created_ms),
    }


def used_by(audiences: Sequence[int]) -> list[dict[str, Any]]:
    """Return audiences as what uses a prediction."""
    return [{"type": "audience", "id": each} for each in audiences]
