"""Whatever a body holds, it is taken apart or refused (spec/events-api.md, 3.2)."""

import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.bodies import json_object, many_batches, one_batch, without_half_pairs
from server.problems import Refused

# Halves of surrogate pairs included.
texts = st.text(st.characters(exclude_categories=()))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
READERS: list[Callable[[bytes], Any]] = [
    one_batch,
    lambda body: many_batches(body, 100),
    json_object,
]


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
@example(b'{"a": "\x80"}')
@example(b'["\xff", {"\xc3": 1}]')
@example(b'"\xed\xa0\x80"')
@pytest.mark.parametrize("read", READERS, ids=["one", "many", "object"])
def test_nothing_but_a_refusal_is_raised(read: Callable[[bytes], Any], body: bytes) -> None:
    with contextlib.suppress(Refused):
        read(body)


@given(st.dictionaries(texts, values, max_size=4))
def test_a_batch_is_returned_as_it_came_but_for_halves_of_pairs(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    batch = one_batch(f"  {text} ".encode())
    msgspec.json.decode(batch)
    if r"\ud" not in text:
        assert batch == text.encode()


@given(st.lists(values, min_size=1, max_size=6))
def test_the_elements_of_a_bulk_body_are_its_batches(elements: list[Any]) -> None:
    texts = [json.dumps(each) for each in elements]
    batches = many_batches(f"[{' , '.join(texts)}]".encode(), 100)
    assert len(batches) == len(texts)
    for batch, text in zip(batches, texts, strict=True):
        if r"\ud" not in text:
            assert batch == text.encode()


@pytest.mark.parametrize("read", [lambda body: orjson.loads(one_batch(body)), json_object])
def test_every_escape_but_half_a_pair_stays(read: Callable[[bytes], Any]) -> None:
    body = rb'{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\\ud83d\ud83d\ud83d\ude00\ude00"}'
    value = read(body)
    assert value == {"a": '"\\/\b\f\n\r\té\U0001f600\\ud83d\ufffd\U0001f600\ufffd'}


def test_escapes_are_mended_without_a_step_in_python_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A million of them, 4 KB compressed, kept an edge's loop for more than a second."""
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    body = b'{"a":"' + rb"\n\\\ud83d" * 1000
    sys.setprofile(count)
    try:
        mended = without_half_pairs(body)
    finally:
        sys.setprofile(None)
    assert mended == b'{"a":"' + rb"\n\\\ufffd" * 1000
    assert steps < 100


def test_what_is_no_json_text_is_not_made_one() -> None:
    body = b'{"a":"\0\0","b":"\\ud83d"}'
    assert without_half_pairs(body) == body
