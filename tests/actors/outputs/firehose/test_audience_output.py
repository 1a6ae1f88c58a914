"""Audiences at a module. Source: spec/connections.md, 4.4; cases by their number there."""

from typing import Any

import pytest
from msgspec.structs import replace

from actors.audiences.announce import FIRST_NUMBER
from actors.forwarder import Forwarder
from actors.forwarding.subscriptions import Followed
from actors.model.batches import AttributeText
from actors.model.deliveries import Delivery
from actors.outputs.audience_messages import (
    Action,
    MembershipChange,
    MembershipMessage,
    MessageAudience,
    SubscriptionMessage,
    encode,
    encode_subscription,
)
from actors.outputs.contract import Delivered, Refused, Retry, SubscriptionTerms
from actors.outputs.firehose.output import FirehoseOutput
from tests.actors.forwarding.support import MemoryOutbox, Simulation, connection, delivery
from tests.actors.outputs.firehose.support import Module, Place, registration

NUMBER = FIRST_NUMBER + 1
SUBSCRIPTION = "audience_subscription_request"
MEMBERSHIP = "audience_membership_change_request"
SETTINGS = [
    {"type": "text", "id": "listId", "name": "List", "required": True},
    {"type": "text", "id": "remoteId", "name": "Remote", "visible": False},
]


@pytest.fixture(autouse=True)
def takes_settings(module: Module) -> None:
    """Register what a subscription has to set, and what the module gives back."""
    takes = {"audience_subscription_settings": SETTINGS}
    module.registration = registration(audience_processing_registration=takes)


def change(
    sequence: int,
    mpid: int,
    action: Action,
    *,
    audience: int = 7,
    number: int = NUMBER,
    identities: dict[str, str] | None = None,
    attributes: dict[str, AttributeText] | None = None,
    deleted: tuple[str, ...] = (),
) -> Delivery:
    """Return the delivery of one change of membership."""
    known = {"email": f"u{mpid}@example.com"} if identities is None else identities
    name = f"dl_{sequence:032x}"
    message = MembershipMessage(
        name,
        0,
        3,
        MessageAudience(audience, "Spenders", f"spenders-{audience}"),
        [MembershipChange(mpid, action, known, attributes or {}, deleted)],
    )
    return delivery(
        sequence, mpid, connection=number, payload=encode(message), delivery_id=name, event_count=0
    )


def followed(settings: dict[str, Any] | None = None, **changes: Any) -> Followed:
    """Return the subscription as the coordinator tells it."""
    info = connection(NUMBER, id="audience-7", input=1, is_subscription=True)
    given = {"listId": "12"} if settings is None else settings
    return replace(Followed(info, False, 0, 7, "spenders-7", "production", given), **changes)


def terms(number: int = NUMBER, audience: int = 7, **settings: str) -> SubscriptionTerms:
    return SubscriptionTerms(number, audience, f"spenders-{audience}", settings or {"listId": "12"})


async def opened(module: Module, place: Place | None = None, **settings: Any) -> FirehoseOutput:
    output = (place or Place("audience")).open(module.url, **settings)
    await output.start()
    return output


async def follow(forwarder: Forwarder, simulation: Simulation, each: Followed) -> None:
    """Do what the follower does every second."""
    forwarder.follow([each])
    await forwarder.receivers.agree(each)
    await simulation.run(2)


async def test_case_30_memberships_wait_for_the_subscription_and_come_to_what_counts(
    module: Module,
) -> None:
    place = Place("audience")
    module.registration = registration(permissions={"user_identities": [{"type": "email"}]})
    outbox = MemoryOutbox(
        [
            change(1, 1, "add"),
            change(2, 2, "add"),
            change(3, 3, "add", identities={"customer_id": "c"}),
            change(4, 1, "delete"),
            change(5, 1, "add"),
        ]
    )
    simulation = Simulation(place.clock)
    forwarder = simulation.start(place.open(module.url), [outbox], [], ordering="user")
    await simulation.run(1)
    forwarder.follow([followed(settings={})])
    await simulation.run(5)
    assert module.messages == [], "nothing goes before the module has agreed"
    await follow(forwarder, simulation, followed(settings={}))
    await simulation.stop()
    assert not outbox.waiting
    first, *others = module.messages
    assert (first["type"], first["action"]) == (SUBSCRIPTION, "add")
    assert (first["audience_id"], first["audience_name"]) == (7, "spenders-7")
    profiles = [each for message in others for each in message["user_profiles"]]
    found = {
        each["user_identities"][0]["value"]: [audience["action"] for audience in each["audiences"]]
        for each in profiles
    }
    assert found == {"u1@example.com": ["add"], "u2@example.com": ["add"]}
    assert place.drops == [(NUMBER, "missing_identity", 1)]


