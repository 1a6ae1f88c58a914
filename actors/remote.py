"""Ray: starting it, putting plain classes into actors, and calling them. The only import of ray."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from threading import Event
from typing import Any

# Before ray is imported: it reads them then. Ray reports to its makers and looks at the machine's
# metrics unless told not to; worker output has a place of its own (`server.log_socket`). On a
# cluster `ray start` has to be given the same: `config/cluster/environment`.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Larger arguments and results go through the object store, which costs three times as much: most
# micro-batches, and pages of the outbox, would.
os.environ.setdefault("RAY_max_direct_call_object_size", str(8 * 1024 * 1024))
# The actors' processes give memory back only where much is free. Pages of the outbox and
# micro-batches come and go, and fetching new memory for each costs more than what is done with it.
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(64 * 1024 * 1024))
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 * 1024 * 1024))  # glibc takes no more
# Ray's workers are made to give way to everything else on the machine; ours serve.
os.environ.setdefault("RAY_worker_niceness", "0")

import psutil  # type: ignore[import-untyped]
import ray
from ray._private import parameter, ray_constants
from ray._private.node import Node
from ray._private.state import actors
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.clock import SystemClock
from actors.errors import (
    ActorFailed,
    AudienceRefused,
    CalculatedRefused,
    CannotListen,
    ConfigurationRefused,
    CursorInvalid,
    DataFolderError,
    GroupExists,
    GroupInvalid,
    HotIdentity,
    ShardUnavailable,
    SlotsMoved,
    SlotsMoving,
    StaleGroupRun,
    StaleTerm,
    StoreDamaged,
    StoreFull,
    SubjectRequestRefused,
)

NAMESPACE = "headwater"
# Hardly anything goes through it; the least that Ray accepts is 75 MiB.
OBJECT_STORE_BYTES = 128 * 1024 * 1024
# How long Ray's processes and ours look for a control service (GCS) that has ended. Ray's own 60 s
# are for one that is started again, which that of a Ray started inside never is.
CONTROL_PATIENCE_S = 5
# Of Ray's own processes, those without which no actor is found or started again.
_NEEDED = ("gcs_server", "raylet")
RETRY_PAUSE_S = 0.05
# Of those who wait for a shard whose slots are moving: longer each time, as they may be many, and
# the shard has to refuse each.
MOVING_PAUSE_S = 0.05
LONGEST_MOVING_PAUSE_S = 0.5
# What an actor takes of a node's resource, of which nodes have 1.
NODE_SHARE = 0.001
OWN_ERRORS = (
    AudienceRefused,
    CalculatedRefused,
    CannotListen,
    ConfigurationRefused,
    CursorInvalid,
    DataFolderError,
    GroupExists,
    GroupInvalid,
    HotIdentity,
    ShardUnavailable,
    SlotsMoved,
    SlotsMoving,
    StaleGroupRun,
    StaleTerm,
    StoreDamaged,
    StoreFull,
    SubjectRequestRefused,
)

_ACTOR_OPTIONS: dict[str, Any] = {
    "num_cpus": 0,  # where actors run is decided here, not by counting processors
    "max_restarts": -1,  # a constructor rebuilds all state from disk
    "max_task_retries": 0,  # callers retry themselves, with what makes a repeat harmless
    "enable_task_events": False,  # about 10 % more calls per second
}


def start(address: str | None) -> None:
    """Start Ray inside, on loopback only and without a dashboard, or join a cluster."""
    if address is None:
        # As on systems where Ray makes no clusters. Else it takes the machine's own address in
        # place of 127.0.0.1, and its processes listen to the network.
        os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
        ray_constants.ENABLE_RAY_CLUSTER = False
        patience = {"gcs_rpc_server_reconnect_timeout_s": CONTROL_PATIENCE_S}
        for name, seconds in patience.items():  # Ray's agents, which are Python, read it here
            os.environ.setdefault(f"RAY_{name}", str(seconds))
        with _without_idle_processes():
            ray.init(
                address="local",  # without it, Ray joins any other one that runs on this machine
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                object_store_memory=OBJECT_STORE_BYTES,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _system_config=patience,
            )
    else:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


@contextlib.contextmanager
def _without_idle_processes() -> Iterator[None]:
    """Let Ray start no autoscaler, no dashboard and nothing that brings output to the driver.

    They would have nothing to do, take 150 MiB, and hold up the start. `ray.init` has no arguments
    for it; those of a cluster belong to `ray start`.
    """
    params, dashboard = parameter.RayParams, Node.start_api_server
    bare = partial(params, no_monitor=True, include_log_monitor=False)  # type: ignore[arg-type]
    parameter.RayParams = bare  # type: ignore[misc, assignment]
    Node.start_api_server = _no_dashboard  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        parameter.RayParams = params  # type: ignore[misc]
        Node.start_api_server = dashboard  # type: ignore[method-assign]


def _no_dashboard(node: Node, **_: object) -> None:
    node._webui_url = ""


def stop() -> None:
    """Leave Ray; one that was started inside ends with all its actors."""
    ray.shutdown()


def lost() -> str | None:
    """Return the name of a process of Ray's own that has ended and was needed, `None` if all run.

    Only a Ray that was started inside is known; of a cluster this is `None`. Nothing but a new
    start helps: Ray goes on without them, but starts no actor again, and after some seconds without
    its raylet calls none.
    """
    node = ray._private.worker._global_node
    if node is None:
        return None
    return next((name for name, _ in node.dead_processes() if name in _NEEDED), None)


def nodes() -> frozenset[str]:
    """Return the names of the nodes of the cluster that are there: of all their resources."""
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return frozenset().union(*(each["Resources"] for each in known if each["Alive"]))


def running() -> list[str]:
    """Return the names of the actors that there are, of whichever run."""
    return list(ray.util.list_named_actors())


def is_restarted() -> bool:
    """Whether this process is of an actor that has died before; without Ray it is none."""
    own = ray.get_runtime_context().get_actor_id() if ray.is_initialized() else None
    return own is not None and bool(actors(actor_id=own)["NumRestarts"])


def spawn(
    name: str,
    host_class: type,
    *arguments: Any,
    calls_at_once: int = 1,
    node: str | None = None,
) -> "Handle":
    """Make a named actor of a class; it is restarted whenever it dies.

    Args:
        name: by which other processes find it.
        host_class: its public methods can be called. With async methods it has one event loop, and
            `calls_at_once` of them run concurrently; else its calls run one after the other.
        arguments: of its constructor, each time it is started.
        node: it runs on the node that has a resource of this name, and waits for it; `None` is
            this node.
    """
    options = _ACTOR_OPTIONS | {
        "name": name,
        "namespace": NAMESPACE,
        "max_concurrency": calls_at_once,
        **_place(node),
    }
    actor_class: Any = ray.remote(host_class)
    return Handle(name, actor_class.options(**options).remote(*arguments))


def _place(node: str | None) -> dict[str, Any]:
    """Return the options by which Ray places an actor."""
    if node is not None:
        # Not the node's id: one that comes back has another, and the same resource.
        return {"resources": {node: NODE_SHARE}}
    here = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False)}


def end(handle: "Handle") -> None:
    """Kill an actor for good."""
    ray.kill(handle.actor, no_restart=True)


def restart(handle: "Handle") -> None:
    """Kill an actor's process; it is started again."""
    ray.kill(handle.actor, no_restart=False)


