"""Output `python`: spec/connections.md, 7."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.clock import ManualClock
from actors.outputs import dsr_messages
from actors.outputs.contract import Delivered, Fatal, Refused, Retry
from actors.outputs.dsr_messages import DsrMessage
from actors.outputs.egress import EgressRules
from actors.outputs.environment import NOWHERE, OutputEnvironment, OutputPlace
from actors.outputs.http_answers import EXCERPT_BYTES
from actors.outputs.python import PythonOutput, PythonSettings
from actors.outputs.user_order import PRECEDED
from tests.actors.forwarding.support import delivery

IMPORTS = "from actors.outputs.python_jobs import Delivered, Fatal, Job, Result, Retry\n"
SHOWING = """
import json
from pathlib import Path
class Output:
    def __init__(self, settings):
        self.settings = settings
    async def send(self, jobs):
        for job in jobs:
            assert isinstance(job, Job)
            shown = [self.settings, job.delivery_id, job.environment, job.input, job.mpid,
                     job.attempt, job.payload["batch_id"], repr(job)]
            Path(__file__).with_name("shown").write_text(json.dumps(shown))
        return [Delivered() for _ in jobs]
"""


def returning(results: str) -> str:
    return "class Output:\n    def __init__(self, settings): ...\n" + (
        f"    async def send(self, jobs):\n        return {results}\n"
    )


def open_output(
    folder: Path,
    code: str | None = None,
    *,
    has_folder: bool = True,
    place: OutputPlace = NOWHERE,
    **changes: Any,
) -> PythonOutput:
    if code is not None:
        (folder / "crm.py").write_text(IMPORTS + code)
    surroundings = OutputEnvironment(
        "crm",
        ManualClock(),
        EgressRules(),
        folder / "spool",
        inputs={1: "web"},
        place=place,
        python_dir=folder if has_folder else None,
    )
    return PythonOutput(PythonSettings.model_validate({"path": "crm.py", **changes}), surroundings)


async def test_the_class_gets_its_settings_and_jobs(tmp_path: Path) -> None:
    output = open_output(tmp_path, SHOWING, settings={"token": "t", "limit": 3})
    one = replace(delivery(5, mpid=42), attempts=2)
    assert await output.send([one]) == [Delivered()]
    shown = json.loads((tmp_path / "shown").read_text())
    settings = {"token": "t", "limit": 3}
    job = f"Job({one.delivery_id!r})"
    assert shown == [settings, one.delivery_id, "production", "web", 42, 3, 5, job]


async def test_a_class_of_kind_dsr_gets_the_message_that_webhooks_get(tmp_path: Path) -> None:
    code = SHOWING.replace('job.payload["batch_id"]', "job.payload")
    place = OutputPlace(number=7, kind="dsr")
    output = open_output(tmp_path, code, place=place)
    message = DsrMessage("a3f0", "erasure", 1500, "gdpr", {"email": "a@b.example"})
    one = delivery(5, None, payload=dsr_messages.encode(message))
    assert await output.send([one]) == [Delivered()]
    assert json.loads((tmp_path / "shown").read_text())[6] == {
        "subject_request_id": "a3f0",
        "subject_request_type": "erasure",
        "submitted_time": 1.5,
        "subject_identities": {"email": {"value": "a@b.example", "encoding": "raw"}},
        "api_version": "3.0",
        "regulation": "gdpr",
        "account": {"account_id": 7},
    }


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param(
            "[Retry('busy', retry_after_s=5.0)]", Retry("busy", retry_after_s=5.0), id="later"
        ),
        pytest.param("[Fatal('gone', '')]", Fatal("fatal_response", "gone"), id="never"),
        pytest.param(
            "[Fatal('no', 'x' * 20000, 400)]",
            Fatal("fatal_response", "x" * EXCERPT_BYTES, 400),
            id="with a long text",
        ),
        pytest.param("[Delivered(200, 'thanks')]", Delivered(200, "thanks"), id="with an answer"),
    ],
)
async def test_what_it_returns_holds_for_a_job(
    tmp_path: Path, results: str, expected: object
) -> None:
    assert await open_output(tmp_path, returning(results)).send([delivery(1)]) == [expected]


async def test_what_follows_a_job_of_its_user_that_is_sent_again_is_sent_again_behind_it(
    tmp_path: Path,
) -> None:
    output = open_output(tmp_path, returning("[Retry('busy'), Delivered(), Delivered()]"))
    jobs = [delivery(1, mpid=1), delivery(2, mpid=1), delivery(3, mpid=2)]
    assert await output.send(jobs) == [Retry("busy"), PRECEDED, Delivered()]


@pytest.mark.parametrize(
    "results", ["None", "[]", "[Delivered()] * 3", "[True, True]", "[Retry('x', '503')] * 2"]
)
async def test_anything_else_is_no_result(tmp_path: Path, results: str) -> None:
    outcomes = await open_output(tmp_path, returning(results)).send([delivery(1), delivery(2)])
    assert [type(each) for each in outcomes] == [Fatal, Fatal]
    assert {getattr(each, "reason", "") for each in outcomes} == {"invalid_module_response"}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        pytest.param(None, "there is no file crm.py", id="no file"),
        pytest.param("x = (", "cannot be run: SyntaxError (line 2)", id="no Python"),
        pytest.param("import no_such_module", "cannot be run: ModuleNotFoundError", id="imports"),
        pytest.param("raise SystemExit(1)", "cannot be run: SystemExit", id="it exits"),
        pytest.param("class Other: ...", "no class Output", id="no class"),
        pytest.param("Output = 1", "no class Output", id="no class but its name"),
        pytest.param("class Output: ...", "no `async def send", id="no send"),
        pytest.param(
            "class Output:\n def send(self, jobs): ...", "no `async def send", id="a plain send"
        ),
        pytest.param(
            "class Output:\n async def send(self, jobs): ...",
            "cannot be made: TypeError",
            id="it takes no settings",
        ),
        pytest.param(
            returning("[]") + "    async def start(self): 1 / 0",
            "start raised ZeroDivisionError",
            id="it does not start",
        ),
    ],
)
async def test_a_class_that_cannot_be_had_stops_the_connection(
    tmp_path: Path, code: str | None, problem: str
) -> None:
    output = open_output(tmp_path, code)
    [outcome] = await output.send([delivery(1)])
    assert isinstance(outcome, Refused)
    assert problem in outcome.excerpt
    assert isinstance(await output.test(), Fatal | Retry)
    open_output(tmp_path, returning("[Delivered()]"))  # it is mended, and the connection resumed
    assert await output.send([delivery(1)]) == [Delivered()]


@pytest.mark.parametrize("error", ["ConnectionRefusedError", "TimeoutError"])
async def test_whom_a_class_talks_to_may_be_away_when_it_starts(tmp_path: Path, error: str) -> None:
    """Nobody has to act: it is tried again."""
    code = returning("[Delivered()]") + f"    async def start(self): raise {error}"
    [outcome] = await open_output(tmp_path, code).send([delivery(1)])
    assert outcome == Retry(f"Output.start raised {error}")


async def test_a_constructor_that_hangs_stops_the_connection_and_nothing_else(
    tmp_path: Path,
) -> None:
    hangs = "import threading\nclass Output:\n def __init__(self, settings):"
    code = f"{hangs} threading.Event().wait(0.5)\n async def send(self, jobs): ...\n"
    output = open_output(tmp_path, code, timeout_s=0.05)
    [outcome] = await output.send([delivery(1)])
    assert outcome == Refused("invalid_settings", "Output was not made in time")


async def test_without_a_folder_of_the_operator_there_is_none(tmp_path: Path) -> None:
    output = open_output(tmp_path, returning("[Delivered()]"), has_folder=False)
    problem = "the process setting python_outputs is not set"
    assert await output.send([delivery(1)]) == [Refused("invalid_settings", problem)]
    assert await output.test() == Fatal("invalid_settings", problem)


async def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "outputs"
    folder.mkdir()
    (tmp_path / "crm.py").write_text(returning("[True]"))
    (folder / "crm.py").symlink_to(tmp_path / "crm.py")
    [outcome] = await open_output(folder).send([delivery(1)])
    assert isinstance(outcome, Refused)


async def test_what_it_raises_is_tried_again_and_told_of_without_its_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = "class Output:\n def __init__(self, settings): ...\n"
    output = open_output(tmp_path, code + " async def send(self, jobs): raise ValueError('ann@x')")
    with caplog.at_level(logging.WARNING, "headwater"):
        [outcome] = await output.send([delivery(1)])
    assert outcome == Retry("Output.send raised ValueError")
    [record] = caplog.records
    error = vars(record)["error"]
    assert error["type"] == "ValueError"
    assert error["stack"][-1].endswith("crm.py:4 in send")
    assert "ann@x" not in str(vars(record))


async def test_it_lets_go_and_is_made_anew(tmp_path: Path) -> None:
    code = returning("[Delivered()]") + (
        "    async def stop(self):\n"
        "        __import__('pathlib').Path(__file__).with_name('stopped').write_text('')\n"
    )
    output = open_output(tmp_path, code)
    await output.send([delivery(1)])
    await output.stop()
    assert (tmp_path / "stopped").exists()
    open_output(tmp_path, returning("[Retry('new')]"))
    assert await output.send([delivery(1)]) == [Retry("new")]


async def test_a_stop_that_awaits_what_was_cancelled_stops_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = returning("[Delivered()]") + (
        "    async def stop(self):\n"
        "        future = __import__('asyncio').get_running_loop().create_future()\n"
        "        future.cancel()\n"
        "        await future\n"
    )
    output = open_output(tmp_path, code)
    await output.send([delivery(1)])
    with caplog.at_level(logging.WARNING, "headwater"):
        await output.stop()
    [record] = caplog.records
    assert vars(record)["method"] == "stop"
    assert any(place.endswith("crm.py:9 in stop") for place in vars(record)["error"]["stack"])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        pytest.param("", Delivered(), id="none"),
        pytest.param("print('hello')", Delivered(), id="it prints"),
        pytest.param("return Fatal('no', 'wrong key')", Fatal("no", "wrong key"), id="it says so"),
        pytest.param("1 / 0", Retry("Output.test failed: ZeroDivisionError"), id="it raises"),
        pytest.param(
            "__import__('os')._exit(3)",
            Fatal("invalid_settings", "the process of the test ended: 3"),
            id="it ends its process",
        ),
        pytest.param(
            "__import__('time').sleep(60)",
            Retry("the test has not ended in time"),
            id="it hangs",
        ),
    ],
)
async def test_a_test_harms_nobody(tmp_path: Path, method: str, expected: object) -> None:
    code = returning("[]") + (f"    async def test(self): {method}\n" if method else "")
    output = open_output(tmp_path, code, timeout_s=0.5 if "sleep" in method else 30.0)
    assert await output.test() == expected
