"""Tells forwarders, wherever they run, that there is something for them."""

import logging

from actors.errors import ShardUnavailable
from actors.remote import Handle
from actors.remote_handles import forwarder_name

logger = logging.getLogger("headwater.actors")


class Waker:
    """Wakes the forwarders of outputs for which a source has something."""

    def __init__(self, source: int) -> None:
        """Args: `source`: its number among those that the forwarders read."""
        self._source = source
        self._forwarders: dict[str, Handle] = {}

    def wake(self, output: str) -> None:
        """Tell an output's forwarder; one that is not there looks by itself when it is."""
        handle = self._forwarders.setdefault(output, Handle(forwarder_name(output)))
        try:
            handle.tell("wake", self._source)
        except ShardUnavailable:
            logger.debug("a forwarder is not there yet", extra={"event": "wake_missed"})