async def test_case_31_settings_that_the_module_gives_back_go_with_all_that_follows(
    module: Module,
) -> None:
    module.say[SUBSCRIPTION] = {"audience_subscription_settings": {"remoteId": "77"}}
    place = Place("audience")
    output = await opened(module, place)
    assert isinstance(await output.subscribe(terms()), Delivered)
    await output.send([change(1, 1, "add")])
    await output.stop()
    again = await opened(module, place)  # as after a restart
    assert isinstance(await again.subscribe(terms()), Delivered)
    await again.send([change(2, 1, "delete")])
    await again.stop()
    assert len(module.of_type(SUBSCRIPTION)) == 1
    for message in module.of_type(MEMBERSHIP):
        [audience] = message["user_profiles"][0]["audiences"]
        assert audience["audience_subscription_settings"] == {"listId": "12", "remoteId": "77"}


async def test_a_subscription_that_changes_is_updated(module: Module) -> None:
    module.say[SUBSCRIPTION] = {"audience_subscription_settings": {"remoteId": "77"}}
    output = await opened(module)
    await output.subscribe(terms())
    await output.subscribe(terms(listId="13"))
    await output.subscribe(terms(listId="13"))
    await output.stop()
    first, second = module.of_type(SUBSCRIPTION)
    assert first["audience_subscription_settings"] == {"listId": "12"}
    assert second["action"] == "update"
    assert second["audience_subscription_settings"] == {"listId": "13", "remoteId": "77"}
    assert second["previous_audience_subscription_settings"] == {"listId": "12", "remoteId": "77"}


async def test_the_end_of_a_subscription_is_told_once(module: Module) -> None:
    output = await opened(module)
    await output.subscribe(terms())
    audience = MessageAudience(7, "Spenders", "spenders-7")
    message = SubscriptionMessage("dl_1", 5, 3, audience, "remove")
    notice = delivery(
        0, None, connection=NUMBER, payload=encode_subscription(message), delivery_id="dl_1"
    )
    assert isinstance((await output.send([notice]))[0], Delivered)
    await output.stop()
    last = module.messages[-1]
    assert (last["type"], last["action"], last["audience_id"]) == (SUBSCRIPTION, "remove", 7)
    assert last["audience_subscription_settings"] == {"listId": "12"}


@pytest.mark.parametrize(
    ("settings", "answer", "reason"),
    [
        pytest.param(
            {"listId": "12", "size": "1"},
            {},
            "settings.size: the module has no such setting",
            id="a setting that is not registered",
        ),
        pytest.param(
            {"listId": "12"},
            {"audience_subscription_settings": {"other": "1"}},
            "the module answered with a setting that it has not registered: other",
            id="an answer with such a setting",
        ),
    ],
)
async def test_what_is_not_registered_faults_the_subscription(
    module: Module, settings: dict[str, str], answer: dict[str, Any], reason: str
) -> None:
    module.say[SUBSCRIPTION] = answer
    output = await opened(module)
    outcome = await output.subscribe(SubscriptionTerms(NUMBER, 7, "spenders-7", settings))
    await output.stop()
    assert isinstance(outcome, Refused)
    assert outcome.excerpt == reason


async def test_a_profile_is_in_a_request_once_with_all_its_audiences(module: Module) -> None:
    output = await opened(module)
    await output.subscribe(terms())
    await output.subscribe(terms(NUMBER + 1, audience=8))
    outcomes = await output.send(
        [
            change(1, 1, "add", attributes={"plan": "gold", "tags": ["a"], "vip": None}),
            change(2, 2, "add"),
            change(3, 1, "add", audience=8, number=NUMBER + 1),
            change(4, 1, "attribute_update", attributes={"plan": "tin"}, deleted=("vip",)),
            change(5, 2, "delete"),
        ]
    )
    await output.stop()
    assert all(isinstance(each, Delivered) for each in outcomes)
    [message] = module.of_type(MEMBERSHIP)
    first, second = message["user_profiles"]
    assert first["mpid"] == "1"
    assert [(each["audience_id"], each["action"]) for each in first["audiences"]] == [
        (8, "add"),
        (7, "add"),
    ]
    assert first["audiences"][1]["user_attributes"] == [
        {"key": "plan", "action": "upsert", "value": "tin"},
        {"key": "tags", "action": "upsert", "list_value": ["a"]},
        {"key": "vip", "action": "delete"},
    ]
    assert [each["action"] for each in second["audiences"]] == ["delete"]
    assert "user_attributes" not in second["audiences"][0]


async def test_attributes_need_their_permission(module: Module) -> None:
    permissions = {"user_identities": [{"type": "email"}]}
    module.registration = registration(permissions=permissions)
    place = Place("audience")
    output = await opened(module, place)
    await output.send(
        [
            change(1, 1, "add", attributes={"plan": "gold"}),
            change(2, 2, "attribute_update", attributes={"plan": "gold"}),
        ]
    )
    await output.stop()
    [message] = module.of_type(MEMBERSHIP)
    [profile] = message["user_profiles"]
    assert "user_attributes" not in profile["audiences"][0]
    assert "mpid" not in profile
    assert place.drops == [(NUMBER, "setting", 1)]


