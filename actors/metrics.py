"""Every metric, declared once: its kind, unit and labels, what it means and what to do about it.

Source: spec/observability.md, 6. A process holds one group of them (actors/metric_groups.py) on a
registry of its own; actors/metric_snapshots.py merges what the processes report into one page.

Label values are slugs, numbers of shards and closed sets of words: never an MPID, an event name,
an attribute or a URL.
"""

from typing import Any, Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

Unit = Literal["1", "seconds", "bytes", "batches", "events", "profiles", "requests", "deliveries"]
MetricT = TypeVar("MetricT", bound=MetricWrapperBase)

LATENCY_BUCKETS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
SIZE_BUCKETS_BYTES = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 131072.0, 262144.0)


class Metric(Generic[MetricT]):
    """One declaration.

    Attributes:
        kind: the class of prometheus-client.
        name: as exported; counters end in `_total`.
        unit: of the value.
        labels: names of its labels.
        meaning: what it counts; the help text of the exposition.
        remedy: what an operator does when it moves.
        buckets: upper bounds of a histogram.
    """

    def __init__(
        self,
        kind: type[MetricT],
        name: str,
        unit: Unit,
        labels: tuple[str, ...],
        *,
        meaning: str,
        remedy: str,
        buckets: tuple[float, ...] = LATENCY_BUCKETS_S,
    ) -> None:
        self.kind = kind
        self.name = name
        self.unit = unit
        self.labels = labels
        self.meaning = meaning
        self.remedy = remedy
        self.buckets = buckets

    def on(self, registry: CollectorRegistry) -> MetricT:
        """Make the metric on a process's registry."""
        options: dict[str, Any] = {"buckets": self.buckets} if self.kind is Histogram else {}
        return self.kind(self.name, self.meaning, self.labels, registry=registry, **options)


BUILD_INFO = Metric(
    Gauge,
    "headwater_build_info",
    "1",
    ("version", "python"),
    meaning="Always 1; the labels say what runs.",
    remedy="Two versions at once outside an upgrade: finish the upgrade.",
)

# -- HTTP -----------------------------------------------------------------------------------------

HTTP_REQUESTS = Metric(
    Counter,
    "headwater_http_requests_total",
    "requests",
    ("api", "method", "code"),
    meaning="Requests answered.",
    remedy="Codes 5xx rise: see the log lines of that time. 403 rises: a key was revoked too soon.",
)
HTTP_REQUEST_DURATION = Metric(
    Histogram,
    "headwater_http_request_duration_seconds",
    "seconds",
    ("api",),
    meaning="Time from the request's head to its answer.",
    remedy="Rises with the commit duration: the disk. Rises alone: more edges.",
)
HTTP_REQUEST_SIZE = Metric(
    Histogram,
    "headwater_http_request_size_bytes",
    "bytes",
    ("api",),
    meaning="Declared size of request bodies, as received; 0 where none is declared.",
    remedy="Near the limit: senders should send smaller batches before they meet 413.",
    buckets=SIZE_BUCKETS_BYTES,
)

# -- Ingestion ------------------------------------------------------------------------------------

INGEST_BATCHES = Metric(
    Counter,
    "headwater_ingest_batches_total",
    "batches",
    ("workspace", "input", "environment", "result"),
    meaning="Batches by what became of them; the environment is `unknown` where none was read.",
    remedy="invalid rises: a client release sends wrong data. rate_limited: raise the limit.",
)
SEEDS_DROPPED = Metric(
    Counter,
    "headwater_seeds_dropped_total",
    "profiles",
    ("workspace",),
    meaning="Users in accepted seeding requests who do not exist: an unknown MPID, or no identity "
    "by which a profile can be found.",
    remedy="Rises: the sender's MPIDs are of another environment or workspace.",
)
INGEST_EVENTS = Metric(
    Counter,
    "headwater_ingest_events_total",
    "events",
    ("workspace", "input", "environment", "event_type"),
    meaning="Events of accepted batches.",
    remedy="Falls to zero for one input: its client has stopped sending.",
)
INGEST_LATE_EVENTS = Metric(
    Counter,
    "headwater_ingest_late_events_total",
    "events",
    ("workspace", "input"),
    meaning="Events received more than 72 hours after their time.",
    remedy="A backfill on the wrong path, or devices with wrong clocks.",
)
INGEST_DROPS = Metric(
    Counter,
    "headwater_ingest_drops_total",
    "1",
    ("workspace", "input", "reason"),
    meaning="Parts of accepted batches that were cut or left out, and batches of odd size.",
    remedy="Look up the reason in the table of limits and tell the sender.",
)
PLAN_BATCHES = Metric(
    Counter,
    "headwater_plan_batches_total",
    "batches",
    ("workspace", "plan", "outcome"),
    meaning="Batches of workspaces with data plans, by what their plan says of them. `plan` is "
    "empty where they name none, or none that there is.",
    remedy="plan_not_found, no_active_version: the client names another plan than is active.",
)
PLAN_VIOLATIONS = Metric(
    Counter,
    "headwater_plan_violations_total",
    "1",
    ("workspace", "plan", "type", "blocked"),
    meaning="Violations of data plans, and whether what violates them is blocked.",
    remedy="unplanned rises: a client sends what the plan does not have yet.",
)
CLIENT_FORWARDED = Metric(
    Counter,
    "headwater_client_forwarded_total",
    "events",
    ("workspace", "input", "module"),
    meaning="Events that kits in browsers have forwarded by themselves, by the module's id.",
    remedy="None: what browsers report of themselves.",
)
INGEST_QUEUE_DEPTH = Metric(
    Gauge,
    "headwater_ingest_queue_depth",
    "batches",
    ("shard",),
    meaning="Batches that wait in this edge for a shard.",
    remedy="Grows for one shard: it is stuck or hot. Grows for all: more shards.",
)
INGEST_QUEUE_BYTES = Metric(
    Gauge,
    "headwater_ingest_queue_bytes",
    "bytes",
    ("shard",),
    meaning="Bytes that wait in this edge for a shard.",
    remedy="At its limit the edge answers 503.",
)
INGEST_LAG = Metric(
    Gauge,
    "headwater_ingest_lag_seconds",
    "seconds",
    ("shard",),
    meaning="Age of the oldest batch that waits for a shard.",
    remedy="Over 60: that shard does not keep up or does not answer.",
)

