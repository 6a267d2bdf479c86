"""A forecast for people: one table of images and sites, then the ways and why, then what stands in the way."""

from __future__ import annotations

from hpcbake.report.page import Columns, Page, Words, size_words, trouble
from hpcbake.report.printable import printable
from hpcbake.ship.forecast import Action, Forecast, ImageForecast, SiteForecast

_STYLE = {
    Action.CREATE: "bold green",
    Action.UPDATE: "bold cyan",
    Action.UNCHANGED: "green",
    Action.BLOCKED: "bold red",
}


def render_forecast(forecast: Forecast) -> Page:
    """The plan as a page."""
    parts: list[Words | Columns] = []
    if any(site.images for site in forecast.sites):
        parts.append(_table(forecast))
    parts += [*_ways(forecast), *_builds(forecast), *_blocks(forecast), _closing(forecast)]
    return parts


def render_ahead(forecast: Forecast, *, is_later: bool = False) -> Page:
    """The same for a ship that is about to do it: what stands in the way is told by its report. `is_later`: these
    sites answered after the others."""
    parts: list[Words | Columns] = [_table(forecast)] if any(site.images for site in forecast.sites) else []
    words = f"plan{' for ' + ', '.join(site.name for site in forecast.sites) if is_later else ''}"
    return [*parts, *_ways(forecast), Words(f"\n{words}: {_sums(forecast)}\n")]


def _table(forecast: Forecast) -> Columns:
    # The reason alone may wrap: the rest is short.
    return Columns(
        ("image", "site", "plan", "digest", "check", "way", "to move", "jobs", "reason"),
        [_row(site, image) for site, image in forecast.images()],
        last_wraps=True,
    )


def _row(site: SiteForecast, image: ImageForecast) -> list[Words]:
    return [
        Words(image.target),
        Words(site.name),
        Words(image.action.value, style=_STYLE[image.action]),
        Words(image.wanted.removeprefix("sha256:")[:12] or "-"),
        Words(image.verdict or "-"),
        Words(image.way or "-"),
        Words(_moved(image)),
        Words(str(len(image.jobs)) if image.jobs else "-"),
        Words(printable(image.reason)),
    ]


def _moved(image: ImageForecast) -> str:
    if image.size_bytes is None:
        return "?"
    if not image.size_bytes:
        return "-"
    return f"{'' if image.size_is_exact else 'about '}{size_words(image.size_bytes)}"


def _ways(forecast: Forecast) -> list[Words]:
    """Each way with its reason once, and the sites that it is taken to."""
    taken: dict[tuple[str, str], list[str]] = {}
    for site, image in forecast.images():
        if image.way:
            taken.setdefault((image.way, image.why), []).append(site.name)
    return [
        Words(f"\n{', '.join(dict.fromkeys(sites))}: by {way}: {printable(why)}") for (way, why), sites in taken.items()
    ]


def _builds(forecast: Forecast) -> list[Words]:
    """Which digests are only what a tag holds now."""
    lines = [
        f"{target.name}: judged by what {target.found_at} holds now; hpcbake ship builds first"
        if target.found_at
        else f"{target.name}: not in the registry yet, so it is not checked; hpcbake ship builds first"
        for target in forecast.targets
        if target.needs_build and target.error is None
    ]
    return [Words("\n" + "\n".join(map(printable, lines)), style="yellow")] if lines else []


def _blocks(forecast: Forecast) -> list[Words]:
    """What stands in the way, each cause once: sites where it is the same stand together."""
    causes: dict[tuple[str, str, str, str], list[str]] = {}
    for site, image in forecast.images():
        if image.error:
            message = image.error.message.removeprefix(f"{site.name}: ")
            output = str(image.error.evidence.get("output", ""))
            causes.setdefault((image.target, message, output, image.error.remedy), []).append(site.name)
    return [
        trouble((", ".join(sites), target), message, output, remedy)
        for (target, message, output, remedy), sites in causes.items()
    ]


def _closing(forecast: Forecast) -> Words:
    code = forecast.code
    return Words(f"\nplan: {_sums(forecast)} · nothing was changed · exit {int(code)} {code.name}")


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
