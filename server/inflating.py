"""Request bodies that come compressed, inflated within a limit (spec/events-api.md, 3.2)."""

import zlib

from server.problems import Refused, too_large

GZIP = 16 + zlib.MAX_WBITS
RAW_DEFLATE = -zlib.MAX_WBITS
# gzip files may be joined. A client that flushes what it has makes some; an empty one of 20 bytes
# costs as much to begin as a long one.
MAX_GZIP_MEMBERS = 100
# What follows the end of a member is copied by zlib: of a part, never of all that is left.
PART_BYTES = 16 * 1024


def inflated(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Inflate a body that is not empty, in time that is linear in what comes in and goes out.

    Args:
        body: as it was sent.
        encoding: its `Content-Encoding`, in lower case, not `identity`.
        limit_bytes: how long it may become.

    Raises:
        Refused: longer than the limit (413); an unknown encoding, corrupt, cut off, or of more
            than `MAX_GZIP_MEMBERS` joined files (400).
    """
    if encoding in ("gzip", "x-gzip"):
        window = GZIP
    elif encoding == "deflate":
        # The name means zlib's format; some clients send the bare stream. A zlib header is a
        # multiple of 31 whose low half byte is 8.
        is_zlib = body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        window = zlib.MAX_WBITS if is_zlib else RAW_DEFLATE
    else:
        raise Refused("BAD_REQUEST", "Content-Encoding must be gzip, deflate or identity.")
    try:
        return _joined(memoryview(body), window, limit_bytes)
    except zlib.error:
        raise Refused("BAD_REQUEST", "Request body cannot be decompressed.") from None


def _joined(body: memoryview, window: int, limit_bytes: int) -> bytes:
    found: list[bytes] = []
    at = size = 0
    for _ in range(MAX_GZIP_MEMBERS if window == GZIP else 1):
        inflater = zlib.decompressobj(window)
        while not inflater.eof:
            if at == len(body):
                raise zlib.error("incomplete")
            part = body[at : at + PART_BYTES]
            found.append(inflater.decompress(part, limit_bytes + 1 - size))
            size += len(found[-1])
            if size > limit_bytes:
                raise too_large(limit_bytes)
            at += len(part) - len(inflater.unused_data)
        if at == len(body) or window != GZIP:
            return b"".join(found)
    raise zlib.error("too many members")
