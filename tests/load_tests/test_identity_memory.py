"""The command that tells what identities take, on a small scale."""

import json
from pathlib import Path

from click.testing import CliRunner

from load_tests.__main__ import main


def test_what_was_made_is_there_and_what_it_takes_adds_up(tmp_path: Path) -> None:
    results = tmp_path / "memory.json"
    shown = CliRunner().invoke(
        main,
        [
            "identity-memory",
            *("--identities", "2000", "--shards", "3", "--profile-cache-mib", "1"),
            *("--folder", str(tmp_path), "--json", str(results)),
        ],
    )
    assert shown.exit_code == 0, shown.output
    found = json.loads(results.read_text())
    assert (found["users"], found["identities"], found["shards"]) == (667, 2001, 3)
    samples = found["samples"]
    made = [each["identities"] for each in samples]
    assert (made[0], made[-1], len(made)) == (0, 2001, 11)
    assert made == sorted(made)
    assert all(each["private"] > 0 < each["disk"] for each in samples)
    assert samples[-1]["disk"] > samples[0]["disk"]
    grown = samples[-1]["disk"] - samples[0]["disk"]
    assert found["disk_per_million"] == grown / 2001 * 1e6
    middle = samples[5]
    assert found["private_per_million"] == (
        (samples[-1]["private"] - middle["private"]) / (2001 - middle["identities"]) * 1e6
    )
    # Every identity is in the index under a key of 16 bytes, and in the record of its user.
    assert found["tables"]["identities"] > 2001 * (16 + len("customerid"))
    assert found["tables"]["profiles"] > 667 * len("customer-000000001somebody")
    assert sum(found["tables"].values()) <= samples[-1]["disk"]
    assert "profiles" in shown.output
    assert list(tmp_path.iterdir()) == [results]  # nothing is left behind
