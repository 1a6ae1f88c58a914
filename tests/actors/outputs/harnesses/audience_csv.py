"""The module `audience_csv` beside a folder of this machine."""

import csv
from typing import Any

from actors.model.deliveries import Delivery
from actors.outputs.audience_messages import (
    MembershipChange,
    MembershipMessage,
    MessageAudience,
    encode,
)
from tests.actors.forwarding.support import delivery
from tests.actors.outputs.harness import Received
from tests.actors.outputs.harnesses.file import FileHarness

AUDIENCE = MessageAudience(7, "A", "A")


def membership(number: int, mpid: int) -> Delivery:
    """Return the change of one membership; its number is its time."""
    change = MembershipChange(mpid, "add", {"email": "e@example.com"})
    message = MembershipMessage(f"dl_{number}", number, 1, AUDIENCE, [change])
    return delivery(number, mpid=mpid, payload=encode(message), event_count=0)


class AudienceCsvHarness(FileHarness):
    """A folder."""

    module = "audience_csv"
    seconds = 61.0
    wrong = (
        ({"url": "/tmp/x"}, "settings.url"),
        ({"identities": []}, "settings.identities"),
    )

    def settings(self) -> dict[str, Any]:
        """Write into the folder every minute."""
        return {"url": f"file://{self.root}", "identities": ["email"], "interval_minutes": 1}

    def delivery(self, number: int, mpid: int) -> Delivery:
        """Return the change of a membership."""
        return membership(number, mpid)

    async def received(self) -> list[Received]:
        """Return the rows of all files, by the names of the files."""
        return [
            Received(path.name, int(row["mpid"]), int(row["scanned_timestamp_ms"]))
            for path in sorted(self.root.glob("*.csv"))
            for row in csv.DictReader(path.read_text().splitlines())
        ]
