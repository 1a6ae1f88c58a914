"""What a forwarder is made of: one output with its connections, as the configuration has it."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from actors.forwarding.desk import OutputInfo
from actors.model.workspaces import Environment
from actors.outputs.environment import NOWHERE, OutputPlace
from actors.outputs.module import OutputSettings
from actors.pipeline.connection import ConnectionInfo

# What deliveries in a forwarder's memory depend on.
_FIXED = ("id", "input", "input_id", "output", "module", "is_subscription")


class OutputPlan(Struct, frozen=True):
    """One output as its forwarder opens it. `settings`: of each environment that is enabled."""

    info: OutputInfo
    module: str
    settings: Mapping[Environment, OutputSettings]
    is_audience: bool
    connections: tuple[ConnectionInfo, ...]
    place: OutputPlace = NOWHERE

    def differs_in_connections_alone(self, other: "OutputPlan") -> bool:
        """Tell whether a forwarder that has opened one goes on with the other as it is."""
        if replace(self, connections=()) != replace(other, connections=()):
            return False
        known = {each.number: each for each in self.connections}
        return all(
            getattr(known[each.number], name) == getattr(each, name)
            for each in other.connections
            if each.number in known
            for name in _FIXED
        )