# -- Identity -------------------------------------------------------------------------------------

IDENTITY_REQUESTS = Metric(
    Counter,
    "headwater_identity_requests_total",
    "requests",
    ("call", "status"),
    meaning="Identity calls by what they ask for and the status they were answered with.",
    remedy="401 rises: a client's key or signature is wrong. 429: raise the workspace's limit.",
)
IDENTITY_DURATION = Metric(
    Histogram,
    "headwater_identity_seconds",
    "seconds",
    ("call",),
    meaning="Time from the head of an identity call to its answer.",
    remedy="Rises for calls that write only: the coordinator or its disk is the bottleneck.",
)

IDENTITY_RECORDS = Metric(
    Gauge,
    "headwater_identity_records",
    "1",
    ("environment",),
    meaning="Identity records, less those that were erased. The coordinator has those that calls "
    "and batches have made by identities, each shard those that batches have made by an MPID that "
    "nobody had: their sum counts.",
    remedy="Rises faster than users come: clients send identities that change with every call.",
)
IDENTITY_CREATED = Metric(
    Counter,
    "headwater_identity_created_total",
    "1",
    ("reason",),
    meaning="Identity records that were made: why none was found to answer with.",
    remedy="fresh_login rises: check that clients send the same login IDs for the same user.",
)
IDENTITY_CONVERSIONS = Metric(
    Counter,
    "headwater_identity_conversions_total",
    "1",
    (),
    meaning="Anonymous users that a call or a batch has made known.",
    remedy="None for long: clients do not send login IDs any more.",
)
IDENTITY_TAKEOVERS = Metric(
    Counter,
    "headwater_identity_takeovers_total",
    "1",
    (),
    meaning="Unique values that a modify has taken from another user.",
    remedy="Rises: a client gives many users the same value; the users' histories tell which.",
)
IDENTITY_ORPHANS = Metric(
    Counter,
    "headwater_identity_orphans_total",
    "1",
    (),
    meaning="Users that have lost their last identity: no call finds them any more.",
    remedy="Rises with takeovers: undo them if they were wrong.",
)
IDENTITY_CONFLICT_RETRIES = Metric(
    Counter,
    "headwater_identity_conflict_retries_total",
    "1",
    (),
    meaning="Decisions that had to wait until another one on the same identities was written.",
    remedy="Rises: many calls are about the same users at once, or a shard writes slowly.",
)

# -- Data subject requests ------------------------------------------------------------------------

DSR_REQUESTS = Metric(
    Gauge,
    "headwater_dsr_requests",
    "requests",
    ("workspace", "type", "status"),
    meaning="Data subject requests that are not over yet.",
    remedy="in_progress stays: a shard or the disk does not let erasures go on; see the log.",
)
DSR_OLDEST = Metric(
    Gauge,
    "headwater_dsr_oldest_seconds",
    "seconds",
    ("workspace", "type", "status"),
    meaning="How long ago the oldest of them was received.",
    remedy="pending beyond the waiting period: the run that should have come did not.",
)

# -- Aliases --------------------------------------------------------------------------------------

ALIASES = Metric(
    Counter,
    "headwater_alias_total",
    "1",
    ("result",),
    meaning="Aliases that were processed: applied, or dropped because of others before them.",
    remedy="dropped rises: a client aliases users again and again; list them to see which.",
)

