"""What requests about audiences begin with.

An audience is found below the workspace that it is of, by its own account and by those with which
it is shared (spec/audiences.md, 12.1). One over several workspaces lies in one of them, and is
found below each of them (14).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiohttp import web

from actors.audiences.handles import AudienceDeskHandle
from actors.audiences.objects import Audience
from actors.audiences.receivers import level_of
from config.roles import Task
from server.audience_gateway import AudienceGateway
from server.bodies import json_object, read_body
from server.context import EDGES, Edge
from server.management import Caller, authorized, body_limit
from server.parameters import is_int64
from server.problems import Refused

MAY_CHANGE_AUDIENCES: Task = "audiences:*"
MAY_READ_AUDIENCES: Task = "audiences:view"


async def json_body(request: web.Request, caller: Caller) -> dict[str, Any]:
    """Read a body that has to be a JSON object."""
    return json_object(await read_body(request, body_limit(request, caller)))


def number_in_path(request: web.Request, name: str) -> int:
    """Return a number of the path; nothing has a number that is none (404)."""
    text = request.match_info[name]
    if not is_int64(text):
        raise Refused("NOT_FOUND", f"There is no such {name}.")
    return int(text)


class Use(NamedTuple):
    """A request about an audience, of its own account or of one that it is shared with.

    `owner`: the workspace that has the audience; `receiver`: number of the caller's, `None` if that
    is it.
    """

    caller: Caller
    owner: Edge
    receiver: int | None

    @property
    def desk(self) -> AudienceDeskHandle:
        """The desk that has the audience."""
        return self.owner.deployment.audiences.desk

    @property
    def gateway(self) -> AudienceGateway:
        """All that can be asked of the audience."""
        return self.owner.deployment.audiences

    @property
    def actor(self) -> str:
        """Who asks."""
        return self.caller.credential.client_id

    @property
    def is_shared(self) -> bool:
        """Whether the audience is another account's."""
        return self.owner.config.current.account != self.caller.config.account

    async def audiences(self) -> list[Audience]:
        """Return the audiences that the caller may see, by number."""
        if self.is_shared:
            return await self.desk.audiences_shared_with(self.caller.config.account)
        return [each for each in await self.desk.audiences() if visible(self.caller, each)]


def own_use(caller: Caller) -> Use:
    """Return the use of what is the caller's own."""
    return Use(caller, caller.edge, None)


def uses_of(request: web.Request, caller: Caller) -> list[Use]:
    """Return the workspaces of which the caller may see audiences, its own first, then those of
    its account."""
    others = [
        Use(caller, owner, caller.config.workspace)
        for owner in request.app[EDGES].all
        if owner.config.current.workspace != caller.config.workspace
    ]
    return [own_use(caller), *sorted(others, key=lambda each: each.is_shared)]


async def use_of(request: web.Request, caller: Caller, number: int) -> Use:
    """Return the use of an audience below the caller's workspace: it may lie in another one."""
    own, *others = uses_of(request, caller)
    of_account = [each for each in others if not each.is_shared]
    if of_account and await own.desk.audience(number) is None:
        for use in of_account:
            found = await use.desk.audience(number)
            if found is not None and visible(caller, found):
                return use
    return own


async def uses_by_audience(
    request: web.Request, caller: Caller, numbers: Sequence[int]
) -> list[tuple[Use, list[int]]]:
    """Return audiences with the use of the workspace that they lie in, the caller's own first.

    Those that the caller may not see are with its own, where there are none of these numbers.
    """
    own, *others = uses_of(request, caller)
    seen = {each.number for each in await own.audiences()}
    left = [each for each in numbers if each not in seen]
    found: list[tuple[Use, list[int]]] = []
    for use in others:
        if not left:
            break
        seen = {each.number for each in await use.audiences()}
        there = [each for each in left if each in seen]
        left = [each for each in left if each not in seen]
        if there:
            found.append((use, there))
    elsewhere = {number for _, there in found for number in there}
    rest = [each for each in numbers if each not in elsewhere]
    return [(own, rest), *found] if rest else found


async def enter_use(request: web.Request, task: Task) -> Use:
    """Check the token, its task, and that its account may see the audience of the path.

    Raises:
        Refused: no usable token (401), not the API or task (403), nothing that it may see (404).
    """
    caller = authorized(request, task)
    path = request.match_info["workspace"]
    if path in (str(caller.config.workspace), caller.config.workspace_slug):
        return await use_of(request, caller, number_in_path(request, "audience"))
    for use in uses_of(request, caller):
        if str(use.owner.config.current.workspace) == path and use.is_shared:
            found = await use.desk.audience(number_in_path(request, "audience"))
            if found is None or level_of(found, caller.config.account) == "private":
                raise no_audience()
            return use
    raise Refused("NOT_FOUND", "There is no such workspace.")


async def enter_owned(request: web.Request, task: Task) -> Use:
    """Check the token, its task, and that the audience of the path is the caller's own.

    Raises:
        Refused: as `enter_use`; it is shared, but another account's (403).
    """
    use = await enter_use(request, task)
    if use.is_shared:
        raise another_accounts()
    return use


def visible(caller: Caller, audience: Audience) -> bool:
    """Tell whether an audience is one of the workspace that the path names."""
    return caller.config.workspace in audience.workspaces


def another_accounts() -> Refused:
    """Make the error of an audience that its own account alone may manage."""
    return Refused("FORBIDDEN", "The audience belongs to another account.")


def no_audience() -> Refused:
    """Make the error of an audience that is not there."""
    return Refused("NOT_FOUND", "There is no such audience.")
