"""Connection strings of PostgreSQL, as settings may have them."""

import re
from typing import Annotated

import psycopg
from psycopg import conninfo
from pydantic import AfterValidator, SecretStr

DEFAULT_PORT = "5432"
# Every other one is refused, also those that a later libpq brings: several let the connection go
# elsewhere than to `host`, or have files of this machine read or written, whatever their path.
ALLOWED_OPTIONS = frozenset(
    {
        "application_name",
        "channel_binding",
        "connect_timeout",
        "dbname",
        "fallback_application_name",
        "gssencmode",
        "host",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "max_protocol_version",
        "min_protocol_version",
        "options",
        "password",
        "port",
        "require_auth",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslmode",
        "sslnegotiation",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    }
)
# Instead of a path: the authorities that this machine trusts.
SYSTEM_AUTHORITIES = ("sslrootcert", "system")


def check_dsn(dsn: str) -> None:
    """Check a connection string; ValueError shows nothing of it but names of options."""
    try:
        options = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:  # its text has what was written
        raise ValueError("must be a connection string such as postgresql://user@host/db") from None
    hosts = str(options.get("host") or "").split(",")
    if not all(hosts) or any(each.startswith(("/", "@")) for each in hosts):
        raise ValueError("must name a host")
    ports = str(options.get("port") or DEFAULT_PORT).split(",")
    if len(ports) not in (1, len(hosts)):
        raise ValueError("must have one port, or as many as hosts")
    if not all(re.fullmatch(r"[0-9]{0,5}", each) for each in ports):
        raise ValueError("must have ports that are numbers")
    if not all(0 < int(each or DEFAULT_PORT) < 65_536 for each in ports):
        raise ValueError("must have ports from 1 to 65535")
    for name, value in options.items():
        if name not in ALLOWED_OPTIONS and (name, value) != SYSTEM_AUTHORITIES:
            raise ValueError(f"must not have {name}")


def _dsn(dsn: SecretStr) -> SecretStr:
    check_dsn(dsn.get_secret_value())
    return dsn


Dsn = Annotated[SecretStr, AfterValidator(_dsn)]