# -- Shards ---------------------------------------------------------------------------------------

SHARD_BATCH_DURATION = Metric(
    Histogram,
    "headwater_shard_batch_duration_seconds",
    "seconds",
    ("stage",),
    meaning="Time that one micro-batch spends in a stage.",
    remedy="commit rises: the disk. Another stage rises: what was configured for it last.",
)
AUDIENCE_EVALUATIONS = Metric(
    Counter,
    "headwater_audience_evaluations_total",
    "profiles",
    ("workspace",),
    meaning="Profiles whose audiences were evaluated: touched by a batch, due, or walked.",
    remedy="Far above the batches: definitions change often, or many windows close at once.",
)
REAL_TIME_CUTS = Metric(
    Counter,
    "headwater_real_time_cuts_total",
    "profiles",
    ("workspace",),
    meaning="Users whose oldest events real-time audiences and attributes do not see any more, as "
    "they have more than `limits.real_time_bytes_per_user`; once for every quarter of it.",
    remedy="Look for bots; send what audiences do not need with tier `preserve`.",
)
AUDIENCE_EVALUATION_DURATION = Metric(
    Histogram,
    "headwater_audience_evaluation_duration_seconds",
    "seconds",
    (),
    meaning="Time to evaluate the audiences of all profiles that one transaction touched.",
    remedy="Rises with the number of audiences: `headwater audiences explain-cost` tells what of.",
)
AUDIENCE_CHANGES = Metric(
    Counter,
    "headwater_audience_membership_changes_total",
    "profiles",
    ("workspace", "audience", "action"),
    meaning="Memberships that began (`add`) or ended (`delete`), by number of the audience.",
    remedy="Many of both for one audience: its users go in and out; widen its windows.",
)
AUDIENCE_SIZE = Metric(
    Gauge,
    "headwater_audience_size",
    "profiles",
    ("workspace", "audience"),
    meaning="Members on a shard, by number of the audience.",
    remedy="0 or everybody: read an explanation of one user.",
)
SHARD_PROFILES = Metric(
    Gauge,
    "headwater_shard_profiles",
    "profiles",
    ("shard", "state"),
    meaning="Profiles in the cache (memory) and in the store (stored).",
    remedy="memory far below the active users: raise profile_cache_bytes.",
)
STORAGE_BYTES = Metric(
    Gauge,
    "headwater_storage_bytes",
    "bytes",
    ("shard", "db"),
    meaning="Bytes that a shard's table takes on disk.",
    remedy="Grows without end: check retention.",
)
STORAGE_MAP_USED = Metric(
    Gauge,
    "headwater_storage_map_used_ratio",
    "1",
    ("shard", "db"),
    meaning="Used part of the store's largest allowed size.",
    remedy="Over 0.8: raise map_size_bytes and restart; at 1 writes are refused with 503.",
)
STORAGE_COMMIT_DURATION = Metric(
    Histogram,
    "headwater_storage_commit_duration_seconds",
    "seconds",
    ("shard",),
    meaning="Time of one commit, with its wait for the disk.",
    remedy="99 % over 1 s: a slow or shared disk.",
)

# -- Forwarding -----------------------------------------------------------------------------------

