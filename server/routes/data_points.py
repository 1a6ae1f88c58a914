"""The data points that an output's filter can switch (spec/connections.md, 2.4)."""

from aiohttp import web

from actors.pipeline.points import DataPoint
from server.config_edits import find
from server.config_problems import config_errors
from server.management import WORKSPACE, enter
from server.paging import paged
from server.paths import MANAGEMENT_PREFLIGHT, Route


async def listed(request: web.Request) -> web.Response:
    """GET .../filter/datapoints?limit=&cursor=: those that are known, and whether they are on.

    They are as those of spec/platform-api.md, 11. None are known as long as all outputs of the
    workspace get new ones by default.
    """
    caller = enter(request, "data_filter:view")
    deployment = caller.edge.deployment
    output = find(await deployment.configuration.sheet(), "outputs", request.match_info["output"])
    points = await deployment.data_points(output.item["id"])
    shown = [{**point._asdict(), "enabled": points[point]} for point in sorted(points)]
    return paged(request, shown, *DataPoint._fields)


ROUTES = (
    Route(
        "GET",
        WORKSPACE + "/outputs/{output}/filter/datapoints",
        listed,
        "platform",
        preflight=MANAGEMENT_PREFLIGHT,
        errors=config_errors,
    ),
)
