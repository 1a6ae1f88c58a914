"""URLs of outputs over HTTP."""

import pytest

from actors.outputs.firehose.settings import endpoint_problem
from actors.outputs.web_urls import web_url

NO_URL = "must be an http or https URL"
NO_PORT = "must have a port from 1 to 65535"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://example.com/hidden", NO_URL),
        ("https:///hidden", NO_URL),
        ("https://[::1/hidden", NO_URL),
        ("https://hidden\u2100@example.com/", NO_URL),
        ("https://example.com:99999/hidden", NO_PORT),
        ("https://example.com:65536/hidden", NO_PORT),
        ("https://example.com:0/hidden", NO_PORT),
        ("https://example.com:-1/hidden", NO_PORT),
        ("https://example.com:hidden/in", NO_PORT),
    ],
)
def test_what_nothing_can_be_sent_to_is_refused_and_not_shown(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}$"):
        web_url(url)
    assert endpoint_problem(url, allow_insecure=True) == problem


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://example.com/in", None),
        ("https://example.com:/in", None),
        ("https://example.com:1/in", 1),
        ("http://[::1]:65535/in", 65_535),
    ],
)
def test_a_port_may_be_left_out(url: str, port: int | None) -> None:
    assert web_url(url).port == port
