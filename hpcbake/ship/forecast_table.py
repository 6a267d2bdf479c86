"""A forecast for people: one table of images and sites, then the ways and why, then what stands in the way."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpcbake.report.printable import printable
from hpcbake.ship.forecast import Action, Forecast, ImageForecast, SiteForecast

_STYLE = {
    Action.CREATE: "bold green",
    Action.UPDATE: "bold cyan",
    Action.UNCHANGED: "green",
    Action.BLOCKED: "bold red",
}


def render_forecast(forecast: Forecast) -> RenderableType:
    """A rich renderable; plain text when the console has no colours."""
    parts: list[RenderableType] = []
    if any(site.images for site in forecast.sites):
        parts.append(_table(forecast))
    parts += [*_ways(forecast), *_builds(forecast), *_blocks(forecast), _closing(forecast)]
    return Group(*parts)


def render_ahead(forecast: Forecast, *, is_later: bool = False) -> RenderableType:
    """The same for a ship that is about to do it: what stands in the way is told by its report. `is_later`: these
    sites answered after the others."""
    parts: list[RenderableType] = [_table(forecast)] if any(site.images for site in forecast.sites) else []
    words = f"plan{' for ' + ', '.join(site.name for site in forecast.sites) if is_later else ''}"
    return Group(*parts, *_ways(forecast), Text(f"\n{words}: {_sums(forecast)}\n"))


def print_forecast(forecast: Forecast, console: Console) -> None:
    """Print the plan on this console."""
    console.print(render_forecast(forecast))


def _table(forecast: Forecast) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for heading in ("image", "site", "plan", "digest", "check", "way", "to move", "jobs"):
        table.add_column(heading, no_wrap=True)
    # The reason alone may wrap: the rest is short.
    table.add_column("reason", overflow="fold")
    for site, image in forecast.images():
        table.add_row(*_row(site, image))
    return table


def _row(site: SiteForecast, image: ImageForecast) -> list[RenderableType]:
    return [
        Text(image.target),
        Text(site.name),
        Text(image.action.value, style=_STYLE[image.action]),
        Text(image.wanted.removeprefix("sha256:")[:12] or "-"),
        Text(image.verdict or "-"),
        Text(image.way or "-"),
        Text(_moved(image)),
        Text(str(len(image.jobs)) if image.jobs else "-"),
        Text(printable(image.reason)),
    ]


def _moved(image: ImageForecast) -> str:
    if image.size_bytes is None:
        return "?"
    if not image.size_bytes:
        return "-"
    return f"{'' if image.size_is_exact else 'about '}{size_words(image.size_bytes)}"


def size_words(size_bytes: int) -> str:
    """A size for people: `512 B`, `25.7 MB`, `1.3 GB`."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def _ways(forecast: Forecast) -> list[RenderableType]:
    """Each way with its reason once, and the sites that it is taken to."""
    taken: dict[tuple[str, str], list[str]] = {}
    for site, image in forecast.images():
        if image.way:
            taken.setdefault((image.way, image.why), []).append(site.name)
    return [
        Text(f"\n{', '.join(dict.fromkeys(sites))}: by {way}: {printable(why)}") for (way, why), sites in taken.items()
    ]


def _builds(forecast: Forecast) -> list[RenderableType]:
    """Which digests are only what a tag holds now."""
    lines = [
        f"{target.name}: judged by what {target.found_at} holds now; hpcbake ship builds first"
        if target.found_at
        else f"{target.name}: not in the registry yet, so it is not checked; hpcbake ship builds first"
        for target in forecast.targets
        if target.needs_build and target.error is None
    ]
    return [Text("\n" + "\n".join(map(printable, lines)), style="yellow")] if lines else []


def _blocks(forecast: Forecast) -> list[RenderableType]:
    """What stands in the way, each cause once: sites where it is the same stand together."""
    causes: dict[tuple[str, str, str, str], list[str]] = {}
    for site, image in forecast.images():
        if image.error:
            message = image.error.message.removeprefix(f"{site.name}: ")
            output = str(image.error.evidence.get("output", ""))
            causes.setdefault((image.target, message, output, image.error.remedy), []).append(site.name)
    return [_block(cause, sites) for cause, sites in causes.items()]


def _block(cause: tuple[str, str, str, str], sites: list[str]) -> Text:
    target, message, output, remedy = cause
    text = Text("\n")
    text.append(" · ".join(part for part in (", ".join(sites), target) if part), style="bold red")
    text.append(f"\n  {printable(message)}")
    text.append("".join(f"\n  | {printable(line)}" for line in output.splitlines()), style="dim")
    if remedy:
        text.append("\n  help: ", style="bold")
        text.append(printable(remedy))
    return text


def _closing(forecast: Forecast) -> Text:
    code = forecast.code
    return Text(f"\nplan: {_sums(forecast)} · nothing was changed · exit {int(code)} {code.name}")


def _sums(forecast: Forecast) -> str:
    """How many images to do what with, bytes to move, and jobs."""
    summary = forecast.summary()
    said = ", ".join(f"{summary[action.value]} {action.value}" for action in Action if summary[action.value])
    moved = _total(forecast, summary["bytes"])
    jobs = f"{summary['jobs']} smoke job{'' if summary['jobs'] == 1 else 's'}"
    return f"{said or 'nothing to do'} · {moved} · {jobs}"


def _total(forecast: Forecast, known_bytes: int) -> str:
    """All bytes together; some sizes are estimates, and some are not known before the build."""
    images = [image for _, image in forecast.images()]
    if any(image.size_bytes is None for image in images):
        known = f"{size_words(known_bytes)} and what the build makes" if known_bytes else "what the build makes"
        return f"{known} to move"
    is_exact = all(image.size_is_exact for image in images)
    return f"{'' if is_exact else 'about '}{size_words(known_bytes)} to move"
