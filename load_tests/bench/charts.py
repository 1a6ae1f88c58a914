"""Pictures of a bench: what an event costs beside the floors, latency by load, growth."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from load_tests.bench.report import BenchReport, Capacity, Floors, Growth

_INK, _LIGHT, _DARK = "#333333", "#9db8d2", "#1f5a94"
_SHADES = (
    *("#1f5a94", "#4f86b8", "#9db8d2", "#c9d8e6", "#e0a458", "#e9c99b"),  # roles
    *("#b5b5b5", "#d9d9d9", "#3f6b4a", "#8fbc94", "#7d5a7a", "#c3a6c1"),  # further roles, floors
)


def write_charts(report: BenchReport, folder: Path) -> list[Path]:
    """Write a PNG for each part that was measured; return their paths."""
    written: list[Path] = []
    if report.capacity:
        figure, axes = _figure()
        _costs(axes, _bars(report.capacity, report.bare, report.floors))
        written.append(_save(figure, folder / "bench-cpu.png"))
    if any(each.points for each in report.capacity):
        figure, axes = _figure()
        _latencies(axes, report.capacity)
        written.append(_save(figure, folder / "bench-latency.png"))
    if report.growth:
        figure, axes = _figure()
        _growth(axes, report.growth)
        written.append(_save(figure, folder / "bench-growth.png"))
    return written


def _bars(
    capacity: list[Capacity], bare: Capacity | None, floors: Floors | None
) -> dict[str, dict[str, float]]:
    """Return what an event costs by part, largest first, for each mode and what it is held to."""
    bars = {each.mode: each.cpu_us_per_event for each in capacity}
    if bare is not None:
        bars["bulk, without attributes\nand audiences"] = bare.cpu_us_per_event
    if floors is not None:
        bars |= {f"floors of {each.mode}": each.floors_us(floors) for each in capacity}
    return {
        name: dict(sorted(costs.items(), key=lambda cost: -cost[1])) for name, costs in bars.items()
    }


def _costs(axes: Axes, bars: dict[str, dict[str, float]]) -> None:
    """Draw bars, made of parts; those that would not be seen are left out."""
    parts = dict.fromkeys(part for bar in bars.values() for part, us in bar.items() if us >= 0.5)
    left = dict.fromkeys(bars, 0.0)
    for part, shade in zip(parts, _SHADES, strict=False):
        widths = [bar.get(part, 0.0) for bar in bars.values()]
        axes.barh(list(bars), widths, left=list(left.values()), color=shade, label=part)
        left = {name: left[name] + width for name, width in zip(bars, widths, strict=True)}
    axes.invert_yaxis()
    axes.set_xlabel("CPU µs per event", color=_INK)
    axes.legend(frameon=False, ncols=4, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def _latencies(axes: Axes, capacity: list[Capacity]) -> None:
    for each, marker in zip(capacity, ("o", "s"), strict=False):
        rates = [point.offered_per_second for point in each.points]
        for name, color in (("p99", _DARK), ("p50", _LIGHT)):
            found = [point.latency_ms[name] for point in each.points]
            axes.plot(rates, found, color=color, marker=marker, label=f"{each.mode} {name}")
    axes.set_xlim(left=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("batches per second, offered", color=_INK)
    axes.set_ylabel("latency, ms", color=_INK)
    axes.legend(frameon=False)


def _growth(axes: Axes, growth: list[Growth]) -> None:
    for shards in dict.fromkeys(each.shards for each in growth):
        some = [each for each in growth if each.shards == shards]
        axes.plot(
            [each.profiles for each in some],
            [each.cpu_us_per_event for each in some],
            marker="o",
            label=f"{shards} shards" if shards > 1 else "1 shard",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda profiles, _: f"{profiles:,.0f}"))
    axes.set_ylim(0, 1.1 * max(each.cpu_us_per_event for each in growth))  # no mark is cut
    axes.set_xlabel("profiles", color=_INK)
    axes.set_ylabel("CPU µs per event", color=_INK)
    axes.legend(frameon=False)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 4), dpi=110, layout="tight")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, format="png")
    return path
