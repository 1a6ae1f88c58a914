"""What every output module has to do; a new one is tested by being in the registry."""

import inspect
import pickle
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from actors.clock import ManualClock
from actors.model import Delivery
from actors.outputs.audience_messages import (
    MembershipChange,
    MembershipMessage,
    MessageAudience,
    encode,
)
from actors.outputs.contract import (
    BulkOutput,
    Delivered,
    OutputEnvironment,
    OutputModule,
    OutputSettings,
    StreamOutput,
)
from actors.outputs.egress import EgressRules
from actors.outputs.registry import MODULES, open_outputs
from actors.outputs.retry import PROFILES
from tests.actors.forwarding.support import MemoryOutbox, Receiver, Simulation, delivery

# Settings with which a module can work here, made of a folder and of a receiver's URL.
WORKING: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "audience_csv": lambda folder, url: {
        "url": f"file://{folder}/out",
        "identities": ["email"],
        "interval_minutes": 1,
    },
    "file": lambda folder, url: {"url": f"file://{folder}/out", "roll": {"max_wait_s": 1}},
    "webhook": lambda folder, url: {"url": url},
}
SECRETS: dict[str, dict[str, Any]] = {
    "audience_csv": {
        "url": "memory://x",
        "identities": ["email"],
        "storage_options": {"secret": "hidden"},
    },
    "file": {"url": "memory://x", "storage_options": {"secret": "hidden"}},
    "webhook": {"url": "https://a.example", "authorization_header": "hidden"},
}

SECONDS = {"audience_csv": 61}  # until a module sends by itself


def delivery_to(module: OutputModule, number: int, mpid: int = 1) -> Delivery:
    """Return something that a module of its kinds is sent."""
    if "event" in module.kinds:
        return delivery(number, mpid=mpid)
    message = MembershipMessage(
        f"dl_{number}",
        0,
        1,
        MessageAudience(7, "A", "A"),
        [MembershipChange(mpid, "add", {"email": "e@example.com"})],
    )
    return delivery(number, mpid=mpid, payload=encode(message), event_count=0)


every_module = pytest.mark.parametrize("module", MODULES.values(), ids=lambda each: each.module)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


def surroundings(tmp_path: Path) -> OutputEnvironment:
    return OutputEnvironment("hook", ManualClock(), EgressRules(["127.0.0.1"]), tmp_path / "spool")


def settings_of(module: OutputModule, tmp_path: Path, receiver: Receiver) -> OutputSettings:
    return module.settings_model.model_validate(WORKING[module.module](tmp_path, receiver.url))


@every_module
def test_it_is_registered_under_its_name(module: OutputModule) -> None:
    assert MODULES[module.module] is module
    assert module.kinds <= {"event", "audience", "cookie_sync", "data_warehouse", "dsr"}
    assert module.retry_profile in PROFILES
    assert inspect.getdoc(module.settings_model)


@every_module
def test_its_settings_are_typed_closed_and_frozen(module: OutputModule) -> None:
    model = module.settings_model
    assert model.model_config["strict"]
    assert model.model_config["frozen"]
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({**SECRETS[module.module], "no_such_setting": 1})


@every_module
def test_its_secrets_show_nowhere(module: OutputModule) -> None:
    settings = module.settings_model.model_validate(SECRETS[module.module])
    assert "hidden" not in repr(settings)
    with pytest.raises(ValidationError) as caught:
        module.settings_model.model_validate({**SECRETS[module.module], "url": SecretStr("hidden")})
    assert "hidden" not in str(caught.value)


@every_module
async def test_it_delivers_and_settles_everything(
    module: OutputModule, tmp_path: Path, receiver: Receiver
) -> None:
    settings = settings_of(module, tmp_path, receiver)
    output = module.open(settings, surroundings(tmp_path))
    shard = MemoryOutbox([delivery_to(module, n, n % 3) for n in range(1, 21)])
    simulation = Simulation(ManualClock())
    simulation.start(output, [shard])
    await simulation.run(SECONDS.get(module.module, 2))
    await simulation.stop()
    assert shard.waiting == {}
    assert shard.dead == []


@every_module
async def test_it_answers_for_each_delivery_it_is_given(
    module: OutputModule, tmp_path: Path, receiver: Receiver
) -> None:
    output = module.open(settings_of(module, tmp_path, receiver), surroundings(tmp_path))
    await output.start()
    one = delivery_to(module, 1)
    if isinstance(output, BulkOutput):
        bundle = output.open_bundle("web", output.group(one), one)
        assert not bundle.is_full
        assert await bundle.add([one]) == 1
        assert isinstance(await bundle.send(), Delivered)
    else:
        sent = [delivery_to(module, n) for n in range(1, min(output.limits.max_deliveries, 3) + 1)]
        outcomes = await output.send(sent)
        assert [type(each) for each in outcomes] == [Delivered] * len(sent)
    await output.stop()


@every_module
async def test_its_test_call_says_whether_the_settings_work(
    module: OutputModule, tmp_path: Path, receiver: Receiver
) -> None:
    output = module.open(settings_of(module, tmp_path, receiver), surroundings(tmp_path))
    await output.start()
    assert await output.test() is None
    await output.stop()


@every_module
def test_its_settings_survive_the_way_to_an_actor(module: OutputModule, tmp_path: Path) -> None:
    settings = module.settings_model.model_validate(SECRETS[module.module])
    assert pickle.loads(pickle.dumps(settings)) == settings


@every_module
async def test_environments_share_an_output_only_where_their_settings_are_equal(
    module: OutputModule, tmp_path: Path, receiver: Receiver
) -> None:
    settings = settings_of(module, tmp_path, receiver)
    other = module.settings_model.model_validate(SECRETS[module.module])
    environment = surroundings(tmp_path)
    same = open_outputs(
        module.module, {"production": settings, "development": settings}, environment
    )
    assert same["production"] is same["development"]
    apart = open_outputs(module.module, {"production": settings, "development": other}, environment)
    assert apart["production"] is not apart["development"]


@every_module
def test_it_is_of_one_kind(module: OutputModule, tmp_path: Path) -> None:
    settings = module.settings_model.model_validate(SECRETS[module.module])
    output: StreamOutput | BulkOutput = module.open(settings, surroundings(tmp_path))
    assert isinstance(output, BulkOutput) != hasattr(output, "send")
