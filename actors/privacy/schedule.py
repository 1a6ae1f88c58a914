"""When requests are fulfilled (spec/privacy.md, 4.1). Pure functions."""

from datetime import UTC, datetime, timedelta

from cronsim import CronSim
from msgspec import Struct

from actors.privacy.requests import RequestType

SECOND_MS = 1000


class Schedule(Struct, frozen=True, kw_only=True):
    """The settings of a workspace; times in seconds.

    `run_interval_s` takes the place of both crons, which are read in UTC.
    """

    erasure_waiting_s: int = 7 * 24 * 3600
    erasure_run_cron: str = "0 0 * * *"
    access_run_cron: str = "0 0 * * MON,THU"
    run_interval_s: int | None = None
    completion_margin_s: int = 48 * 3600
    callback_interval_s: int = 900
    results_ttl_s: int = 7 * 24 * 3600

    def run_ms(self, kind: RequestType, received_ms: int, *, skips_waiting: bool) -> int:
        """Return when the run is that fulfils a request; never before it was received."""
        if kind != "erasure":
            return self._run_from(self.access_run_cron, received_ms)
        waiting_ms = 0 if skips_waiting else self.erasure_waiting_s * SECOND_MS
        return self._run_from(self.erasure_run_cron, received_ms + waiting_ms)

    def expected_ms(self, run_ms: int) -> int:
        """Return when a request is completed at the latest."""
        return run_ms + self.completion_margin_s * SECOND_MS

    def callbacks_ms(self, now_ms: int) -> int:
        """Return when what is to be told now is told: callbacks go out together."""
        return _multiple_from(now_ms, self.callback_interval_s * SECOND_MS)

    def _run_from(self, cron: str, earliest_ms: int) -> int:
        if self.run_interval_s is not None:
            return _multiple_from(earliest_ms, self.run_interval_s * SECOND_MS)
        # CronSim gives what comes after a moment, in whole seconds.
        before = datetime.fromtimestamp(-(-earliest_ms // SECOND_MS), UTC) - timedelta(seconds=1)
        return round(next(CronSim(cron, before)).timestamp()) * SECOND_MS


def _multiple_from(earliest_ms: int, interval_ms: int) -> int:
    return -(-earliest_ms // interval_ms) * interval_ms
