"""The key that signs for data subject requests, from one start to the next."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.clock import ManualClock
from actors.store.folder import DataFolder
from config.errors import ConfigError
from config.sealing import Sealer
from config.settings import Settings
from server.signing_pair import FILE, signing_pair
from tests.signing import DOMAIN, MADE_MS, pair

SEALER = Sealer("m" * 32)
CLOCK = ManualClock(MADE_MS)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    found = DataFolder(tmp_path / "data", 1, 64 * 1024 * 1024, CLOCK)
    yield found
    found.close()


def settings(**values: object) -> Settings:
    return Settings.model_validate({"processor_domain": DOMAIN, **values})


def test_a_pair_is_made_once_for_a_domain_and_kept_sealed(
    folder: DataFolder, caplog: pytest.LogCaptureFixture
) -> None:
    first = signing_pair(settings(), folder, SEALER, CLOCK)
    assert first == signing_pair(settings(), folder, SEALER, CLOCK)
    assert first.is_self_signed
    assert {each.__dict__["event"] for each in caplog.records} == {"dsr_self_signed"}
    kept = folder.read(FILE)
    assert kept is not None
    assert b"PRIVATE" not in kept
    assert (folder.path / FILE).stat().st_mode & 0o077 == 0
    other = signing_pair(settings(processor_domain="other.example.com"), folder, SEALER, CLOCK)
    assert (other.domain, other.key == first.key) == ("other.example.com", False)
    with pytest.raises(ConfigError, match="master_key"):
        signing_pair(settings(), folder, Sealer("n" * 32), CLOCK)


def test_the_operators_pair_is_taken_or_said_to_be_of_no_use(
    folder: DataFolder, tmp_path: Path
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(pair().certificate)
    key.write_bytes(pair().key)
    found = signing_pair(settings(dsr_cert=cert, dsr_key=key), folder, SEALER, CLOCK)
    assert (found.key, found.is_self_signed) == (pair().key, False)
    assert folder.read(FILE) is None
    for wrong, message in (
        ({"dsr_cert": cert}, "dsr_key: signing needs both"),
        ({"dsr_key": key}, "dsr_cert: signing needs both"),
        ({"dsr_cert": cert, "dsr_key": tmp_path / "none"}, "dsr_cert: cannot be read"),
        ({"dsr_cert": cert, "dsr_key": cert}, "dsr_cert: must be PEM"),
        ({"dsr_cert": cert, "dsr_key": key, "processor_domain": "x.example"}, "processor_domain"),
    ):
        with pytest.raises(ConfigError, match=message):
            signing_pair(settings(**wrong), folder, SEALER, CLOCK)
