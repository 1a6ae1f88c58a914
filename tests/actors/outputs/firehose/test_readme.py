"""The README's module is one that events and audiences can be sent to."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors.outputs.contract import Delivered, SubscriptionTerms
from actors.outputs.registry import MODULES
from config.module_settings import output_problems
from config.outputs import Output
from config.sources import read_yaml
from tests.actors.outputs.firehose.support import Place, batch, event, sent
from tests.actors.outputs.firehose.test_audience_output import NUMBER, change
from tests.actors.outputs.harness import eventually

README = Path(__file__).parents[4] / "README.md"
SECTION = README.read_text("utf-8").split("**Firehose: a module of your own.**")[1]
CODE, DOCUMENT = (re.split(r"```\w+\n", SECTION)[place].split("```")[0] for place in (1, 2))


def _free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _is_open(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Run the module; its output goes to a file."""
    (tmp_path / "module.py").write_text(CODE, "utf-8")
    port = _free_port()
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", tmp_path / "module.py", str(port)],
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        yield port
        process.kill()
        process.wait()


async def test_it_gets_events_and_audiences(port: int, tmp_path: Path) -> None:
    await eventually(lambda: _is_open(port))
    url = f"http://127.0.0.1:{port}/"
    events = Place().open(url, strict_responses=True)
    await events.start()
    assert isinstance((await events.send([sent(1, batch(event()))]))[0], Delivered)
    await events.stop()
    audiences = Place("audience").open(url, strict_responses=True)
    await audiences.start()
    terms = SubscriptionTerms(NUMBER, 7, "spenders-7", {"listId": "12"})
    assert isinstance(await audiences.subscribe(terms), Delivered)
    assert isinstance((await audiences.send([change(1, 1, "add")]))[0], Delivered)
    await audiences.stop()
    printed = (tmp_path / "output").read_text("utf-8")
    assert "custom_event Viewed" in printed
    assert "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d" in printed
    assert "[('spenders-7', 'add')]" in printed


def test_its_output_is_well_formed(tmp_path: Path) -> None:
    file = tmp_path / "outputs.yaml"
    file.write_text(DOCUMENT.replace("${env:MAILER_TOKEN:-sesame}", "sesame"), "utf-8")
    [written] = read_yaml(file)["outputs"]
    output = Output.model_validate(written)
    assert list(output_problems(output, ("outputs", 0), MODULES)) == []
