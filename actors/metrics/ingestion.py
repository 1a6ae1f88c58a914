"""Metrics of what comes in: requests over HTTP, batches and their events, what waits for shards."""

from prometheus_client import Counter, Gauge, Histogram

from actors.metrics.declaration import Metric

SIZE_BUCKETS_BYTES = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 131072.0, 262144.0)

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
