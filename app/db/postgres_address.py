"""What may stand behind the ``?`` of PostgreSQL's address, checked as the program starts.

Managed databases hand out addresses with libpq's parameters. All of ours are opened by asyncpg, whose reader knows most of
them, and sends the others to the server as settings, which refuses them long after the start.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

CONNECT_SECONDS = 5.0
LONGEST_CONNECT = 60
APPLICATION_NAME = "filmgate"
"""What the server shows of our connections, unless the address says another name."""
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
CHECKED_MODES = frozenset({"verify-ca", "verify-full"})
TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
SESSIONS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
SYSTEM = "system"
"""In place of a file: the certificates that this machine trusts."""
PLAIN = frozenset(
    {"application_name", "connect_timeout", "database", "dbname", "host", "options", "passfile", "password", "port",
     "sslmode", "sslnegotiation", "sslpassword", "ssl_max_protocol_version", "ssl_min_protocol_version",
     "target_session_attrs", "user", *TLS_FILES}
)  # fmt: skip
OURS = frozenset({"channel_binding", "connect_timeout"})
"""Not for asyncpg's reader."""


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """``url`` as asyncpg reads it; how long one attempt to connect may take, in seconds."""

    url: str
    connect_seconds: float


def read_address(url: str) -> PostgresAddress:
    """Of a URL that ``check_parameters`` has passed. It may name several hosts, as libpq's do."""
    parts = urlsplit(url.replace("+asyncpg", "", 1))
    given = _parameters(parts.query)
    seconds = float(given.get("connect_timeout", CONNECT_SECONDS))
    query = {"application_name": APPLICATION_NAME} | {n: v for n, v in given.items() if n not in OURS}
    if query.get("sslrootcert") == SYSTEM:
        query["sslrootcert"] = _system_certificates()
    return PostgresAddress(urlunsplit(parts._replace(query=urlencode(query))), seconds)


def check_parameters(url: str) -> None:
    """Raises ``ValueError`` for a parameter that is not known, or whose value can't be right."""
    given = _parameters(urlsplit(url).query)
    for name in given:
        if name == "channel_binding":
            continue
        if name not in PLAIN:
            raise ValueError(
                f"has the parameter {name[:60]}, which is not known; known are {', '.join(sorted(PLAIN))}"
            )
    _check_words(given)
    _check_tls(given)
    seconds = given.get("connect_timeout", "1")
    if not seconds.isascii() or not seconds.isdigit() or not 1 <= int(seconds[:9]) <= LONGEST_CONNECT:
        raise ValueError(f"has connect_timeout={seconds[:60]}; it must be 1 to {LONGEST_CONNECT} seconds")


def _parameters(query: str) -> dict[str, str]:
    """By name, without those that are empty. ``ssl`` is SQLAlchemy's name of ``sslmode``."""
    return {"sslmode" if name == "ssl" else name: value for name, value in parse_qsl(query)}


def _check_words(given: Mapping[str, str]) -> None:
    words = {
        "sslmode": TLS_MODES,
        "target_session_attrs": SESSIONS,
        "sslnegotiation": ("postgres", "direct"),
        "ssl_min_protocol_version": ("TLSv1.2", "TLSv1.3"),
        "ssl_max_protocol_version": ("TLSv1.2", "TLSv1.3"),
    }
    for name, allowed in words.items():
        if name in given and given[name] not in allowed:
            raise ValueError(f"has {name}={given[name][:60]}; it must be one of {', '.join(allowed)}")
    if given.get("channel_binding", "prefer") not in ("prefer", "disable"):
        raise ValueError(
            "asks for channel_binding=require, which the driver can't do; leave it out, and use "
            "sslmode=verify-full to be sure of the server"
        )


def _check_tls(given: Mapping[str, str]) -> None:
    mode = given.get("sslmode", "prefer")
    if given.get("sslnegotiation") == "direct" and mode not in ("require", *CHECKED_MODES):
        raise ValueError("has sslnegotiation=direct, which needs sslmode=require, verify-ca or verify-full")
    for name in TLS_FILES:
        path = given.get(name)
        if (
            path is not None
            and not (name == "sslrootcert" and path == SYSTEM)
            and not os.access(path, os.R_OK)
        ):
            raise ValueError(
                f"has {name}={path[:200]}, a file that does not exist or may not be read by this user"
            )
    known = "sslrootcert" in given or os.environ.get("PGSSLROOTCERT")
    if mode in CHECKED_MODES and not known and not _own_certificate().exists():
        raise ValueError(
            f"has sslmode={mode}, which needs sslrootcert: the file of your CA's certificate, or {SYSTEM} for those "
            "that this machine trusts"
        )


def _own_certificate() -> Path:
    """Where libpq and asyncpg look for a certificate that nobody has named."""
    return Path("~/.postgresql/root.crt").expanduser()


def _system_certificates() -> str:
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.openssl_cafile
