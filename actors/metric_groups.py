"""The metrics of each kind of process, on a registry of its own."""

import platform

from prometheus_client import CollectorRegistry, Counter, Histogram

from actors.identity.state import Tally
from actors.metrics import deployment, forwarding, ingestion, shards, users

MAX_CLIENT_MODULES = 100  # that are counted by their own name


class EdgeMetrics:
    """Metrics of an edge: what was asked over HTTP and what waits for the shards."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self.http_requests = ingestion.HTTP_REQUESTS.on(self.registry)
        self.http_request_duration = ingestion.HTTP_REQUEST_DURATION.on(self.registry)
        self.http_request_size = ingestion.HTTP_REQUEST_SIZE.on(self.registry)
        self.ingest_batches = ingestion.INGEST_BATCHES.on(self.registry)
        self.ingest_drops = ingestion.INGEST_DROPS.on(self.registry)
        self.ingest_queue_depth = ingestion.INGEST_QUEUE_DEPTH.on(self.registry)
        self.ingest_queue_bytes = ingestion.INGEST_QUEUE_BYTES.on(self.registry)
        self.ingest_lag = ingestion.INGEST_LAG.on(self.registry)
        self.identity_requests = users.IDENTITY_REQUESTS.on(self.registry)
        self.identity_duration = users.IDENTITY_DURATION.on(self.registry)
        self.config_revision = deployment.CONFIG_REVISION.on(self.registry)
        self.seeds_dropped = ingestion.SEEDS_DROPPED.on(self.registry)
        self._client_forwarded = ingestion.CLIENT_FORWARDED.on(self.registry)
        self._client_modules: set[int] = set()
        self._counted: dict[tuple[str, str, int], tuple[Counter, Histogram, Histogram]] = {}
        _show_build(self.registry, version)

    def count_request(
        self, api: str, method: str, status: int, duration_s: float, size_bytes: int
    ) -> None:
        """Count one answered request."""
        counted = self._counted.get((api, method, status))
        if counted is None:
            counted = self._counted[api, method, status] = (
                self.http_requests.labels(api, method, str(status)),
                self.http_request_duration.labels(api),
                self.http_request_size.labels(api),
            )
        requests, durations, sizes = counted
        requests.inc()
        durations.observe(duration_s)
        sizes.observe(size_bytes)

    def count_forwarded_by_client(self, workspace: str, source: str, module: object) -> None:
        """Count an event that a kit in a browser has forwarded; what it is called is the page's."""
        name = "other"
        if type(module) is int and (
            module in self._client_modules or len(self._client_modules) < MAX_CLIENT_MODULES
        ):
            self._client_modules.add(module)
            name = str(module)
        self._client_forwarded.labels(workspace, source, name).inc()

    def count_identity_call(self, call: str, status: int, duration_s: float) -> None:
        """Count one answered identity call."""
        self.identity_requests.labels(call, str(status)).inc()
        self.identity_duration.labels(call).observe(duration_s)


