"""The page of tickets says what is true: its commands run in the order they stand in, and its limits are the code's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.surface.page_service import TOKEN, serve

from cdesk import cli
from cdesk.cli.client import Client, ServiceRecord
from cdesk.query import make, ticket

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tickets.md").read_text()
ID = "tk_1a2225642db_eba976b1"


def test_commands_run_as_printed(
    tmp_path: Path,
    deployed: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the ticket that the first of them gives."""
    deployed(tmp_path / "warehouse")
    lines = re.findall(r"^\$ cdesk (.*)$", PAGE, flags=re.M)
    assert len(lines) == 5
    with serve(tmp_path) as served:
        port = urlsplit(served.url).port or 0
        monkeypatch.setattr("cdesk.cli.query.connect", lambda home: Client(ServiceRecord(0, port, ""), TOKEN))
        id_ = ID
        for line in lines:
            assert cli.main(shlex.split(line.replace(ID, id_))) == 0, (line, capsys.readouterr().err)
            if id_ == ID:
                id_ = capsys.readouterr().out.partition(":")[0]
    assert "What happened" in capsys.readouterr().out


def test_the_ticket_is_shown_whole() -> None:
    shown = re.search(r'^    (\{"ticket".*?\})$', PAGE, flags=re.M | re.S)
    assert shown and list(msgspec.json.decode(shown[1])) == list(ticket.Ticket.__struct_fields__)


def test_limits_are_those_of_the_code() -> None:
    for said in (
        f"| {ticket.ROLE_MAX}; one more", f"| {ticket.SECONDS_MAX:g} s |", f"| {make.ROWS_MAX:,}; more",
        f"| {ticket.SQL_CHARACTERS_MAX:,} characters", f"| {ticket.TICKET_HOURS} hours;", f"the latest {ticket.KEPT_MAX:,}.",
    ):  # fmt: skip
        assert said in PAGE, said
