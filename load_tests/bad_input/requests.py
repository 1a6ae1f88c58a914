"""Number -> request: what an endpoint takes, spoiled in path, query, headers or body."""

import base64
import gzip
import zlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote

from load_tests.bad_input import nasty
from load_tests.bad_input.bodies import spoiled
from load_tests.bad_input.examples import criteria, example
from load_tests.bad_input.shapes import Shapes

_DEFINED = frozenset({"Audience", "Definition", "Question"})
# Requests that would end what is tested, or reach others: sent without the right to.
_ONLY_REFUSED = ("/rollback", "/oauth/start", "/oauth/callback", "/registration")
_HEADERS = (
    "X-Request-Id",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Forwarded-For",
    "Origin",
    "User-Agent",
    "Accept",
    "Date",
    "Range",
    "Expect",
    "Cookie",
    "x-mp-signature",
    "x-mp-key",
    "Content-Type",
    "Content-Encoding",
    "Transfer-Encoding",
    "Upgrade",
    "Host",
    "traceparent",
    "X-Headwater-Trace",
)


class Known(NamedTuple):
    """What a deployment has: so that requests get behind the first check.

    Attributes:
        basic: header values that prove an input, or the workspace.
        bearer: header value of a token with every right.
        values: path parameter to values that exist.
    """

    basic: Sequence[str]
    bearer: str
    values: Mapping[str, Sequence[str]]


class Operation(NamedTuple):
    """One method and path of the document."""

    method: str
    path: str
    query: tuple[str, ...]
    parameters: tuple[str, ...]
    schemes: tuple[str, ...]
    media: str
    schema: Any


class Sent(NamedTuple):
    """One request: its bytes, and how it is sent. `is_last`: nothing may follow it."""

    operation: Operation
    data: bytes
    is_last: bool


class Requests:
    """Makes requests of an OpenAPI document; the same number gives the same request."""

    def __init__(self, document: Mapping[str, Any], known: Known, seed: int) -> None:
        self._shapes = Shapes(document["components"]["schemas"])
        self._operations = tuple(_operations(document))
        self._known = known
        self._seed = seed

    def __getitem__(self, number: int) -> Sent:
        """Return one request."""
        random = Random(self._seed * 1_000_003 + number)
        operation = random.choice(self._operations)
        target = self._target(operation, random)
        headers = self._headers(operation, random)
        body = self._body(operation, random)
        return _framed(operation, target, headers, body, random)

    def _target(self, operation: Operation, random: Random) -> str:
        path = operation.path
        for name in operation.parameters:
            known = self._known.values.get(name, ())
            good = known and random.random() < 0.75
            value = random.choice(known) if good else nasty.text(random)[:3000]
            encoded = quote(
                value.encode("utf-8", "replace"), safe="" if random.random() < 0.9 else "/%"
            )
            path = path.replace(f"{{{name}}}", encoded)
        if random.random() < 0.05:
            path += "/"
        query = []
        names = [*operation.query, "x"]
        for _ in range(random.choice((0, 0, 1, 2, len(names)))):
            value = nasty.text(random)[:3000]
            query.append(f"{random.choice(names)}={quote(value.encode('utf-8', 'replace'))}")
        if operation.path.endswith("/config") and operation.method == "PUT":
            query = ["dry_run=true", *(each for each in query if "dry_run" not in each)]
        return path + ("?" + "&".join(query) if query else "")

    def _headers(self, operation: Operation, random: Random) -> list[tuple[bytes, bytes]]:
        headers = [(b"Host", b"localhost")]
        is_allowed = random.random() < 0.9 and not operation.path.endswith(_ONLY_REFUSED)
        if is_allowed:
            if "bearer" in operation.schemes:
                headers.append((b"Authorization", self._known.bearer.encode()))
            elif operation.schemes:
                headers.append((b"Authorization", random.choice(self._known.basic).encode()))
        elif random.random() < 0.8:
            headers.append((b"Authorization", _credentials(self._known, random)))
        if operation.media and random.random() < 0.95:
            headers.append((b"Content-Type", operation.media.encode()))
        while random.random() < 0.15:
            value = nasty.text(random)[:4000].encode("utf-8", "replace")
            for end in (b"\r", b"\n", b"\x00"):
                value = value.replace(end, b" ")
            headers.append((random.choice(_HEADERS).encode(), value))
        return headers

    def _body(self, operation: Operation, random: Random) -> bytes:
        if not operation.media:
            return b"" if random.random() < 0.95 else b"{}"
        good = example(operation.path, random)
        if good is None:
            good = self._shapes.draw(operation.schema, random)
            if isinstance(good, dict) and str(operation.schema).rpartition("/")[2][:-2] in _DEFINED:
                good = {**good, "definition": criteria(random)}
        return spoiled(good, random)


