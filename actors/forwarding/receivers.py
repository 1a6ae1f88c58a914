"""What is asked of an output's receivers beside what waits in the outboxes.

They agree to subscriptions, take all members at once, or a notice, and tell what they want.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from actors.audiences.answers import MemberRow
from actors.errors import ShardUnavailable
from actors.forwarding.connections import Connections
from actors.forwarding.desk import Desk
from actors.forwarding.subscriptions import Followed
from actors.model.deliveries import Delivery
from actors.model.workspaces import Environment
from actors.outputs.contract import (
    BulkOutput,
    Delivered,
    Fatal,
    Outcome,
    Refused,
    RegisteredOutput,
    StreamOutput,
    SubscribedOutput,
)
from actors.outputs.snapshots import Snapshot, SnapshotOutput


class Receivers:
    """The outputs of a forwarder, by environment. Nothing is asked unless `is_open`.

    Attributes:
        outputs: each once, though several environments may have the same.
        is_open: the outputs were started, and nobody has asked to stop.
    """

    def __init__(
        self,
        outputs: Mapping[Environment, StreamOutput | BulkOutput],
        connections: Connections,
        desk: Desk,
        hold: Callable[[int], None],
        notify: Callable[[], None],
    ) -> None:
        """Set up.

        Args:
            outputs: of each enabled environment.
            connections, desk: of the forwarder.
            hold: called with the number of a connection that sends no more.
            notify: called when there may be something to do.
        """
        self._environments = outputs
        self._connections = connections
        self._desk = desk
        self._hold = hold
        self._notify = notify
        self.outputs = list({id(each): each for each in outputs.values()}.values())
        self.is_open = False

    def output_of(self, subscription: Followed) -> StreamOutput | BulkOutput | None:
        """Return the output that gets a subscription, `None` if its environment is off."""
        return self._environments.get(subscription.environment)

    def has_a_say(self, subscription: Followed) -> bool:
        """Whether a receiver has to agree to a subscription before it gets any of it."""
        return isinstance(self.output_of(subscription), SubscribedOutput)

    async def write_snapshot(
        self,
        subscription: Followed,
        snapshot: Snapshot,
        pages: AsyncIterator[Sequence[MemberRow]],
    ) -> Outcome | None:
        """Have an output that takes all members at once write them.

        Returns:
            What came of it, `None` if it was not asked to: the subscription does not send.

        Raises:
            Exception: what the pages raise.
        """
        number = subscription.info.number
        state, output = self._connections.states.get(number), self.output_of(subscription)
        is_off = state is None or not state.is_sending or not self.is_open
        if is_off or not isinstance(output, SnapshotOutput):
            return None
        outcome = await output.write_snapshot(snapshot, pages)
        if isinstance(outcome, Delivered):
            self._desk.delivered(number, 0, self._desk.clock.now_ms())
        return outcome

    async def agree(self, subscription: Followed) -> Outcome | None:
        """Have a receiver that has a say agree to a subscription; nothing is sent before.

        Returns:
            What it says, `None` if it is not asked: it has no say, or the subscription does not
            send.
        """
        number = subscription.info.number
        state, output = self._connections.states.get(number), self.output_of(subscription)
        if state is None or state.is_faulted or not self.is_open:
            return None
        if not isinstance(output, SubscribedOutput):
            return None
        outcome = await output.subscribe(subscription.terms)
        was_sending = state.is_sending
        state.is_awaited = not isinstance(outcome, Delivered) or outcome.is_suspension
        if isinstance(outcome, Fatal | Refused):
            self.disagree(number, Fatal(outcome.reason, outcome.excerpt, outcome.http_status))
        elif isinstance(outcome, Delivered) and outcome.is_suspension:
            self.disagree(number, Fatal("suspend_subscription", outcome.excerpt))
        if was_sending and not state.is_sending:
            self._hold(number)
        self._notify()
        return outcome

    def disagree(self, connection: int, why: Fatal) -> None:
        """Fault a subscription that its receiver does not agree to, or not in time."""
        self._desk.not_agreed(connection, why)

    async def send_notice(self, notice: Delivery) -> Outcome | None:
        """Send something that lies in no outbox; `None` if that is not possible just now.

        Outputs that collect changes, or an environment that is off, have no use for it.
        """
        if not self.is_open:
            return None
        output = self._environments.get(notice.environment)
        if output is None or isinstance(output, BulkOutput):
            return Delivered()
        [outcome] = await output.send([notice])
        return outcome

    async def ask_outputs(self, method: str, *arguments: str) -> list[Any]:
        """Call a method of `RegisteredOutput`; return what each output that is one says."""
        if not self.is_open:
            raise ShardUnavailable("forwarder")
        return [
            await getattr(output, method)(*arguments)
            for output in self.outputs
            if isinstance(output, RegisteredOutput)
        ]
