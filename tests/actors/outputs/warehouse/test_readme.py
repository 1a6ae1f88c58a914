"""The README's warehouses can be configured, and its queries asked."""

from pathlib import Path
from typing import Any

from config.compiled_outputs import output_plans
from config.numbers import Numbers, assign_numbers
from config.sources import read_yaml
from tests.actors.outputs.warehouse.support import Warehouse, batch, event, membership
from tests.config.documents import load, setting, shop

README = Path(__file__).parents[4] / "README.md"
SECTION = README.read_text("utf-8").split("**Warehouses.**")[1]
DSN = "postgresql://user:password@db.example.com/cdp"


def test_the_example_is_a_document_that_can_be_served(tmp_path: Path) -> None:
    text = SECTION.split("```yaml")[1].split("```")[0].replace("${env:WAREHOUSE_DSN}", DSN)
    file = tmp_path / "example.yaml"
    file.write_text(text, "utf-8")
    outputs: list[Any] = read_yaml(file)["outputs"]
    feed = {"feed_table_name": "Orders", "send_custom_events": False}
    connections = [
        {"id": each["id"], "input": "web", "output": each["id"], "settings": feed}
        for each in outputs
    ]
    document = load(
        shop(setting("outputs", outputs), setting("connections", connections)), tmp_path
    )
    plans = output_plans(document, assign_numbers(document, Numbers()))
    assert [plan.module for plan in plans] == ["warehouse_postgres", "warehouse_duckdb"]
    for plan in plans:
        [terms] = plan.place.connections.values()
        assert terms.settings == {"feed_table_name": "Orders", "split_feed_by_event_name": False}
        [info] = plan.connections
        assert "custom_event" in info.settings.excluded_types
    assert "password" not in repr(plans)


async def test_the_queries_answer(warehouse: Warehouse) -> None:
    known = batch(1, [event(1)], user_attributes={"plan": "gold"})
    await warehouse.load([known, membership(2, 1, "add", 1000)])
    queries = SECTION.split("```sql")[1].split("```")[0].replace("cdp.", "{s}.").split(";")
    events, members = (warehouse.query(each) for each in queries[:2])
    assert [row[1:] for row in events] == [("Foo", 1)]
    assert members == [(1, "gold")]
