"""Data subject requests: OpenGDPR 1.0, OpenDSR 2.0 and 3.0 (spec/privacy.md, 3)."""

from base64 import b64encode
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from actors.outputs.egress import EgressRules
from actors.privacy.requests import SubjectRequest, Version
from actors.privacy.statements import REQUESTS, shown_time, statement
from actors.store.audit_log import Action, AuditEntry, Author
from server.addresses import ADDRESSES
from server.bodies import read_bytes
from server.browsers import client_address, host_of, scheme_of
from server.context import EDGES, Edge, edge_of
from server.dsr_answers import answer, version_of
from server.dsr_bodies import MAIN_TYPES, read_submission
from server.dsr_problems import NOT_FOUND, NOT_VALID, DsrRefused, dsr_errors, invalid
from server.file_answers import send_zip
from server.limits import MINUTE_MS, Limit
from server.management import write_entry
from server.openapi.takes import takes
from server.paths import Route
from server.problems import Refused, json_answer
from server.proofs import prove_workspace_key
from server.rates import admit

MAX_BODY_BYTES = 1024 * 1024  # of 5,000 identities
REQUESTS_PER_MINUTE = 1000  # spec/privacy.md, 3.6
TYPES = ("access", "erasure", "portability")

_CERTIFICATES: dict[Version, str] = {
    "1.0": "/gdpr/opengdpr_cert.pem",
    "2.0": "/dsr/opendsr_cert.pem",
    "3.0": "/dsr/opendsr_cert.pem",
}


@takes("SubjectRequest")
async def submit(request: web.Request) -> web.Response:
    """POST /v3/requests: ask for somebody's data to be erased, or to be handed out."""
    edge = _entered(request)
    config, privacy = edge.config.current, edge.deployment.privacy
    body = await read_bytes(request, MAX_BODY_BYTES)
    sent = read_submission(
        body,
        version_of(request),
        privacy.signer.domain,
        EgressRules(config.egress_allow),
        edge.clock.now_ms(),
    )
    taken = await privacy.desk.submit(sent)
    await _audit(request, edge, "create", taken)
    shown = {
        "controller_id": str(config.workspace),
        "expected_completion_time": shown_time(taken.expected_ms),
        "received_time": shown_time(taken.received_ms),
        "subject_request_id": taken.id,
        "encoded_request": b64encode(body).decode(),
    }
    return answer(request, shown, 201)


async def one(request: web.Request) -> web.Response:
    """GET /v3/requests/{id}: what a request has come to."""
    edge = _entered(request)
    found = await edge.deployment.privacy.desk.request(request.match_info["id"])
    if found is None:
        raise DsrRefused(404, [NOT_FOUND])
    return answer(request, _shown(found, request, edge))


async def of_group(request: web.Request) -> web.Response:
    """GET /v3/requests?group_id=: the requests of a group."""
    edge = _entered(request)
    group = request.query.get("group_id")
    if group is None:
        raise invalid("group_id is missing.")
    shown: list[dict[str, Any]] = []
    after = ""
    while page := await edge.deployment.privacy.desk.requests_of(group, after):
        shown += [_shown(each, request, edge) for each in page]
        after = page[-1].id
    return answer(request, shown)


async def cancel(request: web.Request) -> web.Response:
    """DELETE /v3/requests/{id}: cancel a request that is pending."""
    edge = _entered(request)
    found = await edge.deployment.privacy.desk.cancel(request.match_info["id"])
    if found is None:
        raise DsrRefused(404, [NOT_FOUND])
    await _audit(request, edge, "delete", found)
    shown = {
        "controller_id": str(edge.config.current.workspace),
        "expected_completion_time": None,
        "received_time": shown_time(found.changed_ms),
        "subject_request_id": found.id,
    }
    return answer(request, shown, 202)


