"""`headwater serve`: runs a deployment until it is told to stop."""

import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from actors import remote
from actors.clock import SystemClock
from actors.errors import ActorFailed
from actors.store.folder import DataFolder
from config.desk_options import ConfigDeskOptions
from config.errors import ConfigError
from config.settings import Settings, unknown_variables
from server.admin_port import AdminPort
from server.banner import banner
from server.beginning import begin, kept_key
from server.cluster import Cluster
from server.config_watch import ConfigWatch
from server.demo.settings import check_development
from server.host import ServeHost
from server.log_socket import LogReceiver
from server.logs import configure_logging
from server.ports import check_port, check_ports_differ
from server.signing_pair import signing_pair
from server.spawning import Spawner
from server.tls import tls_of
from server.version import program_version

logger = logging.getLogger("headwater.serve")

RAY_CHECK_S = 0.5
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings, environ: Mapping[str, str], show: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT; everything that was acknowledged is then on disk.

    Args:
        settings: of the process.
        environ: for the placeholders of the workspace documents.
        show: prints what a person wants to read.

    Raises:
        ConfigError: the settings or the workspace documents cannot be used.
        DataFolderError: the data folder cannot be used.
        StoreFull: there is no room in it.
        ShardUnavailable: an actor cannot be started, or Ray's own processes have ended.
        OSError: a port cannot be taken.
    """
    configure_logging(settings, "serve", "0")
    for name in unknown_variables(environ):
        logger.warning(
            "an environment variable is called like a setting, and is none",
            extra={"event": "variable_unknown", "variable": name},
        )
    # Until there is a loop; Ray puts handlers of its own in their place.
    for number in STOP_SIGNALS:
        signal.signal(number, _leave)
    try:
        _serve(settings, environ, show)
    except SystemExit:
        logger.info("told to stop before it served", extra={"event": "stopped"})


def _leave(number: int, frame: object) -> None:
    raise SystemExit(0)


def _serve(settings: Settings, environ: Mapping[str, str], show: Callable[[str], None]) -> None:
    check_development(settings)
    _check_nodes(settings)
    check_ports_differ(settings)
    _check_web_sdk(settings)
    settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
    environ = {**environ, "HEADWATER_DATA_DIR": str(settings.data_dir)}
    clock = SystemClock()
    with ExitStack() as stack:
        folder = DataFolder(
            settings.data_dir, settings.shards, settings.map_size_bytes, clock, settings.nodes
        )
        stack.callback(folder.close)
        # Short, because Linux takes 107 bytes for the path of a socket.
        run_dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-"))
        configuration = ConfigDeskOptions(
            settings, kept_key(settings.master_key, folder, "master.key")
        )
        workspaces = begin(configuration, environ, settings, folder, show)
        server_key = kept_key(settings.server_key, folder, "server.key")
        signing = signing_pair(settings, folder, configuration.open_seal(), clock)
        tls = tls_of(settings)
        for address, port in (
            (settings.host, settings.port),
            (settings.host, 0 if tls is None else tls.port),
            (settings.admin_host, settings.admin_port),
        ):
            check_port(address, port, clock)
        host = ServeHost(settings, program_version(), Path(run_dir) / "log")
        remote.start(settings.address)
        stack.callback(remote.stop)
        spawner = Spawner(settings, workspaces, configuration, server_key, signing, folder, host)
        cluster = Cluster(settings, workspaces, spawner, folder, clock)
        watch = ConfigWatch(settings, workspaces, server_key, environ, cluster, clock)
        asyncio.run(_run(settings, watch, cluster, host, show))


def _check_nodes(settings: Settings) -> None:
    """Raise ConfigError if nodes are named that cannot be there."""
    if settings.nodes and settings.address is None:
        raise ConfigError([("nodes", "are those of a Ray cluster, which address has to name")])
    if len(set(settings.nodes)) < len(settings.nodes):
        raise ConfigError([("nodes", "names a node twice")])


def _check_web_sdk(settings: Settings) -> None:
    """Raise ConfigError if the web SDK cannot be served; edges read it for each page."""
    if settings.web_sdk_file is not None:
        try:
            settings.web_sdk_file.read_bytes()
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise ConfigError([("web_sdk_file", message)]) from None


async def _run(
    settings: Settings,
    watch: ConfigWatch,
    cluster: Cluster,
    host: ServeHost,
    show: Callable[[str], None],
) -> None:
    is_told_to_stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, is_told_to_stop.set)
    async with AsyncExitStack() as stack:
        receiver = LogReceiver(host.log_socket, sys.stdout)
        stack.callback(receiver.close)
        stack.push_async_callback(cluster.stop)
        admin = AdminPort(settings, watch, cluster)
        admin_port = await admin.open(stack)
        starting = asyncio.create_task(cluster.start())
        stopping = asyncio.create_task(is_told_to_stop.wait())
        losing = asyncio.create_task(_lost_ray())
        stack.callback(losing.cancel)
        await asyncio.wait((starting, stopping, losing), return_when=asyncio.FIRST_COMPLETED)
        if losing.done():
            starting.cancel()
            cluster.kill()
            raise losing.result()
        if not starting.done():
            starting.cancel()
            return
        await starting
        admin.begin(stack)
        if settings.workspace:  # else it ends the process, as when its terminal is closed
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, watch.reload)
        show(banner(settings, watch.documents, cluster.port, admin_port, watch.is_example))
        logger.info("serving", extra={"event": "serving", "port": cluster.port})
        await asyncio.wait((stopping, admin.failure, losing), return_when=asyncio.FIRST_COMPLETED)
        if losing.done():  # nothing could be asked to stop in order any more
            cluster.kill()
            raise losing.result()
        logger.info("stopping", extra={"event": "stopping"})
        admin.health.is_draining = True
        await cluster.drain()
        await asyncio.sleep(settings.shutdown_grace_s)
    logger.info("stopped", extra={"event": "stopped"})
    if admin.failure.done():
        raise admin.failure.result()


async def _lost_ray() -> ActorFailed:
    """Return once a process of Ray's own has ended without which no actor is started again."""
    while (name := remote.lost()) is None:  # noqa: ASYNC110  # a process has no event
        await asyncio.sleep(RAY_CHECK_S)
    # At once: without its control service Ray ends this process before anything else is said.
    logger.critical(
        "a process of Ray's own has ended, and with it the deployment",
        extra={"event": "ray_lost", "ended": name},
    )
    return ActorFailed(f"Ray's process {name} has ended")
