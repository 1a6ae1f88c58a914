"""Step 5: the least version of the app (spec/connections.md, 2.2)."""

import re

from actors.pipeline.candidate import Candidate, Step
from actors.pipeline.settings import AppVersions

_VERSION = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*")


def parse_version(text: str) -> tuple[int, ...] | None:
    """Return the components of a version, without zeros at its end; `None` if it is none.

    Versions compare as these do: `4.2` is `4.2.0`.
    """
    if not _VERSION.fullmatch(text):
        return None
    components = [int(part) for part in text.split(".")]
    while components and components[-1] == 0:
        components.pop()
    return tuple(components)


def from_version(versions: AppVersions) -> Step:
    """Make the step that lets batches of new enough apps through."""
    least, takes_unknown = versions.least, versions.takes_unknown

    def check_version(candidate: Candidate) -> str | None:
        sent = candidate.stored.batch.application_info.get("application_version")
        found = parse_version(sent) if sent else None
        is_taken = takes_unknown if found is None else found >= least
        return None if is_taken else "min_app_version"

    return check_version
