"""Metrics of what goes out: what forwarders send, what waits for them, and what failed."""

from prometheus_client import Counter, Gauge, Histogram

from actors.metrics.declaration import Metric

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
WAREHOUSE_LOAD_ROWS = Metric(
    Counter,
    "headwater_warehouse_load_rows_total",
    "1",
    ("output",),
    meaning="Rows that loads have written, of all tables.",
    remedy="None for long while deliveries wait: the warehouse refuses loads; see the log.",
)
WAREHOUSE_LOAD_DURATION = Metric(
    Histogram,
    "headwater_warehouse_load_duration_seconds",
    "seconds",
    ("output",),
    meaning="Time of one load that succeeded.",
    remedy="Near the time between two loads: a larger warehouse, or load_interval_minutes longer.",
)
WAREHOUSE_LAST_SUCCESS = Metric(
    Gauge,
    "headwater_warehouse_last_success_timestamp_seconds",
    "seconds",
    ("output",),
    meaning="When the last load ended that succeeded.",
    remedy="Long ago while deliveries wait: login, privileges or address of the warehouse.",
)
