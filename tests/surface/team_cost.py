"""A team's warehouse in Snowflake that has cost something, for the page's tests."""

from __future__ import annotations

from datetime import timedelta

from tests.surface.page_service import NOW, Served

from cdesk.query.cost import TeamCosts


def team(served: Served) -> None:
    """The views of a team's warehouse, as tables of the embedded one."""
    rows = [
        f"('{(NOW - timedelta(days=back)).date()}', '{workload}', {credits}, {estimated})"
        for back, workload, credits, estimated in [
            (2, "ingest", 8.0, 0), (2, "tasks", 7.5, 0), (1, "ingest", 8.1, 0), (1, "tasks", 7.9, 0), (1, "interactive", 1.2, 0),
            (0, "ingest", 14.1, 1.4), (0, "tasks", 13.0, 1), (0, "batch", 0.6, 0), (0, "serverless", 0.2, 0),
        ]
    ]  # fmt: skip
    app = served.app
    app.warehouse.write([
        ("CREATE TABLE V_COST_DAILY (day DATE, workload VARCHAR, credits DOUBLE, credits_estimated DOUBLE)", ()),
        ("CREATE TABLE V_COST_BY_TAG (day DATE, workload VARCHAR, query_tag VARCHAR, statements BIGINT, credits DOUBLE)", ()),
        (f"INSERT INTO V_COST_DAILY VALUES {', '.join(rows)}", ()),
        ("INSERT INTO V_COST_BY_TAG VALUES ('2026-11-23', 'tasks', 'cdesk:task:roll_up_activity', 880, 6.25)", ()),
    ])  # fmt: skip
    app.team_costs = TeamCosts(
        lambda: app.warehouse, app.book, lambda: app.settings.snowflake, clock=app.clock, tell=app._tell_budget
    )
