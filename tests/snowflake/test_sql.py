"""Every statement that goes to Snowflake is Snowflake's SQL, and says nothing that only an emulator would take."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import sqlglot
from sqlfluff.core import Linter

from cdesk.config import SnowflakeSettings
from cdesk.refresh.task import load
from cdesk.warehouse import deploy
from cdesk.warehouse import snowflake as room
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.deploy import named

ROOM = Path(room.__path__[0])
FILES = sorted(ROOM.rglob("*.sql"))
TEXTS = {str(path.relative_to(ROOM)): path.read_text("utf-8") for path in FILES} | {
    step.name: step.sql for step in task.steps(load())
}
ACCOUNT_FILES = {name: text for name, text in TEXTS.items() if "/" in name}

BANNED = {
    r"\bon\s+conflict\b": "Snowflake has no ON CONFLICT",
    r"\bfilter\s*\(\s*where\b": "Snowflake has no FILTER",
    r"\binsert\s+into\s+[\w.]+\s*(\([^)]*\))?\s*values\b[^;]*\b(parse_json|to_variant|object_construct|array_construct)\s*\(":
        "Snowflake takes no semi-structured values in VALUES",
    r"\{\s*'\w+'\s*:\s*[^}]*\}\s*\.": "Snowflake has no fields of struct literals",
    r"\bwith\s+(row\s+access\s+policy|masking\s+policy|tag)\b": "attach it by ALTER TABLE: emulators drop it silently",
    r"\bcreate\s+or\s+(replace|alter)\s+(transient\s+)?table\b": "a second run would empty the table, here or in an emulator",
    r"\bcreate\s+(or\s+replace\s+)?database\b[^;]*\bclone\b": "an emulator makes it empty",
    r"\bcreate\s+[^;(]*\b(dynamic\s+table|materialized\s+view|iceberg\s+table)\b": "an emulator never refreshes it",
    r"\bflatten\s*\([^;]*\b(outer|recursive)\s*=>\s*true\b": "an emulator ignores it, and gives other rows",
    r"::\s*json\b": "Snowflake has no type JSON",
    r"\bto\s+(role\s+)?public\b": "nothing is granted to everybody",
    r"\bdata_retention_time_in_days\s*=\s*(9[1-9]|\d{3,})": "that is Time Travel, at most 90 days",
    r"add\s+column\s+if\s+not\s+exists[^;]*\bdefault\b": "Snowflake takes no IF NOT EXISTS beside DEFAULT",
    r"\bwhen\s+not\s+matched\s+by\s+source\b": "Snowflake has no such clause",
}  # fmt: skip
AGAIN = re.compile(
    r"(CREATE\s+(OR\s+REPLACE\b|.*?\bIF\s+NOT\s+EXISTS\b)|GRANT\b|USE\s+SCHEMA\b"
    r"|ALTER\s+(TASK|ALERT|TAG|DATABASE|WAREHOUSE|(ROW\s+ACCESS|MASKING|STORAGE\s+LIFECYCLE)\s+POLICY)\b"
    r"|ALTER\s+TABLE\s+\w+\s+(ADD\s+COLUMN\s+IF\s+NOT\s+EXISTS|ADD\s+(ROW\s+ACCESS|STORAGE\s+LIFECYCLE)\s+POLICY"
    r"|ADD\s+SEARCH\s+OPTIMIZATION|MODIFY\s+COLUMN\s+\w+\s+SET\s+TAG\b))",
    re.IGNORECASE | re.DOTALL,
)
KEPT_BY_OTHERS = ("DATABASE", "SCHEMA", "WAREHOUSE", "ROLE", "RESOURCE MONITOR", "EVENT")


@cache
def _linter() -> Linter:
    return Linter(dialect="snowflake")


@pytest.mark.parametrize("name", TEXTS)
def test_snowflakes_grammar_takes_it(name: str) -> None:
    """sqlfluff reads all of it; what stands between $$ is read as statements of its own."""
    text = TEXTS[name]
    for part in (text, *_inside(text)):
        parsed = _linter().parse_string(part)
        assert parsed.tree is not None
        assert [violation.desc() for violation in parsed.violations if violation.rule_code() == "PRS"] == []
        assert [piece.raw for piece in parsed.tree.recursive_crawl("unparsable")] == []


def _inside(text: str) -> list[str]:
    """Statements of task bodies: between BEGIN TRANSACTION and COMMIT."""
    return re.findall(r"BEGIN TRANSACTION;(.*?)COMMIT;", text, re.DOTALL)


@pytest.mark.parametrize("name", TEXTS)
def test_it_says_nothing_that_only_an_emulator_takes(name: str) -> None:
    bare = re.sub(r"--[^\n]*", "", TEXTS[name])
    assert [why for pattern, why in BANNED.items() if re.search(pattern, bare, re.IGNORECASE)] == []


def test_the_lint_finds_what_it_is_for() -> None:
    """Each rule has something that it rejects."""
    bad = (
        "insert into a values (1) on conflict do nothing", "select count(*) filter (where 1=1)",
        "insert into a values (parse_json('1'))", "select {'a': 1}.a", "create table t (a int) with row access policy p on (a)",
        "create or alter table t (a int)", "create database d clone e", "create or replace dynamic table d as select 1",
        "select 1 from t, lateral flatten(input => a, outer => true)", "select a::json from t",
        "grant select on table t to role public", "alter table t set data_retention_time_in_days = 180",
        "alter table t add column if not exists a int default 0", "merge … when not matched by source then delete",
    )  # fmt: skip
    for pattern, text in zip(BANNED, bad, strict=True):
        assert re.search(pattern, text, re.IGNORECASE), pattern


NO_FUNCTION = re.compile(
    r"AND|AS|CASE|DISTINCT|ELSE|EQUALITY|EXCLUDE|EXISTS|FROM|HAVING|IN|INSERT|JOIN|LIKE|NOT|ON|OR|OVER|QUALIFY|SELECT|TABLE|THEN"
    r"|UNION|USING|VALUES|WHEN|WHERE|WITH|GROUP|(.* )?BY|CHAR|DECIMAL|NUMBER|NUMERIC|VARCHAR"
)
"""Words and types that stand before a parenthesis."""
NAMES_FOLLOW = re.compile(r"AS|TABLE|INTO|EXISTS|VIEW|POLICY|PROCEDURE|FUNCTION|UPDATE|JOIN|CALL|SCHEMA|\.")
"""What comes then is the name of a table, a policy, …, not a function."""
FUNCTIONS = frozenset((Path(__file__).parent / "functions.txt").read_text("utf-8").split())
"""Each is in Snowflake's reference: no grammar knows the names of functions, and an emulator has DuckDB's."""
OWN_FUNCTIONS = {
    name.upper()
    for text in TEXTS.values()
    for name in re.findall(
        r"CREATE\s+(?:OR\s+REPLACE\s+)?FUNCTION\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", text, re.IGNORECASE
    )
}
SHARED = {f"schema/{path.name}": path.read_text("utf-8") for path in sorted(deploy.SCHEMA_FOLDER.glob("*.sql"))}


@pytest.mark.parametrize("name", TEXTS | SHARED)
def test_every_function_is_one_of_snowflakes(name: str) -> None:
    """A name that is new here: look it up, and put it beside the others."""
    assert _functions((TEXTS | SHARED)[name]) - FUNCTIONS - OWN_FUNCTIONS == set()


def _functions(text: str) -> set[str]:
    """Names before a parenthesis, also in what stands between $$."""
    found: set[str] = set()
    tokens = sqlglot.tokenize(re.sub(r"\bIF\s*\(\s*EXISTS\b", "IF EXISTS", text), read="snowflake")  # an alert's
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        if token.token_type is sqlglot.TokenType.RAW_STRING:
            found |= _functions(token.text)
        elif after is not None and after.token_type is sqlglot.TokenType.L_PAREN and re.match(r"[A-Za-z_]", token.text):
            word = token.text.upper()
            if not (NO_FUNCTION.fullmatch(word) or (before and NAMES_FOLLOW.fullmatch(before.text.upper()))):
                found.add(word)
    return found


def test_the_lint_of_functions_finds_duckdbs_own() -> None:
    assert _functions("SELECT list_transform([1], x -> x), try_to_numbr('1') FROM range(3) WHERE a IN (1)") == {
        "LIST_TRANSFORM", "TRY_TO_NUMBR", "RANGE",
    }  # fmt: skip
    assert _functions("CREATE TASK t AS EXECUTE IMMEDIATE $$ BEGIN INSERT INTO t (a) SELECT epoch_ms(b); END $$") == {
        "EPOCH_MS"
    }


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda path: path.name)
def test_the_connector_is_used_as_both_of_its_generations_and_the_account_can(path: Path) -> None:
    """One statement a call, no uploads of frames, nothing that only an emulator understands."""
    text = path.read_text("utf-8")
    assert not re.search(r"num_statements|execute_string|executemany|write_pandas|execute_async|nop_regexes", text)


@pytest.mark.parametrize("name", ACCOUNT_FILES)
def test_every_step_can_run_again(name: str) -> None:
    """Snowflake commits each DDL statement by itself: a deployment that was cut short runs its last step once more."""
    for statement in deploy.statements(ACCOUNT_FILES[name]):
        assert AGAIN.match(statement), statement


@pytest.mark.parametrize("name", ACCOUNT_FILES)
def test_every_step_has_a_way_back(name: str) -> None:
    """What can be dropped or revoked is; what may be somebody else's, too, stays."""
    made = [
        found[1].upper()
        for found in re.finditer(r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TRANSIENT\s+)?(\w+(?:\s+MONITOR)?)", TEXTS[name])
    ]
    back = deploy.undoing(None, TEXTS[name])
    dropped = [kind for kind in made if " ".join(kind.split()) not in KEPT_BY_OTHERS]
    assert back.count("DROP ") >= len(dropped) if dropped else True
    assert back.count("REVOKE ") == len(re.findall(r"^GRANT ", TEXTS[name], re.MULTILINE))
    for statement in deploy.statements(back):
        parsed = _linter().parse_string(statement)
        assert parsed.tree is not None and not list(parsed.tree.recursive_crawl("unparsable")), statement


def test_names_are_the_settings() -> None:
    """CDESK and CDESK.ACTIVITY stand for the database and its schema; warehouses and roles keep their names."""
    settings = SnowflakeSettings(database="TEAM", schema="FACTS")
    text = "GRANT USAGE ON DATABASE CDESK TO ROLE CDESK_READER; CREATE SCHEMA CDESK.ACTIVITY; -- cdesk:1"
    assert named(text, settings) == (
        "GRANT USAGE ON DATABASE TEAM TO ROLE CDESK_READER; CREATE SCHEMA TEAM.FACTS; -- cdesk:1"
    )


def test_a_task_reads_its_streams_and_binds_nothing() -> None:
    """Snowflake runs it alone: `:now` is SYSDATE(), and each of its streams wakes it."""
    for one, step in zip(load(), task.steps(load()), strict=True):
        assert not re.search(r"(?<!:):now\b", step.sql), step.name
        assert all(f"CREATE STREAM IF NOT EXISTS {stream.name} " in step.sql for stream in one.reads)
        assert ("SCHEDULE" in step.sql) == (one.cron is not None)
        assert step.sql.count("$$") == 2