def _operations(document: Mapping[str, Any]) -> list[Operation]:
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = operation["parameters"]
            content = operation.get("requestBody", {}).get("content", {})
            media = next(iter(content), "")
            found.append(
                Operation(
                    method.upper(),
                    path,
                    tuple(each["name"] for each in parameters if each["in"] == "query"),
                    tuple(each["name"] for each in parameters if each["in"] == "path"),
                    tuple(name for one in operation["security"] for name in one),
                    media,
                    content[media]["schema"] if media else None,
                )
            )
    # As many of those that take a body as of all others.
    return found + [each for each in found if each.media] * 3


def _credentials(known: Known, random: Random) -> bytes:
    """Return credentials that prove nothing, or nothing that anybody reads."""
    head, _, rest = known.bearer.partition(".")
    payload, _, signature = rest.partition(".")
    pair = f"{nasty.text(random)[:500]}:{nasty.text(random)[:500]}".encode("utf-8", "replace")
    found = random.choice(
        (
            b"Basic",
            b"Basic ",
            b"Basic " + base64.b64encode(pair),
            b"Basic " + pair.replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b""),
            b"Basic " + base64.b64encode(b"\xff\xfe:\xff"),
            b"Bearer",
            b"Bearer a.b.c",
            f"{head}.{payload[:-1]}.{signature}".encode(),
            f"{head}.{payload}.{signature[:-2]}AA".encode(),
            b"Bearer " + _part(b'{"alg":"none"}') + b"." + payload.encode() + b".",
            b"Bearer " + _part(b'{"alg":"HS256"}') + b"." + _part(b"[" * 900) + b".x",
            b"Bearer " + _part(b"[" * 900) + b"." + _part(b'{"sub":"a"}') + b".x",
            b"Bearer " + _part(b'{"sub":' + b"9" * 5000 + b"}") + b".x.y",
            known.bearer.encode().swapcase(),
            b"Digest username=a",
            b"\xff\xfe",
        )
    )
    return found[:7000]


def _part(text: bytes) -> bytes:
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def _framed(
    operation: Operation,
    target: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    random: Random,
) -> Sent:
    kind = random.random()
    is_last = False
    length: bytes | None = b"%d" % len(body)
    if body and kind < 0.06:
        encoding, body = _encoded(body, random)
        headers.append((b"Content-Encoding", encoding))
        length = b"%d" % len(body)
    elif body and kind < 0.09:
        size = random.choice((1, 7, 4096))
        pieces = [body[at : at + size] for at in range(0, min(len(body), 2000 * size), size)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
        headers.append((b"Transfer-Encoding", b"chunked"))
        length = None
    elif kind < 0.10:
        length = random.choice((b"-1", b"x", b"+5", b"9" * 30, b"1, 2", b""))
        is_last = True
    elif body and kind < 0.11:
        length = b"%d" % (len(body) + 100)
        is_last = True
    elif kind < 0.115:
        headers.append((b"X-Long", b"a" * random.choice((8_000, 9_000, 70_000))))
        is_last = True
    elif kind < 0.12:
        headers += [(b"X-Many", b"a")] * random.choice((100, 200, 5000))
        is_last = True
    names = {name.lower() for name, _ in headers}
    has_odd_framing = bool(
        (names & {b"transfer-encoding", b"upgrade", b"expect"} and length is not None)
        or [name for name, _ in headers].count(b"Host") > 1
    )
    if length is not None:
        headers.append((b"Content-Length", length))
    method = operation.method.encode()
    if kind > 0.999:
        method = random.choice((b"BREW", b"get", b"CONNECT", b"TRACE", b"\x00", b"A" * 9000))
        is_last = True
    line = method + b" " + target.encode("ascii", "replace") + b" HTTP/1.1\r\n"
    data = line + b"".join(b"%s: %s\r\n" % each for each in headers) + b"\r\n" + body
    return Sent(operation, data, is_last or has_odd_framing)


def _encoded(body: bytes, random: Random) -> tuple[bytes, bytes]:
    # Without the time of day, which gzip writes by default: a number gives the same bytes again.
    packed = gzip.compress(body, 1, mtime=0)
    return random.choice(
        (
            (b"gzip", packed),
            (b"GZIP", packed + packed),
            (b"deflate", zlib.compress(body)),
            (b"deflate", zlib.compress(body)[2:-4]),
            (b"gzip", body),
            (b"gzip", packed[:-5]),
            (b"gzip", packed[:10]),
            (b"gzip", packed + b"tail"),
            (b"gzip", BOMB),
            (b"gzip, gzip", gzip.compress(packed, mtime=0)),
            (b"deflate", b"\x78"),
            (b"br", body),
            (b"zstd", body),
            (b"identity", body),
        )
    )


# 64 MiB of spaces in 64 KiB: more than any body may be.
BOMB = gzip.compress(b" " * 2**26, 9, mtime=0)
