"""What happened to cdesk itself, and what it could not place."""

from cdesk.activity.catalog.shape import COMMON, Declaration, F, Family, Feature

_SEED = (
    F("event_type", "string", "kind of happening", privacy="public", required=True),
    F("severity", "string", "info, warning, error or critical", privacy="public"),
    F("message", "string", "what happened, for a person"),
    F("metrics", "object", "figures that go with it", privacy="public"),
    F("action_taken", "string", "what was done about it", privacy="public"),
)


def _system(name: str, meaning: str, *own: Feature, aliases: tuple[str, ...] = ()) -> Declaration:
    return Declaration(name, meaning, (*_SEED, *own, *COMMON), aliases=aliases)


SYSTEM = Family(
    "system",
    "VW_SYSTEM_EVENTS",
    (
        _system("backpressure", "the queue grew past a level, or came back", aliases=("system_backpressure",)),
        _system("schema_drift_detected", "activities left the catalog's shape"),
        _system("queue_rotated", "a queue segment was closed", aliases=("queue_rotation",)),
        _system("artifacts_cleaned", "artifacts past their time were deleted", aliases=("artifact_cleanup",)),
        _system("error_recovered", "cdesk mended something by itself", aliases=("error_recovery",)),
        _system(
            "task_suspended",
            "a task that keeps derived tables up to date failed too often in a row",
            F("task", "string", "its name", privacy="public"),
        ),
        _system("budget_reached", "a day in Snowflake came to what it may cost, or to the part of it that is told"),
        _system("telemetry_gap_noticed", "telemetry events of Claude Code never came"),
        _system("self_test_arrived", "what `cdesk doctor` sent to see whether it arrives"),
        _system(
            "line_kept",
            "a transcript line or hook event of a type cdesk does not know yet",
            F("line_type", "string", "its type", privacy="public"),
            F("line", "string", "the line itself, cut at the text limit", privacy="content"),
            F("prompt_id", "string", "prompt it belongs to, where told", privacy="public"),
        ),
        _system(
            "hook_ran",
            "a hook of Claude Code ran and left a trace",
            F("hook_event", "string", "event it ran on", privacy="public"),
            F("hook_name", "string", "event and matcher", privacy="public"),
            F("outcome", "string", "success, blocking_error, non_blocking_error, cancelled, …", privacy="public"),
            F("exit_code", "integer", "exit status", privacy="public"),
            F("duration_ms", "number", "time it took", unit="ms", privacy="public"),
        ),
    ),
)
