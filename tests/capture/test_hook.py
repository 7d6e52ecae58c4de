"""Every event of Claude Code's hooks becomes the facts it states, whatever else a payload holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.capture.hook_recordings import NOW, PERSON, SCENARIOS, calls, hooks, told
from tests.shared_data import shared_data

from cdesk.activity.catalog import CATALOG
from cdesk.activity.codec import decode, encode
from cdesk.activity.identity import activity_id
from cdesk.capture.claude_version import FIRST_VERSION
from cdesk.capture.hook import AnyPayload, BadPayload, CdeskSelfTest, Payload, interpret, read

EVENTS = {kind.__name__: kind for kind in get_args(AnyPayload) if kind is not CdeskSelfTest}
SILENT = {"PostCompact", "MessageDisplay", "PreModelSwitch"}
MEANS = {
    "ConfigChange": {"config_changed"}, "CwdChanged": {"folder_changed"}, "DirectoryAdded": {"folder_added"},
    "Elicitation": {"elicitation_requested"}, "ElicitationResult": {"elicitation_answered"},
    "FileChanged": {"watched_file_changed"}, "InstructionsLoaded": {"instructions_loaded"}, "MessageDisplay": set(),
    "Notification": {"notification_shown"}, "PermissionDenied": {"tool_called"},
    "PermissionRequest": {"permission_requested"}, "PostCompact": set(), "PostModelSwitch": {"model_switched"},
    "PostToolBatch": {"tool_called"}, "PostToolUse": {"tool_called"}, "PostToolUseFailure": {"tool_called", "mcp_called"},
    "PreCompact": {"compaction_requested"}, "PreModelSwitch": set(), "PreToolUse": {"tool_called"},
    "SessionEnd": {"session_ended"}, "SessionStart": {"session_resumed"}, "Setup": {"session_set_up"},
    "Stop": {"claude_stopped"}, "StopFailure": {"claude_stopped"}, "SubagentStart": {"subagent_started"},
    "SubagentStop": {"subagent_completed"}, "TaskCompleted": {"task_completed"}, "TaskCreated": {"task_created"},
    "TeammateIdle": {"teammate_idled"}, "UserPromptExpansion": {"user_asked"}, "UserPromptSubmit": {"user_asked"},
    "WorktreeCreate": {"worktree_requested"}, "WorktreeRemove": {"worktree_removed"},
}  # fmt: skip


def recorded(event: str) -> dict[str, Any]:
    return dict(json.loads((shared_data("recordings/hook_payloads") / f"{event}.json").read_text())["payload"])


def by_tool() -> list[Path]:
    return sorted((shared_data("recordings/hook_payloads") / "by_tool").glob("*.json"))


def one(payload: dict[str, Any], activity: str) -> dict[str, Any]:
    """The features of the one fact of that name."""
    (found,) = [fact for fact in told(payload) if fact.activity == activity]
    return dict(found.feature_json)


def test_all_33_events_are_typed() -> None:
    """One type and one first version for each; every one has a recorded payload."""
    assert len(EVENTS) == 33
    assert set(EVENTS) == set(FIRST_VERSION) == set(MEANS)
    assert {path.stem for path in shared_data("recordings/hook_payloads").glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize("event", sorted(MEANS))
def test_a_recorded_payload_is_read_by_its_type_and_states_its_facts(event: str) -> None:
    """The real payload fits the type as it is, and says what the table says."""
    payload = recorded(event)
    assert type(read(json.dumps(payload).encode())) is EVENTS[event]
    assert {fact.activity for fact in told(payload)} == MEANS[event]


@pytest.mark.parametrize("event", sorted(set(MEANS) - SILENT))
def test_every_fact_has_its_catalog_shape(event: str) -> None:
    """Declared keys of the declared kinds, required ones there, source, session and person told; it survives the queue."""
    payload = recorded(event)
    for fact in told(payload):
        declared = {feature.name: feature for feature in CATALOG[fact.activity].features}
        kinds: dict[str, Any] = {
            "string": str, "integer": int, "number": int | float, "boolean": bool, "object": dict, "array": list,
        }  # fmt: skip
        assert set(fact.feature_json) <= set(declared)
        assert all(isinstance(value, kinds[declared[name].kind]) for name, value in fact.feature_json.items())
        assert [name for name, feature in declared.items() if feature.required and name not in fact.feature_json] == []
        assert (fact.source, fact.session_id, fact.customer) == ("hook", payload["session_id"], "ada@example.org")
        assert fact.feature_json["project_path"] == payload["cwd"]
        assert decode(encode(fact)) == fact


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_call_of_a_recorded_session_is_understood(scenario: str) -> None:
    """No payload of any recorded version is rejected or unknown."""
    found = hooks(scenario)
    assert found and "line_kept" not in {fact.activity for fact in found}


def test_a_tool_call_started_its_duration_before_it_was_told() -> None:
    """Payloads have no time: the receipt minus the run time is when it began."""
    fact = next(fact for fact in told(recorded("PostToolUse")) if fact.activity == "tool_called")
    assert fact.ts == NOW - timedelta(milliseconds=43)
    assert fact.feature_json["latency_ms"] == 43 and fact.feature_json["success"] is True


def test_identities_come_from_the_fact() -> None:
    """The ids that transcripts and telemetry give the same facts."""
    payload = recorded("PostToolUse")
    assert told(payload)[0].activity_id == activity_id("tool", payload["tool_use_id"])
    failed = {fact.activity: fact.activity_id for fact in told(recorded("PostToolUseFailure"))}
    assert failed["mcp_called"] == activity_id("mcp", recorded("PostToolUseFailure")["tool_use_id"])
    prompt = recorded("UserPromptSubmit")
    assert told(prompt)[0].activity_id == activity_id("prompt-id", prompt["prompt_id"])
    start = {**recorded("SessionStart"), "source": "startup"}
    assert told(start)[0].activity_id == activity_id("session", start["session_id"], "started")
    agent = recorded("SubagentStart")
    assert told(agent)[0].activity_id == activity_id("agent", "", agent["agent_id"], "started")


def test_short_agent_ids_count_with_their_session() -> None:
    """Seven digits are not unique."""
    agent = {**recorded("SubagentStart"), "agent_id": "ae191cc"}
    assert told(agent)[0].activity_id == activity_id("agent", agent["session_id"], "ae191cc", "started")


@pytest.mark.parametrize("path", by_tool(), ids=lambda path: path.stem)
def test_every_tools_response_is_read(path: Path) -> None:
    """A call, its MCP call, the files it touched, and for Agent what became of the subagent."""
    payload = json.loads(path.read_text())
    facts = {fact.activity: fact.feature_json for fact in told(payload)}
    assert facts["tool_called"]["tool_name"] == payload["tool_name"]
    assert facts["tool_called"]["success"] is ("Failure" not in path.stem)
    assert ("mcp_called" in facts) == payload["tool_name"].startswith("mcp__")
    files = {"Read": "file_read", "Write": "file_created", "Edit": "file_edited", "NotebookEdit": "file_edited"}
    expected = files.get(payload["tool_name"])
    assert [name for name in facts if name.startswith("file_")] == ([expected] if expected else [])


def test_a_finished_subagent_is_told_by_the_call_that_waited_for_it() -> None:
    """Totals, kind and parent call, as the transcript reads them."""
    results = [
        payload for _, payload in calls("subagents")
        if payload["hook_event_name"] == "PostToolUse" and payload["tool_response"].get("status") == "completed"
    ]  # fmt: skip
    facts = {fact.activity: fact.feature_json for fact in told(results[0])}
    assert facts["tool_called"]["subagent_id"] == facts["subagent_completed"]["subagent_id"]
    assert facts["subagent_completed"]["total_tokens"] and facts["subagent_completed"]["tool_use_id"]


def test_only_the_batch_knows_calls_that_never_ran() -> None:
    """A denied call, an unknown tool and an invalid input are in PostToolBatch alone."""
    ran = {p["tool_use_id"] for _, p in calls("permissions") if p["hook_event_name"].startswith("PostToolUse")}
    known = {fact.feature_json["tool_use_id"] for fact in hooks("permissions") if fact.activity == "tool_called"}
    assert len(known - ran) == 3


def test_a_machine_made_prompt_is_nobodys_question() -> None:
    """A finished background task comes as a prompt of the prompt that started it, and must not be merged with it."""
    (found,) = [fact for fact in hooks("subagents") if fact.activity == "message_injected"]
    asked = {fact.activity_id for fact in hooks("subagents") if fact.activity == "user_asked"}
    assert found.feature_json["kind"] == "task_notification" and len(asked) == 1
    assert found.activity_id not in asked


@pytest.mark.parametrize("source", ["system", "loop_wakeup", "schedule_wakeup", "poll_event"])
def test_a_prompt_says_itself_that_a_machine_made_it(source: str) -> None:
    """Where the payload has a source."""
    assert [fact.activity for fact in told({**recorded("UserPromptSubmit"), "source": source})] == ["message_injected"]


def test_a_slash_command_is_one_prompt_told_twice() -> None:
    """UserPromptSubmit does not know that it is a command; UserPromptExpansion does. One id."""
    submitted = {**recorded("UserPromptExpansion"), "hook_event_name": "UserPromptSubmit"}
    ids = {told(payload)[0].activity_id for payload in (submitted, recorded("UserPromptExpansion"))}
    assert len(ids) == 1
    assert one(recorded("UserPromptExpansion"), "user_asked")["command_name"] == "greet"


def test_sessions_begin_resume_and_end_each_as_often_as_they_do() -> None:
    """Started once; taken up again and ended again are facts of their own; compaction starts nothing."""
    found = [fact for fact in hooks("resume") if fact.activity.startswith("session_")]
    assert sorted(fact.activity for fact in found) == [
        "session_ended", "session_ended", "session_ended", "session_resumed", "session_started", "session_started",
    ]  # fmt: skip
    assert len({fact.activity_id for fact in found}) == 6
    assert told({**recorded("SessionStart"), "source": "compact"}) == []


def test_the_summarizer_is_no_subagent() -> None:
    """Compaction ends an agent that never began and has no name."""
    assert told({**recorded("SubagentStop"), "agent_type": ""}) == []
    assert told({**recorded("SubagentStop"), "agent_type": None})


def test_repeats_are_the_same_fact_and_other_moments_are_others() -> None:
    """What has no name of its own is named by its moment of receipt."""
    payload = recorded("Notification")
    assert told(payload) == told(payload)
    later = told(payload, NOW + timedelta(microseconds=1))
    assert later[0].activity_id != told(payload)[0].activity_id


def test_an_event_of_tomorrow_is_kept() -> None:
    """Whole but cut, in the session it belongs to."""
    (fact,) = told({"hook_event_name": "MoonRisen", "session_id": "s", "cwd": "/p", "phase": "full"})
    assert fact.activity == "line_kept" and fact.session_id == "s"
    assert fact.feature_json["line_type"] == "hook/MoonRisen" and "full" in str(fact.feature_json["line"])


def test_a_field_of_another_type_costs_that_field_only() -> None:
    """Claude Code may change a type; the rest of the fact stands."""
    payload = {
        **recorded("PostToolUse"),
        "duration_ms": "43",
        "cwd": {"path": "/x"},
        "permission_mode": 7,
        "agent_id": [],
    }
    features = one(payload, "tool_called")
    assert features["tool_use_id"] == payload["tool_use_id"] and features["success"] is True
    assert not {"latency_ms", "project_path", "permission_mode", "agent_id"} & set(features)


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"[]", b"7", b"{}", b'{"hook_event_name": 7}', b"\xff", b"{" * 100_000]
)
def test_what_is_no_payload_is_refused(raw: bytes) -> None:
    """With a reason, and nothing else."""
    with pytest.raises(BadPayload):
        interpret(raw, NOW, PERSON)


def test_half_an_emoji_costs_nothing_else() -> None:
    """JavaScript writes lone surrogates."""
    raw = json.dumps(recorded("UserPromptSubmit")).replace("Second prompt", r"Second \ud83d prompt").encode()
    (fact,) = interpret(raw, NOW, PERSON)
    assert fact.feature_json["prompt_text"] == "Second \ufffd prompt"
    assert decode(encode(fact)) == fact


def test_long_texts_are_cut() -> None:
    """A fact is not a copy of a file."""
    payload = recorded("PostToolUse")
    payload["tool_input"] = {"command": "x" * 1_000_000}
    payload["tool_response"]["stdout"] = "y" * 1_000_000
    assert sum(len(encode(fact)) for fact in told(payload)) < 10_000


def test_durations_beyond_reason_are_not_believed() -> None:
    """A wild number must not move a call to another century."""
    for wild in (-1, 1e300, 1e12):
        (fact,) = [f for f in told({**recorded("PostToolUse"), "duration_ms": wild}) if f.activity == "tool_called"]
        assert fact.ts == NOW and "latency_ms" not in fact.feature_json


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({name for kind in EVENTS.values() for name in kind.__struct_fields__})


@settings(max_examples=300, deadline=None)
@given(event=st.sampled_from(sorted(EVENTS)), given_fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=12))
def test_no_payload_breaks_anything(event: str, given_fields: dict[str, Any]) -> None:
    """Any JSON under any name: facts or none, and what there is can be written and read."""
    payload = {**given_fields, "hook_event_name": event}
    found = interpret(json.dumps(payload).encode(), datetime(2026, 1, 1, tzinfo=UTC), PERSON)
    for fact in found:
        assert decode(encode(fact)) == fact


def test_what_all_events_share_is_what_payload_declares() -> None:
    """The common fields stand in one place."""
    assert set(Payload.__struct_fields__) == {
        "session_id", "transcript_path", "cwd", "prompt_id", "permission_mode", "agent_id", "agent_type",
    }  # fmt: skip
