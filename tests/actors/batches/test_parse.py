import pytest

from actors.batches.parse import MAX_DEPTH, parse_json
from actors.errors import BatchRejected


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"{", id="cut off"),
        pytest.param(b"", id="empty"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": Infinity}', id="Infinity"),
        pytest.param(b'{"a": "\xff"}', id="invalid UTF-8"),
        pytest.param(b'{"a": 1,}', id="trailing comma"),
        pytest.param(b'{"a": 1} // x', id="comment"),
        pytest.param(b"[" * 100_000, id="opened and never closed"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="very deep"),
    ],
)
def test_what_is_not_json_is_refused_as_a_whole(raw: bytes) -> None:
    """spec/events-api.md, worked cases 4, 6 and 10."""
    with pytest.raises(BatchRejected) as refusal:
        parse_json(raw)
    [problem] = refusal.value.problems
    assert problem.path is None
    assert problem.message.startswith("Request body is not valid JSON: ")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_is_bounded(opening: bytes) -> None:
    def nested(depth: int) -> bytes:
        closing = b"]" if opening == b"[" else b"}"
        inner = b"[]" if opening == b"[" else b"{}"
        return opening * (depth - 1) + inner + closing * (depth - 1)

    assert parse_json(nested(MAX_DEPTH)) is not None
    with pytest.raises(BatchRejected, match="nested deeper than 64 levels"):
        parse_json(nested(MAX_DEPTH + 1))


def test_brackets_in_texts_and_siblings_do_not_nest() -> None:
    wide = b"[" + b",".join([b'{"a": [[]]}'] * 200) + b"]"
    assert len(parse_json(wide)) == 200
    quoted = b'["' + b"[{" * 200 + rb"\"\\" + b'"]'
    assert parse_json(quoted) == ["[{" * 200 + '"\\']


def test_the_last_of_duplicate_names_wins() -> None:
    """spec/events-api.md, worked case 10."""
    assert parse_json(b'{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        pytest.param(rb'"cut \ud83d"', "cut \ufffd", id="first half"),
        pytest.param(rb'"\uDE00 cut"', "\ufffd cut", id="second half"),
        pytest.param(rb'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600", id="half before a pair"),
        pytest.param(rb'"\ud83d\n\\ud83d\\"', "\ufffd\n\\ud83d\\", id="an escaped backslash"),
        pytest.param(rb'"\ud83d\ude00"', "\U0001f600", id="a pair"),
    ],
)
def test_half_a_surrogate_pair_is_replaced(raw: bytes, value: str) -> None:
    parsed = parse_json(raw)
    assert parsed == value
    assert parsed.encode()
