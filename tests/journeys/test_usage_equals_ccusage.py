"""Tokens and dollars equal ccusage 20.0.24, to the last token and the sixth decimal, on every tree we have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.cdesk import Cdesk
from tests.shared_data import SHARED, shared_data

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens", "totalTokens")
TREES = [
    *(f"transcripts/{path.name}" for path in sorted((SHARED / "transcripts").glob("*")) if path.is_dir()),
    "transcripts",
    "recordings",
]


def _ccusage() -> Path:
    found = sorted((ROOT / ".venv" / "ccusage").rglob("bin/ccusage"))
    if not found:
        pytest.skip("needs ccusage 20.0.24; `make test` installs it from npm into .venv/ccusage")
    found[0].chmod(0o755)
    return found[0]


def _theirs(claude_dir: Path, home: Path) -> dict[str, Any]:
    told = subprocess.run(
        [str(_ccusage()), *["claude", "daily", "--json", "--offline", "--timezone", "UTC", "--mode", "calculate"]],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "CLAUDE_CONFIG_DIR": str(claude_dir)},
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return dict(json.loads(told.stdout))


def _same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert [day["date"] for day in ours["daily"]] == [day["date"] for day in theirs["daily"]]
    for our, their in zip(ours["daily"], theirs["daily"], strict=True):
        assert {c: our[c] for c in COLUMNS} == {c: their[c] for c in COLUMNS}, our["date"]
        assert our["totalCost"] == pytest.approx(their["totalCost"], abs=1e-6), our["date"]
        assert set(our["modelsUsed"]) == set(their["modelsUsed"]), our["date"]
    for column in COLUMNS:
        assert ours["totals"][column] == theirs["totals"][column]
    assert ours["totals"]["totalCost"] == pytest.approx(theirs["totals"]["totalCost"], abs=1e-6)


def _compare(cdesk: Cdesk, claude_dir: Path) -> dict[str, Any]:
    cdesk.json("import", "--claude-dir", str(claude_dir))
    prices = shared_data("ccusage-bundled-prices/prices_measured.json")
    ours = cdesk.json("usage", "daily", "--timezone", "UTC", "--prices", str(prices))
    _same(ours, _theirs(claude_dir, cdesk.home.parent))
    return dict(ours)


@pytest.mark.parametrize("tree", TREES)
def test_equal_on_every_tree(cdesk: Cdesk, tmp_path: Path, tree: str) -> None:
    """The tree as it is, below a `projects` folder."""
    claude_dir = tmp_path / "tree"
    shutil.copytree(shared_data(tree), claude_dir / "projects")
    _compare(cdesk, claude_dir)


def test_equal_on_the_recordings_as_claude_code_wrote_them(cdesk: Cdesk, tmp_path: Path) -> None:
    """The recordings were re-spaced when exported, so nobody counts them; without the spaces everybody does."""
    source = shared_data("recordings")
    claude_dir = tmp_path / "tree"
    for path in source.rglob("projects/**/*.jsonl"):
        target = claude_dir / "projects" / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(json.loads(line), separators=(",", ":")) for line in path.read_text().splitlines())
        target.write_text("".join(f"{line}\n" for line in lines))
    assert _compare(cdesk, claude_dir)["totals"]["totalTokens"] > 1_000_000


def test_equal_with_side_chats_and_replays(cdesk: Cdesk, tmp_path: Path) -> None:
    """Side chats replay the main thread's messages under new request ids: counted once, in either order of files."""
    folder = tmp_path / "tree" / "projects" / "p"
    folder.mkdir(parents=True)

    def line(message: str, request: str | None, side: bool, tokens: int, at: str, model: str) -> str:
        return json.dumps({
            "type": "assistant", "timestamp": at, "sessionId": "s", "isSidechain": side, "uuid": f"{message}{request}{side}",
            **({"requestId": request} if request else {}), "version": "2.1.330",
            "message": {"id": message, "model": model, "role": "assistant", "content": [],
                        "usage": {"input_tokens": tokens, "output_tokens": 10, "cache_read_input_tokens": tokens * 3}},
        }, separators=(",", ":"))  # fmt: skip

    opus, haiku = "claude-opus-4-5-20251101", "claude-haiku-4-5-20251001"
    (folder / "a.jsonl").write_text("\n".join([
        line("m1", "r1", False, 100, "2026-01-01T10:00:00.000Z", opus),
        line("m2", "r2", True, 250_000, "2026-01-01T23:59:59.999Z", "claude-sonnet-4-20250514"),
        line("m3", "r3", False, 7, "2026-01-02T00:00:00.000Z", haiku),
        line("m3", "r4", False, 9, "2026-01-03T00:00:00.000Z", haiku),
        line("m4", None, False, 5, "2026-01-03T00:00:00.000Z", "a-model-nobody-knows"),
    ]) + "\n")  # fmt: skip
    (folder / "b.jsonl").write_text("\n".join([
        line("m1", "r9", True, 99_999, "2026-01-05T10:00:00.000Z", opus),
        line("m2", "r8", True, 10, "2026-01-05T10:00:00.000Z", opus),
        line("m3", "r3", False, 8, "2026-01-04T00:00:00.000Z", haiku),
        line("m5", "r5", True, 3, "2026-01-05T10:00:00.000Z", "<synthetic>"),
    ]) + "\n")  # fmt: skip
    _compare(cdesk, tmp_path / "tree")


def test_unknown_models_are_unpriced_and_never_free(cdesk: Cdesk, tmp_path: Path) -> None:
    """No price is not a price of nothing."""
    folder = tmp_path / "tree" / "projects" / "p"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text(json.dumps({
        "type": "assistant", "timestamp": "2026-01-01T10:00:00.000Z", "sessionId": "s", "uuid": "u", "requestId": "r",
        "message": {"id": "m", "model": "a-model-nobody-knows", "usage": {"input_tokens": 10, "output_tokens": 10}},
    }, separators=(",", ":")) + "\n")  # fmt: skip
    cdesk.json("import", "--claude-dir", str(tmp_path / "tree"))
    report = cdesk.json("usage", "daily", "--timezone", "UTC")
    assert report["totals"]["unpricedResponses"] == 1
    assert report["daily"][0]["modelBreakdowns"][0]["missingPricing"] is True
    assert "unpriced" in cdesk.text("usage", "daily")
    assert cdesk.rows("SELECT revenue_impact FROM CLAUDE_STREAM_V2 WHERE activity = 'claude_responded'") == [[None]]