def kill_all(actors: Iterable[int]) -> None:
    """Kill what is left of a Ray that was started inside and has lost one of its processes.

    Args: `actors`: their processes, which a raylet that has died leaves to nobody.
    """
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().children(recursive=True):
            process.kill()
    for pid in actors:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.name().startswith("ray::"):  # else the number is another's by now
                process.kill()


class Handle:
    """Calls the methods of one actor: `await handle.method(...)`.

    An actor that is being restarted, or whose slots are moving, is called again until `timeout_s`
    have passed, so only what may be repeated should be asked: what the actor does once however
    often it is asked (`actors.once`), or what brings about the same again.

    Raises, from every call:
        ActorFailed: its constructor has failed, so that it will not be started again.
        ShardUnavailable: no answer in time. It may have been done.
        Exception: what the method raised, if it is one of ours; else a RuntimeError names it.
    """

    def __init__(self, name: str, actor: Any = None, timeout_s: float = 10.0) -> None:
        """Args: `actor` is looked up by name if it is not given, when it is first called."""
        self.name = name
        self._actor = actor
        self._timeout_s = timeout_s

    def within(self, timeout_s: float) -> "Handle":
        """Return the same handle with another patience."""
        return Handle(self.name, self._actor, timeout_s)

    @property
    def actor(self) -> Any:
        """Ray's own handle. Raises ShardUnavailable if there is no actor of this name."""
        if self._actor is None:
            try:
                self._actor = ray.get_actor(self.name, NAMESPACE)
            except ValueError:
                raise ShardUnavailable(f"{self.name} is not there") from None
        return self._actor

    def ask_blocking(self, method: str, *arguments: Any) -> Any:
        """Call a method and block until it answers: for who has no event loop yet.

        Raises as `await handle.method(...)`.
        """
        clock = SystemClock()
        deadline_s = clock.monotonic() + self._timeout_s
        while (left_s := deadline_s - clock.monotonic()) > 0:
            try:
                return ray.get(getattr(self.actor, method).remote(*arguments), timeout=left_s)
            except RayTaskError as error:
                own = _own(error)
                if not isinstance(own, SlotsMoving):
                    raise own from error
                Event().wait(MOVING_PAUSE_S)
            except RayActorError as error:
                if error.actor_init_failed:
                    raise ActorFailed(f"{self.name}: {_reason(error)}") from None
                Event().wait(RETRY_PAUSE_S)
            except RayError:  # among them that there was no answer in time
                continue
        raise ShardUnavailable(f"{self.name} does not answer")

    def tell(self, method: str, *arguments: Any) -> None:
        """Call a method and do not wait; nobody learns whether it was done."""
        getattr(self.actor, method).remote(*arguments)

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            return await self._call(method, arguments)

        return call

    async def _call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        pause_s = MOVING_PAUSE_S
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    try:
                        return await _answer(getattr(self.actor, method).remote(*arguments))
                    except RayTaskError as error:
                        own = _own(error)
                        if not isinstance(own, SlotsMoving):
                            raise own from error
                        await asyncio.sleep(pause_s)
                        pause_s = min(pause_s * 2, LONGEST_MOVING_PAUSE_S)
                    except RayError as error:  # it has died, or Ray has killed it to save memory
                        if isinstance(error, RayActorError) and error.actor_init_failed:
                            raise ActorFailed(f"{self.name}: {_reason(error)}") from None
                        await asyncio.sleep(RETRY_PAUSE_S)
        except TimeoutError:
            raise ShardUnavailable(f"{self.name} does not answer") from None

    def __reduce__(self) -> tuple[Any, ...]:
        # By name: an actor handle among an actor's arguments would keep objects of its maker alive.
        return Handle, (self.name, None, self._timeout_s)


async def _answer(reference: Any) -> Any:
    """Await what Ray will have under a reference.

    As `await reference` does, without the two further futures that it makes for every call.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Any] = loop.create_future()

    def settle(answer: Any) -> None:
        if answered.done():  # nobody waits any more
            return
        if isinstance(answer, RayError):
            answered.set_exception(answer)
        else:
            answered.set_result(answer)

    def hand_over(answer: Any) -> None:  # in a thread of Ray's
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer)

    reference._on_completed(hand_over)
    return await answered


def _own(error: RayTaskError) -> Exception:
    cause = error.cause
    if isinstance(cause, OWN_ERRORS):
        return cause
    return RuntimeError(f"an actor failed: {type(cause).__name__}")


def _reason(error: RayActorError) -> str:
    """Return what a constructor raised: the message of an error of ours, of others the type."""
    last_line = str(error).rstrip().rpartition("\n")[2]
    name, _, message = last_line.partition(": ")
    is_ours = name in {f"{each.__module__}.{each.__name__}" for each in OWN_ERRORS}
    return message if is_ours else name
