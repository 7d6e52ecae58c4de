"""The service brings to Snowflake what it loads itself, for as long as the settings say so."""

from __future__ import annotations

from pathlib import Path

import msgspec
from tests.snowflake.conftest import Account
from tests.snowflake.rows import stream
from tests.snowflake.test_contract import fact

from cdesk.activity.codec import encode
from cdesk.app import TEAM, App
from cdesk.config import Home, Settings


def test_the_queue_is_carried_there_while_it_is_asked_for(tmp_path: Path, account: Account) -> None:
    """Every line reaches both warehouses; once nobody wants it there any more, nothing stays for it."""
    loading = msgspec.structs.replace(account.settings, load=True, batch_seconds=0.05)
    home, facts = Home(tmp_path / "home"), [fact(activity="thing_happened"), fact(activity="thing_happened")]
    ids = [one.activity_id for one in facts]
    offsets = home.queue / "offsets" / f"{TEAM}.json"

    app = App(home, Settings(snowflake=loading), {"HOME": str(tmp_path)})
    app.team.step()
    app.writer.append([encode(one) for one in facts])
    app.uploader.drain()
    assert app.team.step() and len(stream(app.warehouse, ids)) == len(stream(account.warehouse, ids)) == 2
    app.start()
    app.close()
    assert offsets.exists()

    app = App(home, Settings(), {"HOME": str(tmp_path)})
    app.start()
    app.close()
    assert not offsets.exists()
