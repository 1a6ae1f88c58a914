"""Predictions whose scores come from outside (spec/predictions.md, 2; spec/audiences.md, 9)."""

from typing import Any, get_args

from aiohttp import web

from actors.audiences.handles import AudienceDeskHandle
from actors.predictions.objects import OUTPUTS, Operator, Prediction
from config.roles import Task
from server import prediction_bodies as bodies
from server.audience_problems import v2_errors
from server.audience_requests import json_body, number_in_path
from server.auditing import audited
from server.bodiless import without_body
from server.management import Caller, enter, write_audit
from server.openapi.takes import takes
from server.paging import paged
from server.parameters import is_int64
from server.paths import management_routes
from server.problems import Refused, json_answer

BINS = 100
# Of 10,000 rows, each a MPID of 20 characters as a text and a score of 20, indented.
MAX_SCORES_BYTES = 2 * 1024 * 1024
MAY_CHANGE: Task = "calculated_attributes:*"
_RESOURCE = "prediction"
_OPERATORS: tuple[Operator, ...] = get_args(Operator)


async def listed(request: web.Request) -> web.Response:
    """GET .../predictions?limit=&cursor=: all of them, by id."""
    caller = enter(request, "calculated_attributes:view")
    desk, now_ms = _desk(caller), caller.edge.clock.now_ms()
    uses = await desk.prediction_uses()
    found = await desk.predictions()
    return paged(
        request,
        [bodies.shown_prediction(each, uses.get(each.number, []), now_ms) for each in found],
    )


@audited("create", _RESOURCE)
@takes("Prediction")
async def create(request: web.Request) -> web.Response:
    """POST .../predictions: add one; its scores are to be posted."""
    caller = enter(request, MAY_CHANGE)
    fields = bodies.read_prediction(await json_body(request, caller))
    made = await _desk(caller).create_prediction(fields, caller.credential.client_id)
    return json_answer(bodies.shown_prediction(made, [], caller.edge.clock.now_ms()), 201)


async def one(request: web.Request) -> web.Response:
    """GET .../predictions/{id}: one of them."""
    caller = enter(request, "calculated_attributes:view")
    return await _shown(caller, await _prediction(request, caller))


@audited("update", _RESOURCE, _RESOURCE, one)
@takes("PredictionChange")
async def change(request: web.Request) -> web.Response:
    """PATCH .../predictions/{id}: change its name, but not its attributes', or its description.

    The rest may be as it is shown.
    """
    caller = enter(request, MAY_CHANGE)
    body = await json_body(request, caller)
    shown = await _as_shown(caller, await _prediction(request, caller))
    fields = bodies.read_change(body, shown)
    number = number_in_path(request, _RESOURCE)
    return await _shown(caller, await _desk(caller).change_prediction(number, fields))


@audited("delete", _RESOURCE, _RESOURCE, one)
async def delete(request: web.Request) -> web.Response:
    """DELETE .../predictions/{id}?force=true: delete it, and soon all that it gave users."""
    caller = enter(request, MAY_CHANGE)
    is_forced = request.query.get("force") == "true"
    desk = _desk(caller)
    used = await desk.delete_prediction(number_in_path(request, _RESOURCE), is_forced)
    if used is None:
        raise _no_prediction()
    if used:
        problem = {
            "code": "IN_USE",
            "message": "Audiences use the prediction.",
            "used_by": bodies.used_by(used),
        }
        return json_answer({"statusCode": 422, "errors": [problem]}, 422)
    return web.Response(status=204)


@without_body
@audited("activate", _RESOURCE, _RESOURCE, one)
async def activate(request: web.Request) -> web.Response:
    """POST .../predictions/{id}/activate: go on with its scores."""
    return await _switch(request, is_on=True)


@without_body
@audited("deactivate", _RESOURCE, _RESOURCE, one)
async def deactivate(request: web.Request) -> web.Response:
    """POST .../predictions/{id}/deactivate: leave users the values that they have."""
    return await _switch(request, is_on=False)


@takes("Scores", max_bytes=MAX_SCORES_BYTES)
async def post_scores(request: web.Request) -> web.Response:
    """POST .../predictions/{id}/scores: keep scores of up to 10,000 users."""
    caller = enter(request, MAY_CHANGE)
    rows = bodies.read_scores(await json_body(request, caller))
    number = number_in_path(request, _RESOURCE)
    unknown = await _desk(caller).post_scores(number, rows)
    if unknown is None:
        raise _no_prediction()
    received = {"received": len(rows)}
    await write_audit(caller, "update", "prediction_scores", number, after=received)
    return json_answer({"received": len(rows), "unknown": unknown}, 202)


