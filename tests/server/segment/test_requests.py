"""Requests of the tracking API, taken apart (spec/clients.md, 6.2)."""

import tracemalloc

import orjson
import pytest

from server.segment.batches import batch_of
from server.segment.requests import (
    MAX_BODY_BYTES,
    MAX_MESSAGES,
    SegmentRefused,
    read_many,
    read_one,
    write_key_of,
)

MESSAGE = b'{"type":"track","event":"Seen","userId":"ann"}'
MANY = MAX_BODY_BYTES // 16


def bodies_of(*messages: bytes) -> bytes:
    return b'{"batch":[' + b",".join(messages) + b"]}"


def test_as_many_messages_as_may_be_are_read_and_one_more_refuses_them() -> None:
    sent = read_many(bodies_of(*[MESSAGE] * MAX_MESSAGES))
    assert [each.index for each in sent.messages] == list(range(MAX_MESSAGES))
    with pytest.raises(SegmentRefused) as error:
        read_many(bodies_of(*[MESSAGE] * (MAX_MESSAGES + 1)))
    assert (error.value.status, error.value.code) == (400, "invalid_request")
    assert str(MAX_MESSAGES) in error.value.message


@pytest.mark.parametrize("batch", [b"{}", b"null", b'"a"', b"1"])
def test_what_is_no_list_of_messages_is_refused_as_such(batch: bytes) -> None:
    with pytest.raises(SegmentRefused, match="must be a list"):
        read_many(b'{"batch": ' + batch + b"}")


def test_no_message_at_all_is_no_error() -> None:
    assert read_many(bodies_of()).messages == []


def test_members_around_messages_hold_for_all_of_them() -> None:
    body = b'{"context":{"ip":"::1"},"sentAt":"now","writeKey":"kw","other":1,"batch":[%b]}'
    sent = read_many(body % MESSAGE)
    assert sent.messages[0].members["context"] == {"ip": "::1"}
    assert "integrations" not in sent.messages[0].members
    assert sent.sent_at == "now"
    assert write_key_of(body % MESSAGE) == "kw"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(bodies_of(*[b"0"] * MANY), id="messages"),
        pytest.param(b"{%b}" % b",".join(b'"%d":0' % each for each in range(MANY)), id="members"),
    ],
)
def test_a_body_of_very_many_things_takes_no_memory_for_each(body: bytes) -> None:
    """2.1 million messages, 4 KB compressed, took 300 MB before they were counted."""
    tracemalloc.start()
    try:
        assert write_key_of(body) is None
        with pytest.raises(SegmentRefused):
            read_many(body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(body) + 2**20


def test_half_a_surrogate_pair_refuses_no_message() -> None:
    body = rb'{"type":"track","event":"Seen \ud83d","userId":"ann"}'
    assert read_one(body, "track").messages[0].members["event"] == "Seen \ufffd"


def test_a_number_beyond_64_bits_refuses_no_message() -> None:
    """JavaScript writes a float such as 1e20 with all its digits, as if it were an integer."""
    message = MESSAGE.replace(b"}", b',"properties":{"n":1%b}}' % (b"0" * 20))
    [sent] = read_many(bodies_of(message)).messages
    assert sent.members["properties"] == {"n": "1" + "0" * 20}
    raw = batch_of(sent, "in", 1, has_semantic_events=True)
    assert orjson.loads(raw)["events"][0]["data"]["custom_attributes"]["n"] == "1" + "0" * 20


def test_a_number_beyond_64_bits_keeps_its_digits() -> None:
    """spec/events-api.md, 6: those of 64 bits stay numbers."""
    sent = b'{"iccid":-89310410106543789301,"most":18446744073709551615,"l":[9999999999999999999]}'
    [message] = read_many(bodies_of(MESSAGE.replace(b"}", b',"properties":%b}' % sent))).messages
    assert message.members["properties"] == {
        "iccid": "-89310410106543789301",
        "most": 18446744073709551615,
        "l": [9999999999999999999],
    }
