"""The fleet as metrics, in the text form that Prometheus' node exporter reads from a file. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpcbake.errors import ExitCode
from hpcbake.model.late import dataclass
from hpcbake.report.fleet import Cell, Fleet
from hpcbake.report.printable import printable
from hpcbake.report.read import parse_utc
from hpcbake.report.records import Outcome, ShipReport
from hpcbake.report.words import verdict_of

#: Every metric with what it says. All are gauges. `docs/how-to/read-the-report.md` lists them.
METRICS: dict[str, str] = {
    "hpcbake_run_info": "1, with the id of the latest run and the hpcbake version that made it.",
    "hpcbake_run_end_timestamp_seconds": "When the latest run ended.",
    "hpcbake_run_duration_seconds": "How long the latest run took.",
    "hpcbake_run_exit_code": "The exit code of the latest run.",
    "hpcbake_run_success": "1 if the latest run ended with exit code 0.",
    "hpcbake_image_last_run_timestamp_seconds": "When a run last had to do with this image at this site.",
    "hpcbake_image_last_success_timestamp_seconds": "When a run last ended well for this image at this site.",
    "hpcbake_image_success": "1 if the last run ended well for this image at this site: ok or unchanged.",
    "hpcbake_image_outcome": "1 for the outcome of the last run, 0 for every other outcome.",
    "hpcbake_image_current_info": "1, with the digest that a run last saw as current.",
    "hpcbake_image_wanted_info": "1, with the digest that the last run wanted to be current.",
    "hpcbake_image_up_to_date": "1 if the digest that is current is the one that was wanted.",
    "hpcbake_check_info": "1, with the verdict of the check: PASS, WARN, FAIL or UNKNOWN.",
    "hpcbake_stage_success": "1 if this step of the last run ended well: ok or unchanged.",
    "hpcbake_stage_duration_seconds": "How long this step of the last run took.",
    "hpcbake_smoke_figure": "The latest value of a figure of a smoke test that passed.",
}

_GOOD = (Outcome.OK.value, Outcome.UNCHANGED.value)


@dataclass(frozen=True)
class _Sample:
    metric: str
    value: float
    labels: Mapping[str, str]


def render_prometheus(fleet: Fleet) -> str:
    """The metrics, those of one name together, as the format wants them."""
    samples = list(_run_samples(fleet.reports[0])) if fleet.reports else []
    samples += [sample for _, cell in sorted(fleet.cells.items()) for sample in _cell_samples(cell)]
    by_metric: dict[str, list[_Sample]] = {}
    for sample in samples:
        by_metric.setdefault(sample.metric, []).append(sample)
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n" + "".join(map(_line, by_metric[name]))
        for name, text in METRICS.items()
        if name in by_metric
    )


def _line(sample: _Sample) -> str:
    labels = ",".join(f'{name}="{_label(value)}"' for name, value in sample.labels.items())
    shown = f"{{{labels}}}" if labels else ""
    value = int(sample.value) if float(sample.value).is_integer() and abs(sample.value) < 1e15 else sample.value
    return f"{sample.metric}{shown} {value!r}\n"


def _label(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _run_samples(report: ShipReport) -> Iterator[_Sample]:
    run, code = report.run, report.code
    facts = {"run": run.id, "version": report.tool_version}
    yield _Sample("hpcbake_run_info", 1, facts)
    yield from _time("hpcbake_run_end_timestamp_seconds", run.ended, {})
    yield _Sample("hpcbake_run_duration_seconds", run.duration_s, {})
    yield _Sample("hpcbake_run_exit_code", int(code), {})
    yield _Sample("hpcbake_run_success", int(code is ExitCode.OK), {})


def _time(metric: str, text: str, labels: Mapping[str, str]) -> Iterator[_Sample]:
    seconds = parse_utc(text)
    if seconds is not None:
        yield _Sample(metric, seconds, labels)


def _cell_samples(cell: Cell) -> Iterator[_Sample]:
    image = cell.image
    here = {"image": cell.target, "site": cell.site}
    yield from _time("hpcbake_image_last_run_timestamp_seconds", cell.run.ended, here)
    yield from _time("hpcbake_image_last_success_timestamp_seconds", cell.last_good, here)
    yield _Sample("hpcbake_image_success", int(image.outcome.value in _GOOD), here)
    for outcome in Outcome:
        yield _Sample("hpcbake_image_outcome", int(image.outcome is outcome), {**here, "outcome": outcome.value})
    if cell.current is not None:
        yield _Sample("hpcbake_image_current_info", 1, {**here, "digest": cell.current.digest})
    if image.wanted:
        yield _Sample("hpcbake_image_wanted_info", 1, {**here, "digest": image.wanted})
        is_there = cell.current is not None and cell.current.digest == image.wanted
        yield _Sample("hpcbake_image_up_to_date", int(is_there), here)
    if verdict_of(image):
        yield _Sample("hpcbake_check_info", 1, {**here, "verdict": verdict_of(image)})
    for name, stage in {stage.name: stage for stage in image.stages}.items():
        yield _Sample("hpcbake_stage_success", int(stage.status in _GOOD), {**here, "stage": name})
        yield _Sample("hpcbake_stage_duration_seconds", stage.duration_s, {**here, "stage": name})
    for trend in cell.trends:
        labels = {**here, "test": trend.test, "figure": trend.figure, "unit": trend.unit}
        yield _Sample("hpcbake_smoke_figure", trend.last, labels)
