"""What the senders of the three kinds of output have in common."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from actors.model.deliveries import Delivery
from actors.outputs.contract import Outcome, RequestLimits
from actors.outputs.environment import OutputEnvironment
from actors.outputs.firehose.client import ModuleClient
from actors.outputs.firehose.messages import Account
from actors.outputs.firehose.registration import Registration
from actors.outputs.firehose.settings import FirehoseSettings


class Ready(Struct, frozen=True):
    """What a message needs besides its content.

    Attributes:
        registration: in force; it takes outputs of the sender's kind.
        account: the output, with its settings.
        headers: show who we are.
    """

    registration: Registration
    account: Account
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Ready({self.registration.name!r})"


class Sender(Protocol):
    """Makes messages of deliveries, and outcomes of the module's answers."""

    def __init__(
        self, settings: FirehoseSettings, environment: OutputEnvironment, client: ModuleClient
    ) -> None: ...

    def load(self, state: Mapping[str, bytes]) -> None:
        """Take up what was kept."""
        ...

    def limits(self, registration: Registration | None) -> RequestLimits:
        """Return what may be put into one `send`."""
        ...

    async def send(self, ready: Ready, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Post one message; return an outcome per delivery, in their order."""
        ...

    async def probe(self, ready: Ready) -> Outcome:
        """Ask whether the module is there."""
        ...


class KindSender:
    """Base of the senders."""

    def __init__(
        self, settings: FirehoseSettings, environment: OutputEnvironment, client: ModuleClient
    ) -> None:
        url = settings.url_of(environment.place.kind)
        assert url is not None, "settings without it are refused"
        self._url = url
        self._settings = settings
        self._environment = environment
        self._client = client

    def load(self, state: Mapping[str, bytes]) -> None:
        """Nothing of what was kept is of use here."""

    def limits(self, registration: Registration | None) -> RequestLimits:
        """Return what may be put into one `send`: a single delivery."""
        return RequestLimits()
