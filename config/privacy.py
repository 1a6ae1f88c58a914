"""The `privacy` settings of a workspace (spec/privacy.md, 1 and 4.1)."""

from datetime import UTC, datetime
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from actors.privacy.schedule import Schedule
from config.fields import Model


def _check_cron(expression: str) -> str:
    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError("must be a cron expression such as '0 0 * * *'") from None
    return expression


Cron = Annotated[str, AfterValidator(_check_cron)]
# Thirty years: what is further away is a mistake, and dates end.
Seconds = Annotated[int, Field(ge=0, le=30 * 366 * 24 * 3600)]
Interval = Annotated[int, Field(ge=1, le=366 * 24 * 3600)]


class Dsr(Model):
    """When data subject requests are fulfilled.

    `run_interval_seconds`, if it is set, takes the place of both crons, which are in UTC.
    """

    erasure_waiting_seconds: Seconds = 7 * 24 * 3600
    erasure_run_cron: Cron = "0 0 * * *"
    access_run_cron: Cron = "0 0 * * MON,THU"
    run_interval_seconds: Interval | None = None
    completion_margin_seconds: Seconds = 48 * 3600
    callback_interval_seconds: Interval = 900
    results_ttl_seconds: Interval = 7 * 24 * 3600

    @property
    def schedule(self) -> Schedule:
        """What the desk of the requests goes by."""
        return Schedule(
            erasure_waiting_s=self.erasure_waiting_seconds,
            erasure_run_cron=self.erasure_run_cron,
            access_run_cron=self.access_run_cron,
            run_interval_s=self.run_interval_seconds,
            completion_margin_s=self.completion_margin_seconds,
            callback_interval_s=self.callback_interval_seconds,
            results_ttl_s=self.results_ttl_seconds,
        )


class IncludedProfiles(Model):
    """Whether what somebody asks for has the profile too, by the regulation of the request."""

    gdpr: bool = False
    ccpa: bool = False


class Privacy(Model):
    """How the workspace answers the people whose data it has."""

    include_profile_in_access: IncludedProfiles = IncludedProfiles()
    dsr: Dsr = Dsr()
