"""An activity's id is a fingerprint of what the fact is, so telling it twice changes nothing.

    activity_id = UUIDv8( BLAKE2b-128( kind, part, part, … ) )      parts separated by U+001F

The kind names the identity rule below, and the parts come from the fact itself; a hook, a transcript line
and a telemetry record about one tool call therefore meet in one row. UUID version 8 is the variant that
RFC 9562 §5.8 leaves to applications. `interfaces.md` §2.3 gives the reasons for each rule:

    response    message id + request id          also: message id alone (side chats replay under new requests);
                message id alone in a side chain also: request id alone (all that telemetry knows)
    tool        tool_use_id
    mcp         tool_use_id                      a call that no session names: tool, time and a random name
    insight     tool_use_id of the call that recorded it, else time and a random name
    file        tool_use_id + path
    prompt      line uuid                        also: prompt id (all that a hook knows)
    injected    session + text of a task notification (all that a hook knows of it; a transcript: its line uuid)
    session     session id + what happened to it
    context     session + event + receipt of what it was told back
    agent       subagent id + what happened to it
    line        line uuid                        every other threaded line
    failure     request id of the API request that ended in an error
    metric      metric + attributes + interval
    telemetry   session + time + number of a telemetry record that nothing else names
    statement   query id and time of a statement that cdesk ran for an answer
    system      what happened to cdesk itself, to whom and when
    insight     who recorded or corrected it, when, and a random name
    given       the caller's own id
    content     digest of everything             nothing else identifies it
"""

from __future__ import annotations

from hashlib import blake2b

_SEPARATOR = "\x1f"
_VARIANT_RFC = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The digit that has the variant's two bits in front of the digit's own last two."""


def activity_id(kind: str, *parts: str) -> str:
    """The UUID text of the fact that `kind` and `parts` name. Lone surrogates count as U+FFFD."""
    name = _SEPARATOR.join((kind, *parts)).encode("utf-8", "replace")
    text = blake2b(name, digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{_VARIANT_RFC[text[16]]}{text[17:20]}-{text[20:]}"
