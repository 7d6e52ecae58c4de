"""`GET /metrics`: what the service counts, in Prometheus' text format 0.0.4.

Everything here is a number the service holds anyway, so the format's few rules are written down here: no name without
HELP and TYPE, counters end in `_total`, one line per sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk import __version__
from cdesk.app import App
from cdesk.cost.book import Used
from cdesk.cost.budget import Level as BudgetLevel
from cdesk.queue.pressure import Level
from cdesk.surface.status import Status, of_app

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Metric:
    """samples: labels as they stand between the braces → value"""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: dict[str, float]


def routes(app: App, port: int) -> list[Route]:
    async def told(request: Request) -> Response:
        status = await run_in_threadpool(of_app, app, port, None)
        return Response(
            text([*metrics(status), *taken(app.costs.since_start())]), headers={"Content-Type": CONTENT_TYPE}
        )

    return [Route(PATH, told)]


def metrics(status: Status) -> Iterator[Metric]:
    queue, counted = status.queue, status.queue.counted
    yield _gauge("cdesk_info", "Which cdesk this is.", 1, f'version="{__version__}"')
    yield _gauge("cdesk_queue_bytes", "Bytes that wait for the warehouse.", queue.bytes)
    yield _gauge("cdesk_queue_events", "Activities that wait, estimated from their mean size.", queue.events)
    yield _gauge("cdesk_queue_oldest_age_seconds", "How long the oldest of them has waited.", queue.oldest_age_s)
    yield _gauge("cdesk_queue_segments", "Segment files.", queue.segments)
    yield _gauge("cdesk_queue_stored_bytes", "Bytes of all segments.", queue.stored)
    yield _gauge("cdesk_queue_limit_bytes", "Bytes at which the queue is full.", queue.bytes_max)
    yield _gauge("cdesk_queue_dead_letters", "Lines set aside.", queue.dead_letters)
    yield Metric("cdesk_queue_pressure", "gauge", "1 for the level the queue is at.", {
        f'level="{level.word}"': float(level.word == queue.level) for level in Level
    })  # fmt: skip
    yield Metric("cdesk_queue_refused_total", "counter", "Events turned away, since the home began.", {
        f'source="{source}"': count for source, count in queue.refused.items()
    })  # fmt: skip
    if counted is not None:
        yield _counter("cdesk_queue_acknowledged_total", "Lines made durable by the service.", counted.acknowledged)
        yield _counter("cdesk_queue_delivered_total", "Lines the warehouse has committed.", counted.delivered)
        yield _counter("cdesk_queue_rotations_total", "Segments closed by the service.", counted.rotations)
        yield _counter("cdesk_queue_damaged_lines_total", "Lines that failed their check.", counted.damaged)
        yield _counter("cdesk_queue_torn_lines_total", "Half lines of killed writers.", counted.torn)
        yield _counter("cdesk_relief_shrunk_total", "Activities whose texts were cut under pressure.", counted.shrunk)
        yield _counter("cdesk_relief_sampled_total", "Low-value activities left out under pressure.", counted.sampled)
        yield Metric("cdesk_warehouse_merged_total", "counter", "What delivered lines were to the warehouse.", {
            'result="inserted"': counted.inserted, 'result="updated"': counted.updated,
            'result="duplicate"': counted.duplicates,
        })  # fmt: skip
    if (forward := status.forward) is not None:
        yield _counter("cdesk_forward_sent_total", "Activities that the collector gave a receipt for.", forward.sent)
        yield _gauge("cdesk_forward_events", "Activities that wait for the collector.", forward.events)
        yield _gauge(
            "cdesk_forward_oldest_age_seconds", "How long the oldest of them has waited.", forward.oldest_age_s
        )
    if status.collector is not None:
        laptops = status.collector.laptops
        yield Metric("cdesk_collector_accepted_total", "counter", "Lines taken from laptops.", {
            f'laptop="{one.name}"': float(one.accepted) for one in laptops
        })  # fmt: skip
        yield Metric("cdesk_collector_refused_total", "counter", "Batches of laptops that were refused.", {
            f'laptop="{one.name}"': float(one.refused) for one in laptops
        })  # fmt: skip
    if status.warehouse.activities is not None:
        yield _gauge("cdesk_warehouse_activities", "Activities in the stream.", status.warehouse.activities)
    if status.budget is not None:
        yield _gauge(
            "cdesk_snowflake_spent_usd", "US dollars that today (UTC) has cost in Snowflake.", status.budget.usd
        )
        yield Metric("cdesk_snowflake_budget_level", "gauge", "1 for how today stands to its budget there.", {
            f'level="{level}"': float(level == status.budget.level) for level in get_args(BudgetLevel)
        })  # fmt: skip
        if status.budget.budget_usd is not None:
            yield _gauge(
                "cdesk_snowflake_budget_usd", "US dollars that a day may cost there.", status.budget.budget_usd
            )
    if (team := status.team) is not None:
        path = f'path="{team.path}"'
        yield _gauge(
            "cdesk_team_lag_seconds", "Age of the oldest activity the team's warehouse waits for.", team.lag_s, path
        )
        yield _gauge("cdesk_team_waiting_bytes", "Bytes that wait for the team's warehouse.", team.bytes, path)
        if team.rows is not None and team.batches is not None and team.credits is not None:
            yield Metric("cdesk_team_rows_total", "counter", "Rows brought to the team's warehouse.", {path: team.rows})
            yield Metric("cdesk_team_batches_total", "counter", "Rounds that brought rows.", {path: team.batches})
            yield Metric("cdesk_team_credits_total", "counter", "Credits for them, estimated.", {path: team.credits})
    yield Metric("cdesk_completeness_ratio", "gauge", "Part of the facts it can see that a source saw.", {
        f'source="{seen.source}"': round(seen.completeness_pct / 100, 4) for seen in status.completeness
    })  # fmt: skip


def taken(by_workload: dict[str, Used]) -> Iterator[Metric]:
    """What the service itself took of this machine."""
    used = {f'workload="{workload}"': used for workload, used in sorted(by_workload.items())}
    yield Metric("cdesk_cpu_seconds_total", "counter", "Seconds of processor the service took.", {
        labels: round(each.cpu_s, 6) for labels, each in used.items()
    })  # fmt: skip
    yield Metric("cdesk_disk_read_bytes_total", "counter", "Bytes that came from the disk for it.", {
        labels: round(each.read) for labels, each in used.items()
    })  # fmt: skip
    yield Metric("cdesk_disk_written_bytes_total", "counter", "Bytes of it that went to the disk.", {
        labels: round(each.written) for labels, each in used.items()
    })  # fmt: skip


def text(told: Iterable[Metric]) -> str:
    return "".join(_lines(metric) for metric in told if metric.samples)


def _lines(metric: Metric) -> str:
    samples = (f"{_name(metric.name, labels)} {value!r}" for labels, value in metric.samples.items())
    return "\n".join((f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}", *samples, ""))


def _name(name: str, labels: str) -> str:
    return f"{name}{{{labels}}}" if labels else name


def _gauge(name: str, help_: str, value: float, labels: str = "") -> Metric:
    return Metric(name, "gauge", help_, {labels: value})


def _counter(name: str, help_: str, value: float) -> Metric:
    return Metric(name, "counter", help_, {"": value})
