"""What `headwater serve` prints when it is ready: where it is, and how to send a first event."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from config.inputs import Input
from config.settings import Settings
from config.workspace import WorkspaceDocument


def banner(
    settings: Settings,
    documents: Sequence[WorkspaceDocument],
    port: int,
    admin_port: int,
    is_example: bool,
) -> str:
    """Return the text; how to send is shown for the first workspace.

    Secrets are shown only where it `is_example`: they are public then.
    """
    url = f"http://{_reachable(settings.host)}:{port}"
    admin = f"http://{_reachable(settings.admin_host)}:{admin_port}"
    names = [f"'{each.workspace.id}'" for each in documents]
    lines = [
        "",
        f"Headwater serves workspace{'s' if len(documents) > 1 else ''} {', '.join(names)}.",
        "",
        f"  events, profiles   {url}",
        *_secure(settings),
        f"  metrics, health    {admin}/metrics   {admin}/readyz",
        f"  data               {settings.data_dir}",
        *([f"  demo shop          {url}/demo"] if settings.development else []),
    ]
    for output in (output for each in documents for output in each.outputs):
        target = output.settings.get("url")
        if isinstance(target, str):
            lines.append(f"  output '{output.id}'".ljust(20) + f" {_place(target)}")
    source = _first_server_input(documents[0])
    if source is not None:
        key = source.keys[0].key
        secret = source.keys[0].secret.get_secret_value() if is_example else "SECRET"
        lines += ["", *_curl(url, key, secret), "", *_snippet(url, key, secret)]
    return "\n".join([*lines, ""])


def _secure(settings: Settings) -> list[str]:
    if settings.tls_cert is None:
        return []
    return [f"  the same by HTTPS  https://{_reachable(settings.host)}:{settings.tls_port}"]


def _curl(url: str, key: str, secret: str) -> list[str]:
    batch = (
        '{"user_identities": {"customer_id": "ann"}, "events": [{"event_type": "custom_event", '
        '"data": {"event_name": "Hello"}}]}'
    )
    return [
        "Send a first event:",
        "",
        f"  curl -i -u {key}:{secret} {url}/v2/events -d '{batch}'",
    ]


def _snippet(url: str, key: str, secret: str) -> list[str]:
    return [
        "Or with the Python SDK (pip install mparticle):",
        "",
        "  import mparticle",
        "  configuration = mparticle.Configuration()",
        f'  configuration.api_key, configuration.api_secret = "{key}", "{secret}"',
        f'  configuration.host = "{url}/v2"',
        "  batch = mparticle.Batch()",
        '  batch.environment = "production"',
        '  batch.user_identities = mparticle.UserIdentities(customerid="ann")',
        '  batch.events = [mparticle.AppEvent("Hello", "other")]',
        "  mparticle.EventsApi(configuration).upload_events(batch)  # raises unless accepted",
    ]


def _first_server_input(document: WorkspaceDocument) -> Input | None:
    """Return the first input that a server would send to: a feed, if there is one."""
    feeds = [each for each in document.inputs if each.kind == "feed"]
    return next(iter([*feeds, *document.inputs]), None)


def _reachable(host: str) -> str:
    """Return an address under which this machine reaches itself."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _place(url: str) -> str:
    """Return where an output's data come out, without credentials or a query."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return str(Path(parts.netloc + parts.path))
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
