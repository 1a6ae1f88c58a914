"""Values that break programs, and JSON text that no encoder writes."""

from random import Random
from typing import Any, NamedTuple


class Raw(NamedTuple):
    """JSON text, or what is none, to be written as it is."""

    text: bytes


class Pairs(NamedTuple):
    """An object whose members may share a name."""

    members: list[tuple[str, Any]]


INTEGERS = tuple(
    sign * (2**bits + more)
    for bits in (0, 7, 8, 15, 31, 32, 53, 63, 64)
    for more in (-1, 0, 1)
    for sign in (1, -1)
)
NUMBERS: tuple[Any, ...] = (
    *INTEGERS,
    0.1,
    -0.0,
    1e-320,
    1.7e308,
    *map(
        Raw,
        (
            b"-0",
            b"1e400",
            b"-1e400",
            b"1e-400",
            b"1E5",
            b"00",
            b"01",
            b"+1",
            b".5",
            b"1.",
            b"0x10",
            b"1_000",
            b"NaN",
            b"-Infinity",
            b"9" * 400,
            b"9" * 5000,
            b"0." + b"3" * 5000,
            b"1e99999999999",
        ),
    ),
)
TEXTS: tuple[Any, ...] = (
    "",
    " ",
    "\t\r\n",
    "0",
    "-1",
    "null",
    "true",
    "9223372036854775808",
    "-9223372036854775809",
    "9" * 5000,
    "1e400",
    "١٢٣",  # digits, but not of ASCII
    "²",
    "a\x00b",
    "\ufeff",
    "\uffff",
    "\u202e\u0000",
    "ﬀİßſ",  # change their length when their case is changed
    "e\u0301" * 50,
    "👩‍👩‍👧‍👦" * 20,
    "a" * 257,
    "a" * 5000,
    "../../../../etc/passwd",
    "%00%2e%2e%2f",
    "'; DROP TABLE users; --",
    "${env:PATH}",
    "${file:/etc/passwd}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "__proto__",
    "=cmd|' /C calc'!A0",
    "2026-02-30T25:61:61Z",
    "0000-00-00",
    "9999-12-31T23:59:59.999999999+99:99",
    "0001-01-01T00:00:00+23:59",
    "P99999999999Y",
    "10000000000d",
    "(a+)+$",
    "[",
    "::ffff:1.2.3.4",
    "http://169.254.169.254/latest",
    "data_sale_opt_out",
    *map(
        Raw,
        (
            b'"\\ud800"',
            b'"\\udc00\\ud800"',
            b'"\\ud83d\\ude00"',
            b'"\\u0000"',
            b'"\\x41"',
            b'"\\u12"',
            b'"\xff\xfe"',
            b'"\xc0\x80"',
            b'"\xed\xa0\x80"',
            b'"\xf4\x90\x80\x80"',
            b'"\n"',
            b'"open',
            b"'single'",
        ),
    ),
)
OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": ""},
    {"a": {"a": {"a": None}}},
    *map(Raw, (b"", b"undefined", b"tru", b"/**/1", b"[1,]", b"{,}", b'{"a"}', b"[", b"]", b"}")),
)
NAMES = (
    "",
    " ",
    "__proto__",
    "__class__",
    "a\x00",
    "a" * 5000,
    "and",
    "or",
    "not",
    "type",
    "mpid",
    "👩‍👧",
    "$ref",
)


def value(random: Random) -> Any:
    """Return something that is rarely what was asked for."""
    kind = random.random()
    if kind < 0.3:
        return random.choice(NUMBERS)
    if kind < 0.65:
        return random.choice(TEXTS)
    if kind < 0.85:
        return random.choice(OTHERS)
    if kind < 0.9:
        return nested(random)
    if kind < 0.95:
        return [random.choice(NUMBERS)] * random.choice((2, 101, 1001))
    return {f"k{number}": number for number in range(random.choice((101, 1001)))}


def nested(random: Random) -> Raw:
    """Return arrays or objects in one another, closed or not."""
    depth = random.choice((10, 63, 64, 65, 200, 990, 1100, 20_000))
    start, end = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'{"and":[', b"]}")))
    inside = random.choice((b"1", b"null", b'"x"'))
    return Raw(start * depth + inside + end * random.choice((depth, depth, depth - 1)))


def text(random: Random) -> str:
    """Return a text that is rarely what was asked for."""
    found = random.choice(TEXTS)
    return found if isinstance(found, str) else str(random.choice(INTEGERS))
