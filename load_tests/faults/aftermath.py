"""What is looked at once a deployment has ended: its stores, and all that it has printed."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from load_tests.faults.checks import Found
from load_tests.faults.clients import AUTHORIZATION
from load_tests.faults.document import WEB_KEY
from load_tests.faults.record import Record
from load_tests.server_process import CREDENTIALS, KEY


def damages(data_dir: Path) -> Found:
    """Have `headwater data check` read every entry of every store; nobody serves the folder."""
    command = [sys.executable, "-m", "server", "data", "check", "--data-dir", str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    found = Found(details=[])
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        wrong = [line for line in said if not line.endswith(": ok")]
        found.add("damaged", max(len(wrong), 1), "; ".join(wrong))
    return found


def planted(records: Sequence[Record]) -> dict[str, str]:
    """Return what nobody may print: secrets, and what all of a run's users and values contain.

    By value, what it is. `serve` prints the key of the first input on purpose, and not its secret.
    """
    given = dict(zip(CREDENTIALS[::2], CREDENTIALS[1::2], strict=True))
    return {
        WEB_KEY: "the key of an input",
        KEY[3]: "the secret of an input",
        given["--client-secret"]: "the secret of a client",
        AUTHORIZATION.removeprefix("Basic "): "the credentials of an input",
        **{each.token: f"a user or a value of seed {each.seed}" for each in records},
    }


def leaks(texts: Iterable[tuple[str, str]], values: Mapping[str, str]) -> Found:
    """Return which of some values are in some texts.

    Args:
        texts: where each is from, and the text itself.
        values: each with what it is.
    """
    pattern, found = re.compile("|".join(map(re.escape, values))), Found(details=[])
    for where, text in texts:
        for value, count in Counter(pattern.findall(text)).items():
            found.add("leaked", count, f"{values[value]} is in {where}")
    return found
