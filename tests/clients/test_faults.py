"""Server SDKs while a deployment refuses, loses answers, is killed and starts again.

spec/clients.md, section 7, (c), and worked cases 38 and 39.
"""

from contextlib import ExitStack
from typing import Any

import pytest

from tests.clients.gate import HELD, LOST, gate_before
from tests.clients.messages import numbered, start
from tests.clients.programs import Program, Running
from tests.serving import KEY, SECRET, Served, eventually

pytestmark = pytest.mark.ray

COUNT = 60
FAULTS = (503, 429, LOST, HELD, HELD, HELD)
LANGUAGES = ["python", "node", "go", "java"]
SDKS = [
    *(f"segment-{language}" for language in LANGUAGES),
    *(f"rudder-{language}" for language in LANGUAGES),
    *("mparticle-python", "mparticle-node"),
]


@pytest.fixture(scope="module")
def told(served: Served, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Send with all SDKs at once; return what each told, or why it cannot be used here.

    Each goes through a gate of its own, which refuses its first request with 503, the second with
    429, loses the answer to the third, and holds the next. Then the deployment is killed, and
    started again.
    """
    told: dict[str, Any] = {}
    programs: dict[str, Program] = {}
    for sdk in SDKS:
        name, language = sdk.split("-")
        kind = "caller" if name == "mparticle" else "tracker"
        try:
            programs[sdk] = request.getfixturevalue(f"{language}_{kind}")
        except pytest.skip.Exception as missing:
            told[sdk] = missing
    with ExitStack() as stack:
        gates = {
            sdk: stack.enter_context(gate_before(lambda: served.process.url, *FAULTS))
            for sdk in programs
        }
        running = {
            sdk: stack.enter_context(sending(sdk, program, gates[sdk].url))
            for sdk, program in programs.items()
        }
        eventually(
            lambda: [sdk for sdk in gates if not gates[sdk].holding], lambda early: not early
        )
        served.process.kill()
        for gate in gates.values():
            gate.release.set()
        served.start()
        told |= {sdk: each.result() for sdk, each in running.items()}
    return told


def sending(sdk: str, program: Program, host: str) -> Running:
    """Have an SDK send `COUNT` events."""
    name, _ = sdk.split("-")
    user = f"faults-{sdk}"
    if name != "mparticle":
        return start(program, name, host, numbered(user, COUNT), is_patient=True)
    return program.start(
        "patient", KEY=KEY, SECRET=SECRET, HOST=host, USER_ID=user, COUNT=str(COUNT)
    )


@pytest.mark.parametrize("sdk", SDKS)
def test_what_an_sdk_has_queued_arrives_once(
    served: Served, told: dict[str, Any], sdk: str
) -> None:
    if isinstance(told[sdk], pytest.skip.Exception):
        raise told[sdk]
    if sdk.startswith("mparticle"):
        assert told[sdk][:2] == [503, 429]  # it tells each failure, and leaves the rest to others
    else:
        assert told[sdk] == []
    user = f"faults-{sdk}"
    names = [event["data"]["event_name"] for event in served.events(user)]
    assert sorted(names) == sorted(f"E{number}" for number in range(COUNT))
