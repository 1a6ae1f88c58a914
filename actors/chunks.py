"""Files that are handed out in pieces, from one process to another."""

import asyncio
from pathlib import Path

CHUNK_BYTES = 512 * 1024


async def read_chunk(path: Path, offset: int) -> bytes:
    """Return the next bytes of a file from an offset on; none at its end, or if it is gone."""
    return await asyncio.to_thread(_read, path, offset)


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)
    except FileNotFoundError:
        return b""
