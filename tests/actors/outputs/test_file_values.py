"""Events as rows of columns."""

from typing import Any

import orjson
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model.deliveries import Delivery
from actors.outputs.file_columns import COLUMNS, CONVERSIONS
from actors.outputs.file_parquet import ParquetWriter
from actors.outputs.file_rows import rows
from actors.outputs.file_values import ColumnReader
from actors.outputs.file_waiting import WaitingRows

LOADED_MS = 1_767_225_600_000
integers = st.integers(-(2**63), 2**63 - 1)
texts = st.one_of(st.text(max_size=3), integers, st.none(), st.booleans())
maps = st.dictionaries(st.text(max_size=3), texts, max_size=3)
datas = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.integers(1, 9),
        "timestamp_unixtime_ms": st.integers(-10, LOADED_MS),
        "event_name": texts,
        "screen_name": texts,
        "custom_attributes": st.one_of(st.none(), maps),
        "location": st.one_of(integers, st.just({"latitude": 1.5, "city_name": "Oslo"})),
        "product_action": st.one_of(texts, st.just({"action": "purchase"})),
    },
)
events = st.fixed_dictionaries(
    {"data": datas, "event_type": st.sampled_from(["screen_view", "commerce_event", "unheard_of"])}
)
batches = st.fixed_dictionaries(
    {"events": st.lists(events, max_size=4)},
    optional={
        "mpid": integers,
        "user_attributes": maps,
        "user_identities": st.just([{"identity_type": "email", "identity": "ann@example.test"}]),
        "device_info": st.one_of(texts, st.just({"platform": "iOS", "screen_width": "7"})),
    },
)


def by_name(found: list[Any]) -> dict[str, Any]:
    """Return the values of a row by the names of their columns."""
    return {name: value for (name, _, _), value in zip(COLUMNS, found, strict=True)}


def test_members_that_are_no_objects_have_no_members() -> None:
    """Clients send anything."""
    payload = orjson.dumps(
        {"device_info": "phone", "events": [{"data": {"location": [1], "custom_attributes": None}}]}
    )
    [row] = rows(payload, "dl_1", LOADED_MS)
    found = by_name(ColumnReader(CONVERSIONS).values(row))
    there = {name for name, value in found.items() if value is not None}
    assert there == {"isdebug", "entrypointtype", "deliveryid", "loadedat"}


def test_rows_of_a_batch_share_its_values_and_nothing_else() -> None:
    """Also where the second event has less than the first."""
    payload = orjson.dumps(
        {
            "device_info": {"platform": "iOS"},
            "events": [{"data": {"event_name": "Shared", "session_id": 4}}, {"data": {}}],
        }
    )
    reader = ColumnReader(CONVERSIONS)
    first, second = (by_name(reader.values(row)) for row in rows(payload, "dl_1", LOADED_MS))
    assert (first["platform"], first["eventname"], first["sessionid"]) == ("iOS", "Shared", 4)
    assert (second["platform"], second["eventname"], second["sessionid"]) == ("iOS", None, None)


@settings(deadline=None, max_examples=50)
@given(st.lists(batches, max_size=5))
def test_parquet_has_the_values_of_each_row(
    tmp_path_factory: pytest.TempPathFactory, sent: list[dict[str, Any]]
) -> None:
    """What is written once for a batch is there in each of its rows, in their order."""
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    writer = ParquetWriter(path, LOADED_MS, "snappy", WaitingRows())
    expected = []
    for number, batch in enumerate(sent):
        payload, name = orjson.dumps(batch), f"dl_{number}"
        writer.write(
            Delivery(
                sequence=number,
                connection=1,
                delivery_id=name,
                mpid=1,
                payload=payload,
                created_ms=1,
                first_event_ms=0,
                event_count=len(batch["events"]),
                environment="production",
            )
        )
        reader = ColumnReader(CONVERSIONS)
        expected += [by_name(reader.values(row)) for row in rows(payload, name, LOADED_MS)]
    writer.finish("rows_20260101000000_00001.parquet")
    found = pyarrow.parquet.read_table(path).to_pylist()
    for row in found:
        for name in ("event_attributes", "user_attributes"):
            row[name] = row[name] and dict(row[name])
    assert found == expected