async def test_case_32_a_module_that_refuses_faults_the_subscription_at_once(
    module: Module,
) -> None:
    place = Place("audience")
    outbox = MemoryOutbox([change(1, 1, "add")])
    simulation = Simulation(place.clock)
    forwarder = simulation.start(place.open(module.url), [outbox], [])
    await simulation.run(1)
    await follow(forwarder, simulation, followed())
    assert len(module.of_type(MEMBERSHIP)) == 1
    module.status = 401
    outbox.add(change(2, 1, "delete"))
    forwarder.wake(0)
    await simulation.run(60)
    fault = forwarder.fault(NUMBER)
    assert fault is not None
    assert fault.reason_code == "401-Unauthorized"
    outbox.add(change(3, 1, "add"), change(4, 1, "delete"))
    forwarder.wake(0)
    await simulation.run(3600)
    assert len(module.of_type(MEMBERSHIP)) == 2, "no request for the next hour"
    module.status = 200
    forwarder.follow([followed(resumed=1)])
    await simulation.run(60)
    await simulation.stop()
    assert not outbox.waiting
    [profile] = module.of_type(MEMBERSHIP)[-1]["user_profiles"]
    assert [each["action"] for each in profile["audiences"]] == ["delete"]
    assert len(module.of_type(MEMBERSHIP)) == 3


async def test_case_32_a_module_that_is_busy_to_the_last_faults_the_subscription(
    module: Module,
) -> None:
    place = Place("audience")
    outbox = MemoryOutbox([change(1, 1, "add")])
    simulation = Simulation(place.clock)
    forwarder = simulation.start(place.open(module.url), [outbox], [])
    await simulation.run(1)
    forwarder.follow([followed()])
    await forwarder.receivers.agree(followed())
    module.status = 429
    await simulation.run(2 * 86_400)
    fault = forwarder.fault(NUMBER)
    assert fault is not None
    before = len(module.requests)
    await simulation.run(3600)
    await simulation.stop()
    assert len(module.requests) == before
    assert len(outbox.waiting) == 1, "held until somebody resumes it"


async def test_a_subscription_that_is_not_agreed_to_is_faulted(module: Module) -> None:
    place = Place("audience")
    simulation = Simulation(place.clock)
    outbox = MemoryOutbox([change(1, 1, "add")])
    forwarder = simulation.start(place.open(module.url), [outbox], [])
    await simulation.run(1)
    module.status = 403
    await follow(forwarder, simulation, followed())
    await simulation.stop()
    fault = forwarder.fault(NUMBER)
    assert fault is not None
    assert fault.reason_code == "403-Forbidden"
    assert module.of_type(MEMBERSHIP) == []
    assert len(outbox.waiting) == 1


async def test_the_module_says_how_many_changes_it_wants_together(module: Module) -> None:
    bulk = {"bulk_forward_wait_for_messages": 50, "bulk_forward_wait_in_minutes": 2}
    module.registration = registration(
        audience_processing_registration={"bulk_configuration": bulk}
    )
    output = await opened(module)
    limits = output.limits
    await output.stop()
    assert (limits.max_deliveries, limits.max_wait_ms) == (50, 120_000)


async def test_what_it_says_holds_as_soon_as_it_is_known(module: Module) -> None:
    takes = {"bulk_configuration": {"bulk_forward_wait_for_messages": 2}}
    module.registration = registration(audience_processing_registration=takes)
    place = Place("audience")
    simulation = Simulation(place.clock)
    outbox = MemoryOutbox([change(number, number, "add") for number in range(1, 7)])
    forwarder = simulation.start(place.open(module.url), [outbox], [])
    await simulation.run(1)
    await follow(forwarder, simulation, followed({}))
    await simulation.run(10)
    await simulation.stop()
    sizes = [len(each["user_profiles"]) for each in module.of_type(MEMBERSHIP)]
    assert sizes == [2, 2, 2]


async def test_an_idle_module_is_asked_without_profiles(module: Module) -> None:
    output = await opened(module)
    assert isinstance(await output.test(), Delivered)
    await output.stop()
    assert "user_profiles" not in module.messages[-1]


async def test_a_module_that_does_not_answer_is_asked_again(module: Module) -> None:
    output = await opened(module)
    module.status = 503
    assert isinstance(await output.subscribe(terms()), Retry)
    module.status = 200
    assert isinstance(await output.subscribe(terms()), Delivered)
    await output.stop()
    assert [each["action"] for each in module.of_type(SUBSCRIPTION)] == ["add", "add"]
