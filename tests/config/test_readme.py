"""The README's example of what a connection forwards is one that can be served, and does so."""

from pathlib import Path
from typing import Any

from config.compiled_connections import connection_infos
from config.numbers import Numbers, assign_numbers
from config.sources import read_yaml
from tests.actors.pipeline.support import batch_of, custom, run
from tests.actors.test_outgoing import profile
from tests.config.documents import load, setting, shop

README = Path(__file__).parents[2] / "README.md"


def example(folder: Path) -> dict[str, Any]:
    section = README.read_text("utf-8").split("### What a connection forwards")[1]
    file = folder / "example.yaml"
    file.write_text(section.split("```yaml")[1].split("```")[0], "utf-8")
    [connection] = read_yaml(file)["connections"]
    found: dict[str, Any] = connection
    return found


def test_the_example_forwards_what_it_says(tmp_path: Path) -> None:
    gdpr = {"gdpr": {"enabled": True, "purposes": ["analytics"]}}
    whole = example(tmp_path)
    del whole["sampling"], whole["min_app_version"], whole["forwarding_rules"][0]
    document = load(
        shop(setting("workspace.regulations", gdpr), setting("connections", [example(tmp_path)])),
        tmp_path,
    )
    assert connection_infos(document, assign_numbers(document, Numbers()))[0].pipeline.sampling
    document = load(shop(setting("connections", [whole])), tmp_path)
    [info] = connection_infos(document, assign_numbers(document, Numbers()))
    batch = batch_of(
        custom("Order Placed", 1, "transaction", {"card_bin": "4111", "amount": "7"}),
        custom("Debug Ping", 2),
        custom("Where", 3, "location"),
        custom("Open", 4, attributes={"internal": "true"}),
        custom("Open", 5),
    )
    payloads, _ = run(info, batch, profile())
    sent = [each["data"] for payload in payloads for each in payload["events"]]
    assert [each["event_id"] for each in sent] == [1, 5]
    assert sent[0]["event_name"] == "order_completed"
    assert sent[0]["custom_attributes"] == {"value": "7", "currency": "EUR"}
