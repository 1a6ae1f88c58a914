"""What aiohttp logs of requests that are no HTTP: a line, not an error with its stack.

Anybody can send such requests; they are no fault of the server, and must not fill its logs.
"""

import logging

from aiohttp.http_exceptions import HttpProcessingError

PROTOCOL_LOG = logging.getLogger("headwater.http.protocol")


class _MalformedIsNoFault(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record of a malformed request; leave out what is below the level."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = "a request was not HTTP", ()
            record.exc_info = None
            record.__dict__.update(event="malformed_request", kind=type(error).__name__)
        return PROTOCOL_LOG.isEnabledFor(record.levelno)


PROTOCOL_LOG.addFilter(_MalformedIsNoFault())
