"""Files that are made for one person, as they are fetched."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from server.streams import begin


async def send_zip(
    request: web.Request,
    name: str,
    first: bytes,
    read: Callable[[int], Awaitable[bytes]],
    size_bytes: int | None = None,
) -> web.StreamResponse:
    """Answer with a ZIP file that nobody may keep a copy of on its way.

    Args:
        request: that asks for it.
        name: of the file.
        first: its first bytes.
        read: returns the next bytes from an offset on, none at the end.
        size_bytes: of all of it, if that is known.
    """
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
    )
    response.content_length = size_bytes
    await begin(request, response)
    offset, chunk = 0, first
    while chunk:
        await response.write(chunk)
        offset += len(chunk)
        chunk = await read(offset)
    await response.write_eof()
    return response
