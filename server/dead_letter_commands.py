"""`headwater dead-letters`: list, show and replay what could not be delivered.

Talks to a running deployment through the Platform API (spec/platform-api.md, 15).
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import click

TIMEOUT_S = 30.0


class _Api:
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
        return self._ask(self._workspace + path + (f"?{urlencode(query)}" if query else ""), None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Post below the workspace."""
        return self._ask(self._workspace + path, body)

    def _ask(self, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        if not self._base.startswith(("http://", "https://")):
            raise click.ClickException("--url must be an http or https URL")
        request = Request(self._base + path, data, headers)  # noqa: S310
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                return json.load(response)
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


@click.group("dead-letters")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Of the edges.")
@click.option("--client-id", required=True, envvar="HEADWATER_CLIENT_ID", help="API credential.")
@click.option(
    "--client-secret", required=True, envvar="HEADWATER_CLIENT_SECRET", help="Its secret."
)
@click.option("--workspace", default="1", show_default=True, help="Number of the workspace.")
@click.pass_context
def dead_letters(context: click.Context, /, **access: str) -> None:
    """Deliveries that failed for good: list them, read one, send them again."""
    context.obj = access


@dead_letters.command("list")
@click.argument("connection")
@click.option("--reason", help="Only those of one reason.")
@click.pass_obj
def list_(access: dict[str, str], connection: str, reason: str | None) -> None:
    """List the dead letters of a CONNECTION, oldest first, a JSON object per line."""
    for letter in _all(_Api(**access), connection, reason):
        click.echo(json.dumps(letter))


@dead_letters.command()
@click.argument("connection")
@click.argument("delivery_id")
@click.pass_obj
def show(access: dict[str, str], connection: str, delivery_id: str) -> None:
    """Show one dead letter with its payload."""
    letter = _Api(**access).get(f"{_path(connection)}/{quote(delivery_id, safe='')}")
    click.echo(json.dumps(letter, indent=2))


@dead_letters.command()
@click.argument("connection")
@click.argument("delivery_ids", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="All of the connection.")
@click.pass_obj
def replay(
    access: dict[str, str], connection: str, delivery_ids: tuple[str, ...], is_all: bool
) -> None:
    """Put dead letters of a CONNECTION into its queue again, by their DELIVERY_IDS or --all."""
    if is_all == bool(delivery_ids):
        raise click.UsageError("give delivery ids, or --all")
    body: dict[str, Any] = {"all": True} if is_all else {"ids": list(delivery_ids)}
    answer = _Api(**access).post(f"{_path(connection)}/replay", body)
    click.echo(f"{answer['replayed']} replayed")


def _path(connection: str) -> str:
    return f"/output-connections/{quote(connection, safe='')}/dlq"


def _all(api: _Api, connection: str, reason: str | None) -> Iterator[dict[str, Any]]:
    query = {} if reason is None else {"reason": reason}
    while True:
        page = api.get(_path(connection), **query)
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]
