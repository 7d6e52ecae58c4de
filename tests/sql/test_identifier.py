import duckdb
import pytest

from cdesk.errors import UsageError
from cdesk.sql.identifier import quote


@pytest.mark.parametrize("name", ["a", "select", 'say "hi"', "semi;colon", "naïve ⊕", "a.b", "'", "--", "x" * 255])
def test_a_quoted_name_is_that_name_and_nothing_else(name: str) -> None:
    """Whatever the name holds, the engine reads back the same name."""
    warehouse = duckdb.connect()
    warehouse.execute(f"CREATE TABLE {quote(name)} ({quote(name)} INTEGER)")
    assert warehouse.execute(f"SELECT * FROM {quote('main', name)}").description[0][0] == name


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 256])
def test_what_is_no_name_is_refused(name: str) -> None:
    """Empty, too long, or with a NUL: both engines would take it wrongly."""
    with pytest.raises(UsageError):
        quote(name)


def test_a_name_needs_a_part() -> None:
    """Quoting nothing is a mistake of the caller."""
    with pytest.raises(UsageError):
        quote()
