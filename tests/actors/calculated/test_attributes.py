"""Calculated attributes of the workspace document, beside those of the desk."""

import msgspec
import pytest

from actors.calculated.objects import CalculatedCatalog, DocumentAttribute
from actors.store.environment import Store
from server.logs import JsonFormatter
from tests.actors.calculated.builders import definition_json
from tests.actors.calculated.desks import DAYS_9, FakeShard, attributes_over, desk_of, fields


async def test_the_document_is_in_force_from_the_start(store: Store) -> None:
    """A definition that is as it was keeps its revision; another one counts on."""
    for calculation, revision in (("count", 1), ("count", 1), ("last_occurrence_timestamp", 2)):
        defined = definition_json(calculation, period=DAYS_9)
        attribute = DocumentAttribute(
            number=3,
            id="ltv",
            name="ltv",
            description="",
            definition=defined,
            is_active=True,
        )
        attributes = attributes_over(store, FakeShard(), attributes=(attribute,))
        desk = desk_of(attributes)
        assert attributes.active == {"ltv": 3}
        found = await desk.calculated_attribute(3)
        assert found is not None
        assert found[0].revision == revision
    desk = desk_of(attributes_over(store, FakeShard()))
    assert await desk.delete_calculated(3), "the document has it no more"


async def test_the_log_says_which_attribute_of_the_document_is_not_there(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Its name was given to another one through the API since."""
    attributes = attributes_over(store, FakeShard())
    await desk_of(attributes).create_calculated(fields("ltv"), "ops")
    attribute = DocumentAttribute(
        number=3,
        id="ltv",
        name="ltv",
        description="",
        definition=definition_json("count", period=DAYS_9),
        is_active=True,
    )
    attributes.take_over(CalculatedCatalog(attributes=(attribute,)))
    [record] = [each for each in caplog.records if "not taken over" in each.getMessage()]
    line = msgspec.json.decode(JsonFormatter("coordinator", "0").format(record))
    assert line["ctx"] == {"calculated": 3}
