"""The identity calls that were recorded of the web SDK get what it needs (spec/clients.md, 4.5)."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from tests.whole.world import DOCUMENT, World, changed, running

RECORDED = Path(__file__).parents[1] / "data" / "recorded" / "web.ndjson"
KEY = "us1-0123456789abcdef0123456789abcdef"
AFTER_RECORDING = 1_795_480_600_000
WEB_INPUT = changed(
    DOCUMENT,
    inputs=[
        each
        if each["id"] != "web"
        else each | {"keys": [{"key": KEY, "secret": "recorded-secret"}]}
        for each in DOCUMENT["inputs"]
    ],
)
CALLS = ("identify", "login", "logout", "search", "modify", "alias")


def kind_of(line: dict[str, Any]) -> str | None:
    """Return which identity call a recorded request is, `None` if it is none."""
    name = line["path"].partition("?")[0].rsplit("/", 1)[1].lower()
    return name if name in CALLS else None


class Session:
    """Replays requests, with MPIDs of this server in the place of the recorded ones."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._latest: dict[str, str] = {}  # MPID that was answered last, by environment
        self._issued: dict[tuple[str, str], str] = {}

    async def replay(self, line: dict[str, Any]) -> tuple[ClientResponse, dict[str, Any]]:
        """Send a recorded request; return the answer and the body that was sent."""
        body, path = line["body"] or {}, line["path"]
        environment = body.get("environment", "")
        if body.get("previous_mpid") is not None:
            body["previous_mpid"] = self._current(environment, body["previous_mpid"])
        if "mpid" in body:
            body["mpid"] = self._current(environment, body["mpid"])
        if kind_of(line) == "modify" and body:
            recorded = path.split("/")[-2]
            path = path.replace(recorded, self._current(environment, recorded))
        path, asked, recorded = path.partition("?mpid=")
        if asked:
            path += asked + self._current("development", recorded)
        for name in ("source_mpid", "destination_mpid"):
            if name in body.get("data", ()):
                body["data"][name] = await self._somebody(environment, body["data"][name])
        headers = {k: v for k, v in line["headers"].items() if k.lower() != "content-length"}
        content = json.dumps(body) if line["method"] == "POST" else None
        response = await self._world.client.request(
            line["method"], path, data=content, headers=headers
        )
        if response.status == 200 and kind_of(line) in ("identify", "login", "logout"):
            self._latest[environment] = (await response.json())["mpid"]
        return response, body

    def _current(self, environment: str, recorded: str) -> str:
        return self._issued.setdefault((environment, recorded), self._latest.get(environment, ""))

    async def _somebody(self, environment: str, recorded: str) -> str:
        """Return the MPID that stands for a recorded one, of a new user if there is none yet."""
        if (environment, recorded) not in self._issued:
            body = {
                "environment": environment,
                "known_identities": {"device_application_stamp": f"of-{recorded}"},
            }
            answer = await self._world.client.post(
                "/v1/identify", json=body, headers={"x-mp-key": KEY}
            )
            self._issued[environment, recorded] = (await answer.json())["mpid"]
        return self._issued[environment, recorded]


async def check_user(response: ClientResponse, kind: str, sent: dict[str, str]) -> dict[str, Any]:
    """Check what the SDK reads of an identify, login, logout or search; return the answer."""
    assert response.status == 200, await response.text()
    answer: dict[str, Any] = await response.json()
    assert set(answer) == {"context", "mpid", "matched_identities", "is_ephemeral", "is_logged_in"}
    assert isinstance(answer["mpid"], str)
    assert str(int(answer["mpid"])) == answer["mpid"] != "0"
    assert int(answer["mpid"]) < 2**53
    assert answer["context"] is None
    assert answer["matched_identities"].items() <= sent.items()
    assert answer["is_ephemeral"] is not answer["is_logged_in"]
    is_kept = kind in ("identify", "login")
    assert response.headers.get("X-MP-Max-Age") == ("86400" if is_kept else None)
    return answer


