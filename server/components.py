"""How the parts of a deployment are doing, told from its metrics (spec/observability.md, 7).

A part is `down` when nobody can use it, `degraded` when some cannot, else `operational`. What was
counted is looked at over the time since the last look, so that an hour-old failure says nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from actors.metric_snapshots import Series, series

State = Literal["operational", "degraded", "down"]

DEGRADED_SHARE = 0.01  # of an API's requests that a fault of ours has refused
DOWN_SHARE = 0.5
FAULTED = 2  # headwater_connection_status

INGESTION = ("events", "bulk", "historical", "client", "pixel")
IDENTITY = ("identity",)
PROFILES = ("profile",)
PLATFORM = ("platform", "oauth")

Totals = dict[tuple[str, ...], float]


class Look(Struct, frozen=True):
    """What the metrics said at one time.

    Attributes:
        requests: (API, class of status such as `5`, edge) to answers.
        seconds, timed: (API, edge) to the time that requests took, and how many there were.
        up: role to whether each of its actors answers.
        connections: states of all connections.
    """

    requests: Totals
    seconds: Totals
    timed: Totals
    up: dict[str, list[bool]]
    connections: list[int]


NOTHING_YET = Look({}, {}, {}, {}, [])


class Component(Struct, frozen=True):
    """One line of the status page."""

    name: str
    state: State


class Condition(Struct, frozen=True):
    """The whole page. `latency_ms`: API to the mean time of an answer, where there was one."""

    components: tuple[Component, ...]
    latency_ms: dict[str, float]


def look(snapshots: Mapping[tuple[str, str], bytes]) -> Look:
    """Read the snapshots of all processes."""
    found = Look({}, {}, {}, {}, [])
    for sample in series(snapshots):
        labels = sample.labels
        match sample.name:
            case "headwater_http_requests_total":
                _add(found.requests, (labels["api"], labels["code"][:1]), sample)
            case "headwater_http_request_duration_seconds_sum":
                _add(found.seconds, (labels["api"],), sample)
            case "headwater_http_request_duration_seconds_count":
                _add(found.timed, (labels["api"],), sample)
            case "headwater_actor_up":
                found.up.setdefault(labels["role"], []).append(sample.value > 0)
            case "headwater_connection_status":
                found.connections.append(int(sample.value))
    return found


def condition(before: Look, now: Look) -> Condition:
    """Tell how everything is doing, by two looks; what was counted, by what came between them."""
    requests = _since(before.requests, now.requests)
    seconds, timed = _since(before.seconds, now.seconds), _since(before.timed, now.timed)
    edges, shards = _of_actors(now, "edge"), _of_actors(now, "shard")
    coordinator = _of_actors(now, "coordinator")

    def api(names: Sequence[str], *others: State) -> State:
        return _worst((edges, shards, _of_requests(requests, names), *others))

    components = (
        Component("dashboard", "operational"),  # who reads this was answered by it
        Component("ingestion", api(INGESTION, _softened(coordinator))),
        Component("identity", api(IDENTITY, coordinator)),
        Component("profile", api(PROFILES)),
        Component("platform API", api(PLATFORM)),
        Component("forwarding", _worst((shards, _of_forwarding(now)))),
        Component("audience", shards),
        Component("rules", shards),
    )
    latency = {
        name: round(1000 * seconds.get((name,), 0.0) / count, 3)
        for (name,), count in sorted(timed.items())
        if count > 0
    }
    return Condition(components, latency)


def _add(totals: Totals, key: tuple[str, ...], sample: Series) -> None:
    of_edge = (*key, sample.labels["instance"])
    totals[of_edge] = totals.get(of_edge, 0.0) + sample.value


def _since(before: Totals, now: Totals) -> Totals:
    """Return what all edges counted between two looks, without which of them it was.

    A counter that went back began anew. In a sum that would not be seen, or what the edge that
    began anew had counted before would be looked at once more.
    """
    found: Totals = {}
    for key, value in now.items():
        earlier = before.get(key, 0.0)
        gained = value - (earlier if earlier <= value else 0.0)
        found[key[:-1]] = found.get(key[:-1], 0.0) + gained
    return found


def _of_requests(requests: Totals, names: Sequence[str]) -> State:
    total = sum(count for (api, _), count in requests.items() if api in names)
    failed = sum(requests.get((api, "5"), 0.0) for api in names)
    share = failed / total if total else 0.0
    return "down" if share > DOWN_SHARE else "degraded" if share > DEGRADED_SHARE else "operational"


def _of_actors(now: Look, role: str) -> State:
    up = now.up.get(role, [])
    return "operational" if all(up) else "degraded" if any(up) else "down"


def _of_forwarding(now: Look) -> State:
    """Tell how delivery is doing."""
    is_held = FAULTED in now.connections
    return _worst((_of_actors(now, "forwarder"), "degraded" if is_held else "operational"))


def _softened(state: State) -> State:
    """Without the coordinator known users are served all the same."""
    return "degraded" if state == "down" else state


def _worst(states: Iterable[State]) -> State:
    order: Sequence[State] = ("operational", "degraded", "down")
    severity: Callable[[State], int] = order.index
    return max(states, key=severity)
