"""Why connections do not send, remembered over restarts (spec/connections.md, 1.3).

Of audiences the coordinator knows; this is for connections of inputs.
"""

import msgspec
from msgspec import Struct, field

from actors.forwarding.kept import Kept, Memory
from actors.outputs.environment import OutputState


class Fault(Struct, frozen=True):
    """Why a connection stopped sending. `message`: the answer's body, up to 10 KiB."""

    faulted_on: str
    reason_code: str
    message: str
    first_delivery_id: str = field(name="first_job_id")


FaultMemory = Memory[Fault]

_decode = msgspec.json.Decoder(dict[int, Fault]).decode


def kept_faults(output: str, state: OutputState) -> Kept[Fault]:
    """Return where the faults of an output (its id) are kept."""
    return Kept(output, state, "faults", _decode)
