"""Metrics of what shards do with batches: stages, audiences, profiles, and their stores."""

from prometheus_client import Counter, Gauge, Histogram

from actors.metrics.declaration import Metric

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
