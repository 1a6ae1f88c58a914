"""The Platform API for commands that talk to a running deployment (spec/platform-api.md)."""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

import click

TIMEOUT_S = 30.0
_URL = re.compile(r"https?://[!-~]+")  # printable ASCII


class Unanswered(click.ClickException):
    """A deployment does not answer."""


class ApiRefused(click.ClickException):
    """A request was refused with a status; `lines`: why."""

    def __init__(self, status: int, lines: list[str]) -> None:
        super().__init__(f"{status}: " + "\n".join(lines))
        self.status = status
        self.lines = lines


class PlatformApi:
    """The Platform API of one workspace; without a name, of the one that the credential is of.

    URLs are those that `checked_url` has let through. Whatever is asked raises ApiRefused,
    Unanswered, or ClickException for an answer that is not of a Platform API.
    """

    def __init__(self, url: str, client_id: str, client_secret: str, workspace: str | None) -> None:
        self._base = url.rstrip("/")
        self._timeout_s = TIMEOUT_S
        self._token = ""
        answer = self._ask(
            "/oauth/token",
            {
                "client_id": client_id,
                "client_secret": client_secret,
                "grant_type": "client_credentials",
            },
        )
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise self._not_understood()
        self._token = answer["access_token"]
        name = self._claimed_workspace() if workspace is None else workspace
        self._workspace = f"/platform/v2/workspaces/{quote(name, safe='')}"

    def at(self, url: str, timeout_s: float) -> "PlatformApi":
        """Return the same credential at another port, with another patience."""
        other = copy(self)
        other._base, other._timeout_s = url.rstrip("/"), timeout_s
        return other

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Read, or post, what is below no workspace."""
        return self._ask(path, body)

    def get(self, path: str, **query: str) -> Any:
        """Read below the workspace."""
        return self._ask(self._below(path, query), None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Post below the workspace."""
        return self._ask(self._workspace + path, body)

    def delete(self, path: str, **query: str) -> Any:
        """Delete below the workspace; `None` where there is nothing to say."""
        return self._ask(self._below(path, query), None, "DELETE")

    def lines(self, path: str, **query: str) -> Iterator[str]:
        """Yield the lines below the workspace as they come."""
        with self._open(self._below(path, query), None) as response:
            for line in response:
                yield line.decode().rstrip("\n")

    def get_text(self, path: str) -> str:
        """Read something below the workspace that is no JSON."""
        with self._open(self._below(path, {}), None) as response:
            return response.read().decode()

    def put_text(self, path: str, text: str, content_type: str, **query: str) -> Any:
        """Put something below the workspace that is no JSON; return the JSON answer."""
        where = self._below(path, query)
        with self._open(where, text.encode(), "PUT", content_type) as response:
            return json.load(response)

    def _claimed_workspace(self) -> str:
        """Return the number of the workspace in the token (spec/platform-api.md, 2)."""
        try:
            claims = json.loads(urlsafe_b64decode(self._token.split(".")[1] + "=="))
            return str(claims["workspaces"][0])
        except (ValueError, LookupError, TypeError):
            raise self._not_understood() from None

    def _below(self, path: str, query: dict[str, str]) -> str:
        return self._workspace + path + (f"?{urlencode(query)}" if query else "")

    def _ask(self, path: str, body: dict[str, Any] | None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with self._open(path, data, method) as response:
            answer = response.read()
            return json.loads(answer) if answer else None

    @contextmanager
    def _open(
        self,
        path: str,
        data: bytes | None,
        method: str | None = None,
        content_type: str = "application/json",
    ) -> Iterator[HTTPResponse]:
        headers = {"Content-Type": content_type}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(self._base + path, data, headers, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=self._timeout_s) as response:  # noqa: S310
                yield response
        except HTTPError as error:
            raise ApiRefused(error.code, _reasons(error)) from None
        except OSError as error:
            raise Unanswered(f"{self._base} does not answer: {error}") from None
        except HTTPException:  # its text is what was sent
            raise Unanswered(f"{self._base} does not answer as HTTP wants it") from None
        except (ValueError, RecursionError):  # no JSON, no UTF-8, or it leads to what is no URL
            raise self._not_understood() from None

    def _not_understood(self) -> click.ClickException:
        return click.ClickException(f"{self._base} answers, but not as the Platform API does")


def _reasons(error: HTTPError) -> list[str]:
    """Return what was wrong, each with its place if it has one."""
    try:
        body = json.load(error)
        if "errors" not in body:
            return [str(body["error_description"])]
        return [
            f"{each['path']}: {each['message']}" if "path" in each else str(each["message"])
            for each in body["errors"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError, OSError, HTTPException):
        return [error.reason]


def checked_url(context: click.Context, option: click.Parameter, url: str) -> str:
    """Return the URL that an option was given, if something can be asked there.

    Raises:
        ClickException: names the option.
    """
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        is_url = bool(_URL.fullmatch(url) and parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or "@" in parts.netloc:
        raise click.ClickException(f"{option.opts[0]} must be an http or https URL with a host")
    return url


def with_access(command: Callable[..., None], *, is_required: bool = True) -> Callable[..., None]:
    """Let a command take the options that `PlatformApi` is made of.

    `is_required`: not where the command may need no deployment.
    """
    return with_credentials(
        click.option(
            "--workspace", help="Number or id of the workspace [that of the API credential]."
        )(command),
        is_required=is_required,
    )


def with_credentials(
    command: Callable[..., None], *, is_required: bool = True
) -> Callable[..., None]:
    """Let commands that find their workspace otherwise take the rest of these options."""
    options = (
        click.option(
            "--url",
            default="http://127.0.0.1:8080",
            show_default=True,
            callback=checked_url,
            help="Of the edges.",
        ),
        click.option(
            "--client-id",
            required=is_required,
            envvar="HEADWATER_CLIENT_ID",
            help="API credential.",
        ),
        click.option(
            "--client-secret",
            required=is_required,
            envvar="HEADWATER_CLIENT_SECRET",
            help="Its secret.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
