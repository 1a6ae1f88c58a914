"""Metrics of the deployment: what runs, whether it is there, and the documents it goes by."""

from prometheus_client import Counter, Gauge

from actors.metrics.declaration import Metric

BUILD_INFO = Metric(
    Gauge,
    "headwater_build_info",
    "1",
    ("version", "python"),
    meaning="Always 1; the labels say what runs.",
    remedy="Two versions at once outside an upgrade: finish the upgrade.",
)
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
