"""One picture of a run: what was acknowledged over time, and how long it took."""

from pathlib import Path

from matplotlib.figure import Figure

from load_tests.report import Report

_INK, _LIGHT, _DARK = "#333333", "#9db8d2", "#1f5a94"


def write_chart(report: Report, path: Path) -> None:
    """Write a PNG: events per second above, latency p50 and p99 per second below."""
    rows = report.by_second
    figure = Figure(figsize=(8, 5), dpi=120, layout="tight")
    above, below = figure.subplots(2, 1, sharex=True)
    edges = [*rows["second"], len(rows["second"])]
    above.stairs(rows["events"], edges, baseline=None, color=_DARK)
    above.set_ylim(bottom=0)
    above.set_ylabel("events/s", color=_INK)
    above.set_title(f"{report.throughput['events_per_second']:,.0f} events/s", loc="left")
    for name, color, label in (("p99_ms", _DARK, "p99"), ("p50_ms", _LIGHT, "p50")):
        values = [float("nan") if value is None else value for value in rows[name]]
        below.stairs(values, edges, baseline=None, color=color, label=label)
    below.set_ylim(bottom=0)
    below.set_ylabel("latency, ms", color=_INK)
    below.set_xlabel("seconds", color=_INK)
    below.legend(frameon=False, loc="upper right")
    below.set_title(
        "  ".join(f"{name} {value:,.1f}" for name, value in report.latency_ms.items()),
        loc="left",
        fontsize=9,
    )
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png")