FORWARDER_EVENTS = Metric(
    Counter,
    "headwater_forwarder_events_total",
    "events",
    ("connection", "result"),
    meaning="Events that were sent, dropped, or failed for good.",
    remedy="failed rises: read the connection's dead letters.",
)
FORWARDER_DROPS = Metric(
    Counter,
    "headwater_forwarder_drops_total",
    "events",
    ("connection", "reason"),
    meaning="Events that a connection did not forward, and why.",
    remedy="Rises after a change of filters: that change.",
)
FORWARDER_REQUESTS = Metric(
    Counter,
    "headwater_forwarder_requests_total",
    "requests",
    ("connection", "code", "class"),
    meaning="Attempts by status and class (success, retry, fatal).",
    remedy="fatal rises: credentials or address of the output.",
)
FORWARDER_REQUEST_DURATION = Metric(
    Histogram,
    "headwater_forwarder_request_duration_seconds",
    "seconds",
    ("output",),
    meaning="Time of one attempt.",
    remedy="Near the time-out: the destination is overloaded; lower max_in_flight.",
)
FORWARDER_LAG = Metric(
    Histogram,
    "headwater_forwarder_delivery_lag_seconds",
    "seconds",
    ("connection",),
    meaning="Time from receipt to success.",
    remedy="Rises with the queue depth: the destination does not keep up.",
)
FORWARDER_QUEUE_DEPTH = Metric(
    Gauge,
    "headwater_forwarder_queue_depth",
    "deliveries",
    ("connection",),
    meaning="Deliveries that wait.",
    remedy="Grows for hours: the destination is down or too slow.",
)
FORWARDER_QUEUE_BYTES = Metric(
    Gauge,
    "headwater_forwarder_queue_bytes",
    "bytes",
    ("connection",),
    meaning="Bytes of the deliveries that wait.",
    remedy="At the queue's limit new deliveries become dead letters.",
)
FORWARDER_QUEUE_OLDEST = Metric(
    Gauge,
    "headwater_forwarder_queue_oldest_seconds",
    "seconds",
    ("connection",),
    meaning="Age of the oldest delivery that waits.",
    remedy="Over an hour: see the last response of that connection.",
)
FORWARDER_IN_FLIGHT = Metric(
    Gauge,
    "headwater_forwarder_in_flight",
    "requests",
    ("output",),
    meaning="Attempts under way.",
    remedy="Always at max_in_flight: raise it if the destination can take more.",
)
FORWARDER_RETRIES = Metric(
    Counter,
    "headwater_forwarder_retries_total",
    "requests",
    ("connection",),
    meaning="Attempts after the first.",
    remedy="Rises: the destination fails now and then.",
)
FORWARDER_DEAD_DEPTH = Metric(
    Gauge,
    "headwater_forwarder_dlq_depth",
    "deliveries",
    ("connection", "reason"),
    meaning="Dead letters kept.",
    remedy="Mend the cause and replay them.",
)
FORWARDER_DEAD = Metric(
    Counter,
    "headwater_forwarder_dlq_total",
    "deliveries",
    ("connection", "reason"),
    meaning="Deliveries that became dead letters.",
    remedy="Grows: read one of them, its reason and response say what to mend.",
)
FORWARDER_BLOCKED_USERS = Metric(
    Gauge,
    "headwater_forwarder_blocked_users",
    "1",
    ("connection",),
    meaning="Users whose next delivery waits for one that is being retried.",
    remedy="Grows with the retries: the destination fails.",
)
FORWARDER_BARRIER_DISABLED = Metric(
    Counter,
    "headwater_forwarder_order_barrier_disabled_total",
    "1",
    ("connection",),
    meaning="Times that a user's order was given up because too much waited.",
    remedy="One user sends very much, or the destination refuses that user.",
)
FORWARDER_RATE_LIMIT_WAIT = Metric(
    Counter,
    "headwater_forwarder_rate_limit_wait_seconds_total",
    "seconds",
    ("output",),
    meaning="Time that something was due and the output's rate limit did not let it go.",
    remedy="Rises all the time: more comes than rate_limit lets out; the queue grows.",
)
FORWARDER_RATE_LIMIT_FACTOR = Metric(
    Gauge,
    "headwater_forwarder_rate_limit_factor",
    "1",
    ("output",),
    meaning="Share of the configured rate that is used, learnt from answers 429.",
    remedy="Well below 1 for long: the destination takes less than rate_limit says.",
)
FORWARDER_BREAKER_STATE = Metric(
    Gauge,
    "headwater_forwarder_breaker_state",
    "1",
    ("output",),
    meaning="0: sending, 1: trying whether it works again, 2: left alone after failures.",
    remedy="2 for long: the destination is down.",
)
CONNECTION_STATUS = Metric(
    Gauge,
    "headwater_connection_status",
    "1",
    ("connection",),
    meaning="0 inactive, 1 active, 2 faulted.",
    remedy="2: mend the cause and resume the connection.",
)

# -- The deployment -------------------------------------------------------------------------------

ACTOR_UP = Metric(
    Gauge,
    "headwater_actor_up",
    "1",
    ("role", "id"),
    meaning="1 while an actor reports, 0 when it has not for 60 s.",
    remedy="0: see whether it restarts; else its node is gone.",
)
ACTOR_RESTARTS = Metric(
    Counter,
    "headwater_actor_restarts_total",
    "1",
    ("role", "id"),
    meaning="Restarts of an actor.",
    remedy="More than 3 in 10 minutes: read the log lines before each.",
)
CONFIG_REVISION = Metric(
    Gauge,
    "headwater_config_revision",
    "1",
    ("workspace",),
    meaning="Revision of the workspace document in use.",
    remedy="Differs between processes for long: one of them does not switch.",
)
CONFIG_LAST_APPLY_SUCCESS = Metric(
    Gauge,
    "headwater_config_last_apply_success",
    "1",
    ("workspace",),
    meaning="1 if the last apply took effect, 0 if it was refused.",
    remedy="0: validate the document; the one before is still in use.",
)
CONFIG_LAST_APPLY_TIMESTAMP = Metric(
    Gauge,
    "headwater_config_last_apply_timestamp_seconds",
    "seconds",
    ("workspace",),
    meaning="Time of the last apply, in seconds since 1970.",
    remedy="Not the time of your last change: it has not arrived.",
)
