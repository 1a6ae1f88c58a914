"""HTTPS on edges (spec/clients.md, 2)."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.settings import Settings
from server.tls import tls_of
from tests.clients.tools import certificate


def test_without_a_certificate_there_is_no_https() -> None:
    assert tls_of(Settings()) is None


def test_a_certificate_and_its_key_serve(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    tls = tls_of(Settings(tls_cert=cert, tls_key=key, tls_port=4443))
    assert tls is not None
    assert (tls.cert, tls.key, tls.port) == (cert, key, 4443)
    assert tls.context() is not None


@pytest.mark.parametrize(
    ("has_cert", "has_key", "path", "words"),
    [
        (True, False, "tls_key", "needs both"),
        (False, True, "tls_cert", "needs both"),
    ],
)
def test_one_of_the_two_is_not_enough(
    tmp_path: Path, has_cert: bool, has_key: bool, path: str, words: str
) -> None:
    cert, key = certificate(tmp_path)
    settings = Settings(tls_cert=cert if has_cert else None, tls_key=key if has_key else None)
    with pytest.raises(ConfigError) as caught:
        tls_of(settings)
    [(where, message)] = caught.value.problems
    assert where == path
    assert words in message


def test_files_of_no_use_are_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = certificate(tmp_path / "other")
    for wrong in (tmp_path / "absent.pem", other, cert):
        with pytest.raises(ConfigError) as caught:
            tls_of(Settings(tls_cert=cert, tls_key=wrong))
        [(where, message)] = caught.value.problems
        assert where == "tls_cert"
        assert "cannot be used" in message
    assert key.exists()