def check_preflight(response: ClientResponse, asked: dict[str, str]) -> None:
    assert response.status == 204
    allowed = {each.strip() for each in response.headers["Access-Control-Allow-Headers"].split(",")}
    wanted = asked.get("access-control-request-headers", "")
    assert {each.strip() for each in wanted.split(",") if each.strip()} <= allowed
    assert "POST" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("shards", [1, 3], ids=["1 shard", "3 shards"])
async def test_every_recorded_identity_call_gets_what_the_sdk_needs(
    tmp_path: Path, shards: int
) -> None:
    """spec/clients.md, worked cases 14 and 16, the identity calls."""
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    lines = [line for line in lines if kind_of(line) is not None]
    assert len([line for line in lines if line["method"] == "POST"]) == 11
    answers: list[tuple[str, Any]] = []
    clock = ManualClock(AFTER_RECORDING)
    async with running(tmp_path, shards=shards, document=WEB_INPUT, clock=clock) as world:
        session = Session(world)
        for line in lines:
            kind = kind_of(line)
            assert kind is not None
            response, body = await session.replay(line)
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            exposed = response.headers["Access-Control-Expose-Headers"]
            assert {"X-MP-Max-Age", "Retry-After"} <= {each.strip() for each in exposed.split(",")}
            if line["method"] == "OPTIONS":
                check_preflight(response, line["headers"])
            elif line["call"] == "wrong key":
                assert response.status == 401
            elif kind == "alias":
                assert (response.status, await response.read()) == (202, b"")
            elif kind == "modify":
                assert response.status == 200
                results = (await response.json())["change_results"]
                assert {each["identity_type"] for each in results} == {
                    each["identity_type"] for each in body["identity_changes"]
                }
                assert all(isinstance(each["modified_mpid"], str) for each in results)
            else:
                answer = await check_user(response, kind, body["known_identities"])
                answers.append((kind, answer))
    [first, login, search, logout, other, domain] = [answer for _, answer in answers]
    assert [kind for kind, _ in answers] == [
        "identify",
        "login",
        "search",
        "logout",
        "identify",
        "identify",
    ]
    assert (first["matched_identities"], first["is_logged_in"]) == ({}, False)
    assert (login["mpid"], login["is_logged_in"]) == (first["mpid"], True)
    assert login["matched_identities"]["email"] == "lea@example.test"
    assert (search["mpid"], search["is_logged_in"]) == (login["mpid"], True)
    assert (logout["is_logged_in"], logout["mpid"] == login["mpid"]) == (False, False)
    assert other["is_logged_in"]
    assert domain["is_logged_in"]
    assert len({first["mpid"], logout["mpid"], other["mpid"], domain["mpid"]}) == 4


async def test_a_refused_alias_tells_the_sdk_why_at_the_top_level(tmp_path: Path) -> None:
    """spec/clients.md, worked case 15, with the request that was recorded."""
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    line = next(each for each in lines if kind_of(each) == "alias" and each["method"] == "POST")
    line["body"]["data"]["source_mpid"] = line["body"]["data"]["destination_mpid"]
    clock = ManualClock(AFTER_RECORDING)
    async with running(tmp_path, document=WEB_INPUT, clock=clock) as world:
        response, _ = await Session(world).replay(line)
        assert response.status == 400
        assert await response.json() == {
            "code": "BAD_REQUEST",
            "message": "The source MPID is the same as the destination MPID.",
        }


async def test_nobody_found_is_json_to_the_sdk(tmp_path: Path) -> None:
    """spec/clients.md, 4.5: the recorded search before anybody has logged in."""
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    line = next(each for each in lines if kind_of(each) == "search" and each["method"] == "POST")
    async with running(tmp_path, document=WEB_INPUT) as world:
        response, _ = await Session(world).replay(line)
        assert response.status == 404
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert (await response.json())["Errors"][0]["message"] == "User not found."
