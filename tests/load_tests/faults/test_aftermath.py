"""What is noticed of a deployment that has ended: damage, and what it should not have printed."""

from pathlib import Path

import pytest

from actors.clock import SystemClock
from actors.store.environment import Store
from actors.store.folder import DataFolder
from load_tests.faults.aftermath import damages, leaks, planted
from load_tests.faults.clients import AUTHORIZATION
from load_tests.faults.document import WEB_KEY, workspace_document
from load_tests.faults.record import Record

_MAP_SIZE = 16 * 1024 * 1024
_PAGE = 4096


def test_a_store_that_is_damaged_is_noticed_and_named(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data", 2, _MAP_SIZE, SystemClock())
    for number, store in enumerate(folder.shards):
        with_entries(store, number)
    folder.close()
    assert damages(tmp_path / "data").is_clean
    [_, second] = folder.shards
    with (second / "data.mdb").open("r+b") as file:
        file.truncate(3 * _PAGE)
    found = damages(tmp_path / "data")
    assert (found.damaged, found.is_clean) == (1, False)
    assert f"{second.relative_to(tmp_path / 'data')}: " in found.details[0]
    assert damages(tmp_path / "nothing").damaged == 1


def with_entries(folder: Path, number: int) -> None:
    store = Store(folder, _MAP_SIZE)
    with store.write() as txn:
        for each in range(100):
            txn.put("profiles", each.to_bytes(8, "big"), b"%d" % number * 1000)
    store.close()


@pytest.mark.parametrize(
    "printed",
    [
        pytest.param(Record(2).customer_id(5), id="customer id"),
        pytest.param(f"mail to {Record(2).customer_id(5)}-1@example.com", id="email"),
        pytest.param(Record(1).message_id(17), id="attribute value"),
        pytest.param(WEB_KEY, id="key"),
        pytest.param("secret: load-secret", id="secret"),
        pytest.param(f"Authorization: {AUTHORIZATION}", id="credentials"),
    ],
)
def test_what_nobody_may_print_is_noticed_wherever_it_is(printed: str) -> None:
    values = planted([Record(1), Record(2)])
    well = [("raylet.out", "f1-\nRecord 2, user u5"), ("its output", Record(3).customer_id(1))]
    assert leaks(well, values).is_clean
    found = leaks([*well, ("worker-1.err", f"line\n{printed}\n{printed}")], values)
    assert (found.leaked, found.is_clean) == (2, False)
    [detail] = found.details
    assert detail.endswith(" is in worker-1.err")
    assert not any(value in detail for value in values)


def test_all_secrets_of_the_workspace_are_planted() -> None:
    urls = dict.fromkeys(("single", "together"), "")
    document = workspace_document(urls, "")
    keys = [key for each in document["inputs"] for key in each["keys"]]
    secrets = {key["secret"] for key in keys}
    secrets |= {each["client_secret"] for each in document["api_credentials"]}
    assert secrets <= planted([]).keys()
