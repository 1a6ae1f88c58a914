"""The Platform API for commands that talk to a running deployment (spec/platform-api.md)."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import click

TIMEOUT_S = 30.0


class PlatformApi:
    """The Platform API of one workspace."""

    def __init__(self, url: str, client_id: str, client_secret: str, workspace: str) -> None:
        self._base = url.rstrip("/")
        self._workspace = f"/platform/v2/workspaces/{quote(workspace, safe='')}"
        self._token = ""
        answer = self._ask(
            "/oauth/token",
            {
                "client_id": client_id,
                "client_secret": client_secret,
                "grant_type": "client_credentials",
            },
        )
        self._token = answer["access_token"]

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

    def _below(self, path: str, query: dict[str, str]) -> str:
        return self._workspace + path + (f"?{urlencode(query)}" if query else "")

    def _ask(self, path: str, body: dict[str, Any] | None, method: str | None = None) -> Any:
        with self._open(path, body, method) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    @contextmanager
    def _open(
        self, path: str, body: dict[str, Any] | None, method: str | None = None
    ) -> Iterator[HTTPResponse]:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        if not self._base.startswith(("http://", "https://")):
            raise click.ClickException("--url must be an http or https URL")
        request = Request(self._base + path, data, headers, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                yield response
        except HTTPError as error:
            raise click.ClickException(f"{error.code}: {_reason(error)}") from None
        except (URLError, OSError) as error:
            raise click.ClickException(f"{self._base} does not answer: {error}") from None


def _reason(error: HTTPError) -> str:
    try:
        body = json.load(error)
        return str(body["errors"][0]["message"] if "errors" in body else body["error_description"])
    except (ValueError, KeyError, IndexError):
        return error.reason


def with_access(command: Callable[..., None]) -> Callable[..., None]:
    """Let a group of commands take the options that `PlatformApi` is made of."""
    options = (
        click.option(
            "--url", default="http://127.0.0.1:8080", show_default=True, help="Of the edges."
        ),
        click.option(
            "--client-id", required=True, envvar="HEADWATER_CLIENT_ID", help="API credential."
        ),
        click.option(
            "--client-secret", required=True, envvar="HEADWATER_CLIENT_SECRET", help="Its secret."
        ),
        click.option(
            "--workspace", default="1", show_default=True, help="Number of the workspace."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
