"""Questions put to the team's warehouse: the same rows, a tag of their own, and clear refusals."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from tests.snowflake.conftest import Account
from tests.snowflake.test_contract import fact

from cdesk.app import App
from cdesk.config import Home, Settings
from cdesk.errors import ConfigError, QueryRefused
from cdesk.query.ask import AskRequest
from cdesk.query.team import placed
from cdesk.query.template import load


@pytest.fixture
def app(tmp_path: Path, account: Account) -> App:
    return App(Home(tmp_path / "home"), Settings(snowflake=account.settings), {"HOME": str(tmp_path)})


def test_a_question_on_snowflake_says_where_its_answer_comes_from(app: App, account: Account) -> None:
    """What only the team has is in it; the id is the same while the stream is, and is not recorded here."""
    account.warehouse.merge([fact(activity="thing_happened", ts=datetime.fromisoformat("2020-01-01T00:00:00+00:00"))])
    answer = app.ask("activity_counts", AskRequest(on="snowflake"))
    again = app.ask("activity_counts", AskRequest(on="snowflake"))
    assert answer.query_id == again.query_id and answer.link == f"cdesk:{answer.query_id}"
    assert answer.data_version.startswith("snowflake s") and not again.is_recorded and answer.estimate is None
    assert app.asker.recorded(answer.query_id) is None
    account.warehouse.merge([fact(activity="thing_happened")])
    assert app.ask("activity_counts", AskRequest(on="snowflake")).query_id != answer.query_id
    app.close()


def test_sql_on_snowflake_reads_the_team_and_cuts_its_rows(app: App, account: Account) -> None:
    one = fact(activity="thing_happened")
    account.warehouse.merge([one])
    sql = f"SELECT activity FROM CLAUDE_STREAM_V2 WHERE activity_id = '{one.activity_id}'"
    assert app.team_answers.sql(sql, rows_max=10, seconds_max=30).rows == [("thing_happened",)]
    assert len(app.team_answers.sql("SELECT 1 AS a UNION ALL SELECT 2", rows_max=1, seconds_max=30).rows) == 1
    app.close()


@pytest.mark.parametrize(
    "sql", ["DELETE FROM CLAUDE_STREAM_V2", "SELECT SYSTEM$ABORT_SESSION(1)", "SELECT 1; SELECT 2", "SELECT * FROM @CLAUDE_STAGE"]
)  # fmt: skip
def test_what_may_not_be_asked_of_the_team_is_refused(account: Account, sql: str) -> None:
    with pytest.raises(QueryRefused):
        account.warehouse.ask(sql, query_id="q_refused", rows_max=10, seconds_max=30)


def test_a_sample_is_refused_and_so_is_a_home_without_an_account(app: App, tmp_path: Path) -> None:
    """Snowflake says no size beforehand; and without an account there is nobody to ask."""
    with pytest.raises(QueryRefused, match="no samples"):
        app.ask("activity_counts", AskRequest(on="snowflake", over_cap="sample"))
    with pytest.raises(QueryRefused, match="no samples"):
        app.team_answers.sql("SELECT 1", rows_max=1, seconds_max=1, over_cap="sample")
    app.close()
    app = App(Home(tmp_path / "other"), Settings(), {"HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match="no Snowflake account"):
        app.ask("activity_counts", AskRequest(on="snowflake"))
    app.close()


def test_every_place_of_a_question_is_bound_by_position() -> None:
    """A name that stands twice is given twice; a path into feature_json is no place."""
    for template in load():
        sql, names = placed(template.ask)
        assert sql.count("?") >= len(names) and set(names) == set(template.ask.names), template.name
        assert ":1" not in sql
