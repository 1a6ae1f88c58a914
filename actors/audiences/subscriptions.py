"""Audiences connected to outputs (spec/audiences.md, 12.2; spec/connections.md, 5).

Methods raise as those of `actors.audiences.registry` do. Where they take a `receiver`, it is the
number of the workspace that asks, if the audience is another account's: it meets only what is its
own, and an audience that is private to its owner is not there for it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from actors.audiences.catalog import AudienceOutput
from actors.audiences.core import Core
from actors.audiences.fields import SubscriptionFields, given
from actors.audiences.lifecycle import shown_status
from actors.audiences.milestones import settle_milestones
from actors.audiences.objects import CONTROL, Audience, Subscription
from actors.audiences.receivers import MAY_CONNECT, level_of
from actors.audiences.rules import refused
from actors.audiences.state import AudienceState
from actors.errors import AudienceRefused, Problem
from actors.once import answer_with

# Checks the settings of a subscription for a module: what is wrong, each with its JSON pointer.
SettingsCheck = Callable[[str, Mapping[str, Any]], list[Problem]]


class Subscriptions:
    """The connections of audiences."""

    def __init__(self, core: Core, check_settings: SettingsCheck) -> None:
        self._core = core
        self._check_settings = check_settings

    async def subscriptions(
        self, audience: int, receiver: int | None = None
    ) -> list[Subscription] | None:
        """Return the subscriptions of an audience; `None` if there is no such audience."""
        state = self._core.state
        if audience not in state.audiences:
            return None
        found = state.subscriptions_of(audience)
        return [each for each in found if each.receiver == receiver]

    async def all_subscriptions(self) -> list[Subscription]:
        """Return all subscriptions, by number."""
        found = self._core.state.subscriptions.values()
        return sorted(found, key=lambda each: each.number)

    async def loaded_subscriptions(self) -> frozenset[int]:
        """Return the active subscriptions that were told of all members that there were when they
        began. Raises ShardUnavailable."""
        loaded = [each.loaded for each in await self._core.progress()]
        return loaded[0].intersection(*loaded)

    async def audience_outputs(self) -> dict[int, AudienceOutput]:
        """Return the outputs that take audiences, by number."""
        return dict(self._core.catalog.outputs)

    async def create_subscription(
        self, audience: int, fields: SubscriptionFields, actor: str, receiver: int | None = None
    ) -> Subscription | None:
        """Connect an audience; `None` if there is no such audience. `output` has to be given."""
        core = self._core
        with core.changing() as changed:
            if audience not in changed.audiences:
                return None
            self._check_use(changed.audiences[audience], receiver)
            made = self._connect(changed, audience, fields, actor, receiver)
            answer_with(made)
        await core.push()
        return made

    async def connect_audiences(
        self,
        audiences: Sequence[int],
        fields: SubscriptionFields,
        actor: str,
        receiver: int | None = None,
    ) -> list[Subscription | AudienceRefused]:
        """Connect many audiences to one output; each succeeds or fails by itself."""
        core = self._core
        results: list[Subscription | AudienceRefused] = []
        with core.changing() as changed:
            for audience in audiences:
                tried = changed.copy()
                try:
                    results.append(self._connect_one(tried, audience, fields, actor, receiver))
                except AudienceRefused as error:
                    results.append(error)
                else:
                    changed.become(tried)
            answer_with(results)
        await core.push()
        return results

    async def replace_subscription(
        self, audience: int, number: int, fields: SubscriptionFields, receiver: int | None = None
    ) -> Subscription | None:
        """Change what is given; `None` if the audience has no such subscription.

        What it connects cannot be changed. Settings that are saved anew do not resume it.
        """
        core = self._core
        with core.changing() as changed:
            former = _own(changed, audience, number, receiver)
            if former is None:
                return None
            self._check_use(changed.audiences[audience], receiver)
            changes = given(fields)
            for fixed in ("output", "variation"):
                if changes.get(fixed, getattr(former, fixed)) != getattr(former, fixed):
                    path = {"output": "/output_id", "variation": "/variant"}[fixed]
                    raise refused("INVALID_STATE", "It cannot be changed; connect anew.", path)
            names = changes.pop("shared_user_attributes", former.shared_user_attributes)
            after = replace(former.sharing(names), **changes)
            self._check_subscription(changed, after)
            changed.put_subscription(after)
            if after.is_active and not former.is_active:
                core.check_active_limit(changed, 0)
            settle_milestones(changed, core.catalog, core.readings, core.neighbours())
            changed.tell_shards()
            answer_with(after)
        await core.push()
        return after

    async def delete_subscription(
        self, audience: int, number: int, receiver: int | None = None
    ) -> bool:
        """Disconnect: the output gets one `remove`, nothing for members; tell if there was one."""
        core = self._core
        with core.changing() as changed:
            if _own(changed, audience, number, receiver) is None:
                return False
            if receiver is None:  # what it has no use for any more a receiver may always end
                core.check_unmanaged(changed.audiences[audience])
            changed.end_subscription(number, core.clock.now_ms())
            settle_milestones(changed, core.catalog, core.readings, core.neighbours())
            changed.tell_shards()
            answer_with(True)
        await core.push()
        return True

    async def resume_subscription(
        self, audience: int, number: int, receiver: int | None = None
    ) -> bool:
        """Send the held net changes of a faulted subscription; tell whether there is one."""
        core = self._core
        with core.changing() as changed:
            former = _own(changed, audience, number, receiver)
            if former is None:
                return False
            if former.fault is None:
                raise refused("INVALID_STATE", "The subscription is not faulted.")
            changed.put_subscription(replace(former, fault=None, resumed=former.resumed + 1))
            changed.tell_shards()
            answer_with(True)
        await core.push()
        return True

    async def send_audience(
        self, audience: int, numbers: Sequence[int], receiver: int | None = None
    ) -> bool:
        """Send all members of a standard audience once; tell whether there is such an audience.

        Args:
            audience: has to be calculated, and not too long ago.
            numbers: of its subscriptions that are to be sent to.
            receiver: see the module.
        """
        core = self._core
        with core.changing() as changed:
            found = changed.audiences.get(audience)
            if found is None:
                return False
            if receiver is not None:  # its owner sends those of the document, too
                self._check_use(found, receiver)
            if found.type != "standard":
                raise refused("INVALID_STATE", "Only standard audiences are sent.")
            status = shown_status(found, core.clock.now_ms())
            if status != "ready":
                raise refused("INVALID_STATE", f"The audience is {status}, not ready.")
            known = {
                each.number: each
                for each in changed.subscriptions_of(audience)
                if each.receiver == receiver
            }
            for index, number in enumerate(numbers):
                path = f"/subscription_ids/{index}"
                each = known.get(number)
                if each is None:
                    message = f"The audience has no subscription {number}."
                    raise refused("REFERENCE_NOT_FOUND", message, path)
                if not each.is_active:
                    raise refused("INVALID_STATE", "The subscription is not active.", path)
                changed.put_subscription(replace(each, sends=each.sends + 1))
            changed.tell_shards()
            answer_with(True)
        await core.push()
        return True

    def _connect_one(
        self,
        state: AudienceState,
        audience: int,
        fields: SubscriptionFields,
        actor: str,
        receiver: int | None,
    ) -> Subscription:
        """Connect one audience of many."""
        found = state.audiences.get(audience)
        if found is None:
            raise refused("NOT_FOUND", f"There is no audience {audience}.")
        self._check_use(found, receiver)
        if found.test is not None:
            message = "An audience with an A/B test cannot be connected in bulk."
            raise refused("INVALID_STATE", message)
        return self._connect(state, audience, fields, actor, receiver)

    def _connect(
        self,
        state: AudienceState,
        audience: int,
        fields: SubscriptionFields,
        actor: str,
        receiver: int | None,
    ) -> Subscription:
        core = self._core
        made = Subscription(
            number=state.take("next_subscription"),
            audience=audience,
            variation=None,
            output=0,
            is_active=True,
            settings={},
            created_by=actor,
            created_ms=core.clock.now_ms(),
            receiver=receiver,
        )
        made = replace(made, **given(fields))
        if shown_status(state.audiences[audience], core.clock.now_ms()) == "expired":
            raise refused("INVALID_STATE", "The audience has expired.")
        self._check_subscription(state, made)
        state.put_subscription(made)
        settle_milestones(state, core.catalog, core.readings, core.neighbours())
        core.check_active_limit(state, 0)
        state.tell_shards()
        return made

    def _check_use(self, audience: Audience, receiver: int | None) -> None:
        """Check that an audience may be connected by who asks."""
        if receiver is None:
            self._core.check_unmanaged(audience)
            return
        account = self._core.neighbours()[receiver].account
        if level_of(audience, account) not in MAY_CONNECT:
            raise refused("FORBIDDEN", "The audience is not shared for use with this account.")

    def _check_subscription(self, state: AudienceState, made: Subscription) -> None:
        audience = state.audiences[made.audience]
        output = self._core.output_of(made)
        if output is None:
            message = f"There is no output {made.output} that takes audiences."
            raise refused("REFERENCE_NOT_FOUND", message, "/output_id")
        if made.variation is not None and made.variation not in _variations(audience):
            message = "The audience's A/B test has no such variation."
            raise refused("REFERENCE_NOT_FOUND", message, "/variant")
        if any(
            each.number != made.number
            and (each.receiver, each.output, each.variation)
            == (made.receiver, made.output, made.variation)
            for each in state.subscriptions_of(made.audience)
        ):
            raise refused("INVALID_STATE", "Connection already exists.", "/output_id")
        if made.shared_user_attributes and (
            audience.type != "real_time" or len(audience.workspaces) > 1
        ):
            message = "Only single-workspace real-time audiences can share user attributes."
            raise refused("INVALID_STATE", message, "/shared_user_attributes")
        if made.shared_user_attributes and made.receiver is not None:
            message = "User attributes are not shared with other accounts."
            raise refused("INVALID_STATE", message, "/shared_user_attributes")
        problems = self._check_settings(output.module, made.settings)
        if problems:
            raise AudienceRefused("VALIDATION_ERROR", problems)


def _variations(audience: Audience) -> frozenset[str]:
    if audience.test is None:
        return frozenset()
    return frozenset(each.name for each in audience.test.variations) | {CONTROL}


def _own(
    state: AudienceState, audience: int, number: int, receiver: int | None
) -> Subscription | None:
    """Return a subscription of an audience, if it is that of who asks."""
    found = state.subscriptions.get(number)
    if found is None or (found.audience, found.receiver) != (audience, receiver):
        return None
    return found
