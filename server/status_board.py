"""The status page: how a person sees at a glance what works (spec/observability.md, 7)."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from html import escape

from server.components import NOTHING_YET, Condition, Look, condition, look

UPDATE_S = 300.0
_COLOURS = {"operational": "#1a7f37", "degraded": "#9a6700", "down": "#cf222e"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Headwater status</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; }}
table {{ border-collapse: collapse; width: 100%; margin-bottom: 2rem; }}
td, th {{ border-bottom: 1px solid #ddd; padding: .4rem; text-align: left; }}
</style></head><body>
<h1>Headwater status</h1>
<table><tr><th>Component</th><th>State</th></tr>{components}</table>
<table><tr><th>API</th><th>Average latency</th></tr>{latencies}</table>
</body></html>
"""


class StatusBoard:
    """Remembers how the metrics looked five to ten minutes ago, and compares."""

    def __init__(self, snapshots: Callable[[], Awaitable[Mapping[tuple[str, str], bytes]]]) -> None:
        self._snapshots = snapshots
        self._looks: deque[Look] = deque((NOTHING_YET,), maxlen=2)

    async def tick(self) -> None:
        """Look; to be called every five minutes."""
        self._looks.append(look(await self._snapshots()))

    async def condition(self) -> Condition:
        """Tell how everything is doing now."""
        return condition(self._looks[0], look(await self._snapshots()))


def as_page(shown: Condition) -> str:
    """Return the page as HTML."""
    components = "".join(
        f"<tr><td>{escape(each.name)}</td>"
        f'<td style="color:{_COLOURS[each.state]}">{each.state}</td></tr>'
        for each in shown.components
    )
    latencies = "".join(
        f"<tr><td>{escape(name)}</td><td>{ms:.1f} ms</td></tr>"
        for name, ms in shown.latency_ms.items()
    )
    return _PAGE.format(components=components, latencies=latencies)