class ShardMetrics:
    """Metrics of a shard: what it was given, what it keeps, and how long that takes."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self.ingest_batches = ingestion.INGEST_BATCHES.on(self.registry)
        self.ingest_events = ingestion.INGEST_EVENTS.on(self.registry)
        self.ingest_late_events = ingestion.INGEST_LATE_EVENTS.on(self.registry)
        self.ingest_drops = ingestion.INGEST_DROPS.on(self.registry)
        self.plan_batches = ingestion.PLAN_BATCHES.on(self.registry)
        self.plan_violations = ingestion.PLAN_VIOLATIONS.on(self.registry)
        self.batch_duration = shards.SHARD_BATCH_DURATION.on(self.registry)
        self.audience_evaluations = shards.AUDIENCE_EVALUATIONS.on(self.registry)
        self.real_time_cuts = shards.REAL_TIME_CUTS.on(self.registry)
        self.audience_evaluation_duration = shards.AUDIENCE_EVALUATION_DURATION.on(self.registry)
        self.audience_changes = shards.AUDIENCE_CHANGES.on(self.registry)
        self.audience_size = shards.AUDIENCE_SIZE.on(self.registry)
        self.profiles = shards.SHARD_PROFILES.on(self.registry)
        self.profile_merges = users.PROFILE_MERGES.on(self.registry)
        self.identity_records = users.IDENTITY_RECORDS.on(self.registry)
        self.storage_bytes = shards.STORAGE_BYTES.on(self.registry)
        self.storage_map_used = shards.STORAGE_MAP_USED.on(self.registry)
        self.storage_commit_duration = shards.STORAGE_COMMIT_DURATION.on(self.registry)
        self.queue_depth = forwarding.FORWARDER_QUEUE_DEPTH.on(self.registry)
        self.queue_bytes = forwarding.FORWARDER_QUEUE_BYTES.on(self.registry)
        self.dead_letters = forwarding.FORWARDER_DEAD_DEPTH.on(self.registry)
        self.forwarder_drops = forwarding.FORWARDER_DROPS.on(self.registry)
        self.forwarder_events = forwarding.FORWARDER_EVENTS.on(self.registry)
        self.dead = forwarding.FORWARDER_DEAD.on(self.registry)
        self.config_revision = deployment.CONFIG_REVISION.on(self.registry)
        _show_build(self.registry, version)


class CoordinatorMetrics:
    """Metrics of the coordinator."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self.aliases = users.ALIASES.on(self.registry)
        self.dsr_requests = users.DSR_REQUESTS.on(self.registry)
        self.dsr_oldest = users.DSR_OLDEST.on(self.registry)
        self.identity_records = users.IDENTITY_RECORDS.on(self.registry)
        self.identity_created = users.IDENTITY_CREATED.on(self.registry)
        self.identity_conversions = users.IDENTITY_CONVERSIONS.on(self.registry)
        self.identity_takeovers = users.IDENTITY_TAKEOVERS.on(self.registry)
        self.identity_orphans = users.IDENTITY_ORPHANS.on(self.registry)
        self.identity_conflict_retries = users.IDENTITY_CONFLICT_RETRIES.on(self.registry)
        _show_build(self.registry, version)

    def count_identities(self, tally: Tally) -> None:
        """Count what has happened to identity records, now that it is kept."""
        for reason, count in tally.created.items():
            self.identity_created.labels(reason).inc(count)
        self.identity_conversions.inc(tally.conversions)
        self.identity_takeovers.inc(tally.takeovers)
        self.identity_orphans.inc(tally.orphans)


class ForwarderMetrics:
    """Metrics of a forwarder: what it sent to its output, and what waits or failed."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self.events = forwarding.FORWARDER_EVENTS.on(self.registry)
        self.drops = forwarding.FORWARDER_DROPS.on(self.registry)
        self.requests = forwarding.FORWARDER_REQUESTS.on(self.registry)
        self.request_duration = forwarding.FORWARDER_REQUEST_DURATION.on(self.registry)
        self.lag = forwarding.FORWARDER_LAG.on(self.registry)
        self.queue_oldest = forwarding.FORWARDER_QUEUE_OLDEST.on(self.registry)
        self.in_flight = forwarding.FORWARDER_IN_FLIGHT.on(self.registry)
        self.retries = forwarding.FORWARDER_RETRIES.on(self.registry)
        self.dead = forwarding.FORWARDER_DEAD.on(self.registry)
        self.blocked_users = forwarding.FORWARDER_BLOCKED_USERS.on(self.registry)
        self.barrier_disabled = forwarding.FORWARDER_BARRIER_DISABLED.on(self.registry)
        self.rate_limit_wait = forwarding.FORWARDER_RATE_LIMIT_WAIT.on(self.registry)
        self.rate_limit_factor = forwarding.FORWARDER_RATE_LIMIT_FACTOR.on(self.registry)
        self.breaker_state = forwarding.FORWARDER_BREAKER_STATE.on(self.registry)
        self.connection_status = forwarding.CONNECTION_STATUS.on(self.registry)
        self.loaded_rows = forwarding.WAREHOUSE_LOAD_ROWS.on(self.registry)
        self.load_duration = forwarding.WAREHOUSE_LOAD_DURATION.on(self.registry)
        self.load_success = forwarding.WAREHOUSE_LAST_SUCCESS.on(self.registry)
        _show_build(self.registry, version)

    def count_load(self, output: str, rows: int, duration_s: float, ended_ms: int) -> None:
        """Count what a warehouse has taken."""
        self.loaded_rows.labels(output).inc(rows)
        self.load_duration.labels(output).observe(duration_s)
        self.load_success.labels(output).set(ended_ms / 1000)


class AdminMetrics:
    """Metrics of the deployment as a whole, kept by the process that has the admin port."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self.actor_up = deployment.ACTOR_UP.on(self.registry)
        self.actor_restarts = deployment.ACTOR_RESTARTS.on(self.registry)
        self.config_revision = deployment.CONFIG_REVISION.on(self.registry)
        self.config_last_apply_success = deployment.CONFIG_LAST_APPLY_SUCCESS.on(self.registry)
        self.config_last_apply_timestamp = deployment.CONFIG_LAST_APPLY_TIMESTAMP.on(self.registry)
        _show_build(self.registry, version)


def _show_build(registry: CollectorRegistry, version: str) -> None:
    deployment.BUILD_INFO.on(registry).labels(version, platform.python_version()).set(1)
