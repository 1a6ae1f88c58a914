"""What is done to a deployment in one run, all of it from a seed."""

import random
from collections.abc import Sequence

from msgspec import Struct

ROLES = ("Edge", "Shard", "Forwarder", "Coordinator")
# What a deployment cannot go on without: it ends, and is started again as a service manager does.
ROOTS = ("driver", "raylet", "gcs_server", "everything")
OUTPUT_MODES = ("refuse", "hang", "garbage", "error", "cut")

# Processes of Ray's own that others take for dead when they are stopped for longer.
_CONTROL = ("raylet", "gcs_server")
CONTROL_PATIENCE_S = 5.0  # as in `actors.remote`

JUMPS_S = (-3600, -60, -1, 1, 60, 3600)  # such as a time server's that was away, or wrong

_MOST_FAULTS = 3
# Shares of runs. A new start takes longer than all else of a run, a long stop nearly as long.
_ROOT_SHARE = 0.07
_LONG_STOP_SHARE = 0.03
_DISK_SHARE = 0.15
_FREEZE_SHARE = 0.04
# Longer than edges wait for a shard (`kept.SHARD_TIMEOUT_S`).
_LONG_STOP_S = (2.5, 8.0)
# Twice as long, since most requests wait for the answer to an earlier one first.
_FREEZE_S = (4.5, 5.5)


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that goes wrong.

    Attributes:
        at_s: when, from the beginning of the load.
        kind: `kill`, `stop` (SIGSTOP, and SIGCONT after `seconds`), `freeze` (SIGSTOP, and SIGKILL
            after `seconds`: nothing of what it had been sent is done), `restart` (SIGTERM),
            `output`, `disk`, `clock` (it jumps, and back after `seconds`).
        target: a role, a root, the mode of an output, or by how many seconds the clock jumps.
        seconds: for how long, where it ends by itself.
        pick: which of several, modulo how many there are.
    """

    at_s: float
    kind: str
    target: str
    seconds: float = 0.0
    pick: int = 0

    @property
    def name(self) -> str:
        """What it is, without when."""
        return f"{self.kind}:{self.target}"

    @property
    def ends_deployment(self) -> bool:
        """Whether a deployment ends by it, as it cannot do without who dies.

        Who is stopped comes back, and all goes on, unless others have taken it for dead.
        """
        if self.kind == "stop":
            return self.target in _CONTROL and self.seconds > CONTROL_PATIENCE_S
        return self.target in (*ROOTS, "deployment")

    def __str__(self) -> str:
        return f"{self.name}@{self.at_s:.1f}"


def plan_of(seed: int, seconds: float, *, has_disk: bool) -> list[Fault]:
    """Return the faults of a run, in the order of time.

    Args:
        seed: the same seed gives the same faults.
        seconds: how long the load lasts.
        has_disk: whether the data folder is on a disk of its own, that can be filled.
    """
    generator = random.Random(f"faults {seed}")  # to be repeated, not to be secret
    faults = [_light(generator, seconds) for _ in range(generator.randint(1, _MOST_FAULTS))]
    if generator.random() < _ROOT_SHARE:
        faults.append(_root(generator, seconds))
    if generator.random() < _LONG_STOP_SHARE:
        faults.append(_stop(generator, seconds, generator.uniform(*_LONG_STOP_S)))
    if has_disk and generator.random() < _DISK_SHARE:
        length = generator.uniform(0.2, seconds)
        at_s = generator.uniform(0, seconds)
        faults.append(Fault(at_s=at_s, kind="disk", target="full", seconds=length))
    if generator.random() < _FREEZE_SHARE:
        faults.append(_freeze(generator, seconds))
    return sorted(faults, key=lambda fault: fault.at_s)


def deaths_of(seed: int, seconds: float) -> list[Fault]:
    """Return one or two deaths of a run in which slots move all the time.

    Half of them are of a shard, of which two take part in every move.
    """
    generator = random.Random(f"deaths {seed}")  # to be repeated, not to be secret
    faults = [_death(generator, seconds) for _ in range(generator.randint(1, 2))]
    return sorted(faults, key=lambda fault: fault.at_s)


def _death(generator: random.Random, seconds: float) -> Fault:
    others = generator.choice(("Coordinator", "Forwarder", "Edge", "driver", "everything"))
    target = generator.choice(("Shard", others))
    at_s = generator.uniform(0, seconds)
    return Fault(at_s=at_s, kind="kill", target=target, pick=generator.randrange(100))


def described(faults: Sequence[Fault]) -> str:
    """Return the faults as a line of text."""
    return " ".join(map(str, faults))


def _light(generator: random.Random, seconds: float) -> Fault:
    at_s, pick = generator.uniform(0, seconds), generator.randrange(100)
    length = generator.uniform(0.1, seconds)
    kind = generator.choice(("kill", "kill", "restart", "stop", "output", "output", "clock"))
    if kind == "clock":
        jump = generator.choice(JUMPS_S)
        return Fault(at_s=at_s, kind=kind, target=f"{jump:+d}", seconds=length, pick=pick)
    if kind == "output":
        mode = generator.choice(OUTPUT_MODES)
        return Fault(at_s=at_s, kind=kind, target=mode, seconds=length, pick=pick)
    if kind == "stop":
        return _stop(generator, seconds, length)
    return Fault(at_s=at_s, kind=kind, target=generator.choice(ROLES), pick=pick)


def _stop(generator: random.Random, seconds: float, length: float) -> Fault:
    target = generator.choice((*ROLES, *ROLES, "raylet", "gcs_server", "driver"))
    at_s, pick = generator.uniform(0, seconds), generator.randrange(100)
    return Fault(at_s=at_s, kind="stop", target=target, seconds=length, pick=pick)


def _freeze(generator: random.Random, seconds: float) -> Fault:
    at_s = generator.uniform(0, seconds / 2)  # while clients still send
    pick = generator.randrange(100)
    length = generator.uniform(*_FREEZE_S)
    return Fault(at_s=at_s, kind="freeze", target="Shard", seconds=length, pick=pick)


def _root(generator: random.Random, seconds: float) -> Fault:
    at_s = generator.uniform(0, seconds)
    if generator.random() < 0.25:
        return Fault(at_s=at_s, kind="restart", target="deployment")
    return Fault(at_s=at_s, kind="kill", target=generator.choice(ROOTS))
