"""Metrics of who users are: identity calls and records, data subject requests, aliases."""

from prometheus_client import Counter, Gauge, Histogram

from actors.metrics.declaration import Metric

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
ALIASES = Metric(
    Counter,
    "headwater_alias_total",
    "1",
    ("result",),
    meaning="Aliases that were processed: applied, or dropped because of others before them.",
    remedy="dropped rises: a client aliases users again and again; list them to see which.",
)
PROFILE_MERGES = Metric(
    Counter,
    "headwater_profile_merges_total",
    "profiles",
    ("workspace",),
    meaning="Profiles that have taken over the history of another one, by an alias.",
    remedy="Rises faster than users log in: a client aliases users again and again.",
)