async def results(request: web.Request) -> web.StreamResponse:
    """GET /v3/requests/{id}/results?token=: what somebody asked for, as a ZIP."""
    edges = request.app[EDGES]
    request.app[ADDRESSES].admit(request, edges.first)
    request_id, token = request.match_info["id"], request.query.get("token", "")
    for edge in edges.all:
        desk = edge.deployment.privacy.desk
        found = await desk.find_result(request_id, token)
        if found == "gone":
            raise DsrRefused(410, ["The result has been deleted."])
        if found == "here" and (first := await desk.read_result(request_id, 0)):
            read = partial(desk.read_result, request_id)
            return await send_zip(request, f"{request_id}.zip", first, read)
    raise DsrRefused(404, ["There is no such result."])


async def discovery(request: web.Request) -> web.Response:
    """GET /v3/discovery: what can be asked for, and the certificate of the signatures."""
    version = version_of(request)
    base = _base(request, request.app[EDGES].first)
    return json_answer(
        {
            "api_version": version,
            "supported_identities": [
                {"identity_type": name, "identity_format": "raw"} for name in MAIN_TYPES
            ],
            "supported_subject_request_types": list(TYPES),
            "processor_certificate": base + _CERTIFICATES[version],
        }
    )


async def certificate(request: web.Request) -> web.Response:
    """GET /dsr/opendsr_cert.pem: the certificate chain by which signatures are verified."""
    privacy = request.app[EDGES].first.deployment.privacy
    return web.Response(body=privacy.signer.certificate, content_type="application/x-pem-file")


def _routes(requests: str) -> tuple[tuple[str, str, Handler], ...]:
    return (
        ("POST", requests, submit),
        ("GET", requests, of_group),
        ("GET", requests + "/{id}", one),
        ("DELETE", requests + "/{id}", cancel),
        ("GET", requests + "/{id}/results", results),
        ("GET", requests.rpartition("/")[0] + "/discovery", discovery),
    )


ROUTES = (
    *(
        Route(method, path, handler, "dsr", errors=dsr_errors)
        for requests in REQUESTS.values()
        for method, path, handler in _routes(requests)
    ),
    *(Route("GET", path, certificate, "dsr") for path in dict.fromkeys(_CERTIFICATES.values())),
)


def _entered(request: web.Request) -> Edge:
    """Return the workspace whose key and secret a request has.

    Raises:
        DsrRefused: it has none (401).
        Refused: it is one too many (429).
    """
    edge = edge_of(request)
    config = edge.config.current
    try:
        prove_workspace_key(request, edge, config)
    except Refused as error:
        if error.code == "TOO_MANY_REQUESTS":
            raise
        raise DsrRefused(401, [NOT_VALID]) from None
    name = f"dsr:{config.workspace}"
    limit = Limit("workspace", name, 0, REQUESTS_PER_MINUTE, window_ms=MINUTE_MS)
    admit(edge, [limit], 1)
    return edge


async def _audit(request: web.Request, edge: Edge, action: Action, found: SubjectRequest) -> None:
    """Write down that a request was made or cancelled; nothing of the person."""
    config = edge.config.current
    key = "" if config.workspace_key is None else config.workspace_key.key
    sent = found.sent
    shown = {
        "subject_request_type": sent.type,
        "api_version": sent.version,
        "group_id": sent.group,
        "request_status": found.status,
    }
    entry = AuditEntry(
        author=Author(key, address=client_address(request, config)),
        action=action,
        resource_type="dsr",
        resource_id=found.id,
        workspace=config.workspace,
        after=shown,
    )
    await write_entry(edge, config, entry)


def _base(request: web.Request, edge: Edge) -> str:
    """Return what the addresses begin with by which the client reaches us."""
    return f"{scheme_of(request, edge.config.current)}://{host_of(request)}"


def _shown(found: SubjectRequest, request: web.Request, edge: Edge) -> dict[str, Any]:
    """Show a request in the version that it was made with."""
    base = _base(request, edge)
    return statement(found, str(edge.config.current.workspace), base)