@audited("read", "user", "mpid")
async def user(request: web.Request) -> web.Response:
    """GET .../predictions/{id}/users/{mpid}: what it gives one user."""
    caller = enter(request, "calculated_attributes:view", "user_activity:view")
    prediction = await _prediction(request, caller)
    mpid = request.match_info["mpid"]
    if not is_int64(mpid):
        raise _no_score()
    found = await _desk(caller).user_score(prediction.number, int(mpid))
    if found is None:
        raise _no_score()
    shown = bodies.shown_prediction(prediction, [], caller.edge.clock.now_ms())
    return json_answer(
        {
            "score": found.score,
            "percentile": found.percentile,
            "scored_at": shown["last_scored_at"],
            "version": 1,
            "contributions": [],
        }
    )


async def distribution(request: web.Request) -> web.Response:
    """GET .../predictions/{id}/distribution: histograms of both values."""
    caller = enter(request, "calculated_attributes:view")
    number = number_in_path(request, _RESOURCE)
    found = {}
    for output in OUTPUTS:
        found[output] = await _desk(caller).prediction_bins(number, output, BINS)
        if found[output] is None:
            raise _no_prediction()
    return json_answer(found)


async def size_at(request: web.Request) -> web.Response:
    """GET .../distribution/size-at?output=&operator=&value=: how many users that would be."""
    caller = enter(request, "calculated_attributes:view")
    query = request.query
    output, operator = query.get("output"), query.get("operator")
    if output not in OUTPUTS:
        raise Refused("BAD_REQUEST", f"output must be {' or '.join(OUTPUTS)}.")
    if operator not in _OPERATORS:
        raise Refused("BAD_REQUEST", f"operator must be {' or '.join(_OPERATORS)}.")
    try:
        value = float(query.get("value", ""))
    except ValueError:
        raise Refused("BAD_REQUEST", "value must be a number.") from None
    users = await _desk(caller).prediction_size(
        number_in_path(request, _RESOURCE),
        output,
        operator,
        value,
    )
    if users is None:
        raise _no_prediction()
    return json_answer({"users": users})


_PREDICTIONS = "/platform/v2/workspaces/{workspace}/predictions"
_PREDICTION = _PREDICTIONS + "/{prediction}"
ROUTES = management_routes(
    v2_errors,
    ("GET", _PREDICTIONS, listed),
    ("POST", _PREDICTIONS, create),
    ("GET", _PREDICTION, one),
    ("PATCH", _PREDICTION, change),
    ("DELETE", _PREDICTION, delete),
    ("POST", _PREDICTION + "/activate", activate),
    ("POST", _PREDICTION + "/deactivate", deactivate),
    ("POST", _PREDICTION + "/scores", post_scores),
    ("GET", _PREDICTION + "/users/{mpid}", user),
    ("GET", _PREDICTION + "/distribution", distribution),
    ("GET", _PREDICTION + "/distribution/size-at", size_at),
)


def _desk(caller: Caller) -> AudienceDeskHandle:
    return caller.edge.deployment.audiences.desk


async def _prediction(request: web.Request, caller: Caller) -> Prediction:
    found = await _desk(caller).prediction(number_in_path(request, _RESOURCE))
    if found is None:
        raise _no_prediction()
    return found


async def _shown(caller: Caller, prediction: Prediction | None) -> web.Response:
    if prediction is None:
        raise _no_prediction()
    return json_answer(await _as_shown(caller, prediction))


async def _as_shown(caller: Caller, prediction: Prediction) -> dict[str, Any]:
    uses = (await _desk(caller).prediction_uses()).get(prediction.number, [])
    return bodies.shown_prediction(prediction, uses, caller.edge.clock.now_ms())


async def _switch(request: web.Request, *, is_on: bool) -> web.Response:
    caller = enter(request, MAY_CHANGE)
    number = number_in_path(request, _RESOURCE)
    return await _shown(caller, await _desk(caller).switch_prediction(number, is_on))


def _no_prediction() -> Refused:
    return Refused("NOT_FOUND", "There is no such prediction.")


def _no_score() -> Refused:
    return Refused("NOT_FOUND", "The prediction gives this user nothing.")
