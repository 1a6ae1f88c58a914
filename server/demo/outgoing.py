"""What the demo's outputs were sent lately."""

from collections import deque
from typing import Any

from msgspec import Struct

KEPT = 200


class Message(Struct, frozen=True):
    """A body that an output of the demo was sent; `received_ms` is when."""

    output: str
    received_ms: int
    body: dict[str, Any]

    def is_about(self, mpid: int) -> bool:
        """Whether it is a batch of a user, or tells a change of his membership."""
        changes = self.body.get("changes", ())
        return self.body.get("mpid") == mpid or any(
            isinstance(each, dict) and each.get("mpid") == mpid for each in changes
        )


class Outgoing:
    """The last `KEPT` messages, in memory: of one edge, for as long as it runs."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque(maxlen=KEPT)

    def keep(self, message: Message) -> None:
        """Add one; the oldest goes when there are too many."""
        self._messages.append(message)

    def about(self, mpid: int) -> list[Message]:
        """Return what is about a user, newest first."""
        return [each for each in reversed(self._messages) if each.is_about(mpid)]
