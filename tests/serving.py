"""Real deployments for whole-system and crash tests, and what such tests ask of them."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from actors.clock import SystemClock
from load_tests.server_process import ServerProcess
from tests.whole.world import basic

KEY, SECRET = "us1-test-backend-key", "test-secret"
WEB_KEY = "us1-test-web-key"
FIELDS = "user_identities,user_attributes,device_identities,consent_state,attribution"
PATIENCE_S = 60.0
PAUSE_S = 0.05

WORKSPACE = """
version: 1
account: {id: acme, name: Acme}
workspace:
  id: w1
  name: W1
  regulations:
    gdpr: {enabled: true, purposes: [newsletter]}
    ccpa: {enabled: true}
  limits:
    batches_per_second: 0
    profile_requests_per_second: 100000
    platform_requests_per_minute: 0
api_credentials:
  - {client_id: ops, client_secret: ops-secret, role: admin, apis: [platform, profile]}
inputs:
  - id: backend
    kind: feed
    name: Backend
    keys: [{key: us1-test-backend-key, secret: test-secret}]
  - id: web
    kind: platform
    os: MobileWeb
    name: Web
    keys: [{key: us1-test-web-key, secret: test-secret}]
outputs:
  - id: files
    kind: event
    module: file
    name: Files
    settings:
      url: "file://${env:HEADWATER_DATA_DIR}/events"
      format: ndjson
      roll: {max_wait_s: 0.2}
connections:
  - {id: backend-files, input: backend, output: files}
"""

T = TypeVar("T")


class Served:
    """A deployment that a test runs, and reads over HTTP."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        workspace: str = WORKSPACE,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = folder / "data"
        document = folder / "workspace.yaml"
        document.write_text(workspace)
        flags = ("--workspace", str(document), *flags)
        self.process = ServerProcess(self.data_dir, SystemClock(), *flags, environ=environ)
        self._token = ""
        self._number = 1
        self._client_id = "ops"

    def of(self, workspace: int, client_id: str) -> "Served":
        """Return the same deployment as an administrator of another workspace sees it."""
        other = copy(self)
        other._token, other._number, other._client_id = "", workspace, client_id
        return other

    def start(self) -> None:
        """Start it, or start it again on the same folder."""
        self.process.start()
        self._token = ""

    def post(self, path: str, body: Any, key: str = KEY, secret: str = SECRET) -> tuple[int, Any]:
        """Post JSON with an input's credentials; return status and body."""
        return self.ask("POST", path, json.dumps(body).encode(), basic(f"{key}:{secret}"))

    def get(self, path: str) -> tuple[int, Any]:
        """Read something with the administrator's token."""
        return self.get_from(self.process.url, path)

    def get_from(self, url: str, path: str) -> tuple[int, Any]:
        """Read something from another port with the administrator's token."""
        return self.ask("GET", path, None, self._bearer(), url)

    def manage(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Change something with the administrator's token."""
        data = None if body is None else json.dumps(body).encode()
        return self.ask(method, path, data, self._bearer())

    def _bearer(self) -> dict[str, str]:
        if not self._token:
            fields = {
                "client_id": self._client_id,
                "client_secret": "ops-secret",
                "grant_type": "client_credentials",
            }
            _, answer = self.ask("POST", "/oauth/token", json.dumps(fields).encode(), {})
            self._token = answer["access_token"]
        return {"Authorization": f"Bearer {self._token}"}

    @property
    def _users(self) -> str:
        return f"/platform/v2/workspaces/{self._number}/users"

    def find(self, query: str) -> list[int]:
        """Return the MPIDs of the users that a search finds."""
        _, rows = self.get(f"{self._users}/search?q={quote(query, safe='')}")
        return [row["mpid"] for row in rows]

    def profile(self, query: str) -> dict[str, Any]:
        """Return the Profile API's answer for the one user that a search finds."""
        [mpid] = self.find(query)
        status, profile = self.get(f"/userprofile/v1/1/1/{self._number}/{mpid}?fields={FIELDS}")
        assert status == 200, profile
        result: dict[str, Any] = profile
        return result

    def events(self, query: str) -> list[dict[str, Any]]:
        """Return the events of the one user that a search finds, in the order applied."""
        [mpid] = self.find(query)
        status, page = self.get(f"{self._users}/{mpid}/events?limit=1000")
        assert status == 200, page
        return [event for item in reversed(page["items"]) for event in item["events"]]

    def delivered(self, folder: str = "events") -> list[dict[str, Any]]:
        """Return the batches in the files of an output, in no order."""
        files = sorted((self.data_dir / folder).glob("**/*.ndjson"))
        files = [file for file in files if "_manifest" not in file.parts]
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def ask(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str], url: str = ""
    ) -> tuple[int, Any]:
        """Send a request; return status and body, decoded."""
        headers = {"Content-Type": "application/json", **headers}
        request = Request((url or self.process.url) + path, data, headers, method=method)
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, _decode(response.read())
        except HTTPError as error:
            return error.code, _decode(error.read())


def _decode(body: bytes) -> Any:
    return json.loads(body) if body else None


def eventually(
    ask: Callable[[], T], is_right: Callable[[T], bool], patience_s: float = PATIENCE_S
) -> T:
    """Ask until the answer is right; fail with the last one when patience ends."""
    deadline = time.monotonic() + patience_s
    while True:
        answer = ask()
        if is_right(answer):
            return answer
        assert time.monotonic() < deadline, f"still {answer!r}"
        _pause()


def _pause() -> None:
    time.sleep(PAUSE_S)  # between two looks at a condition that has a deadline


def serving(folder: Path, *flags: str, workspace: str = WORKSPACE) -> Iterator[Served]:
    """Run a deployment for a fixture."""
    served = Served(folder, *flags, workspace=workspace)
    served.start()
    yield served
    if served.process.is_running:
        served.process.kill()
