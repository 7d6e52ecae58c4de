"""One transcript in the making, line by line as Claude Code 2.1.330 writes them.

It keeps what a session keeps: the thread of uuids, the clock, the files, and how much of the context is cached, so that
the token figures add up the way real ones do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec

from cdesk.activity.pricing import PriceBook, Usage
from cdesk.sample.story import Project

VERSION = "2.1.330"
PROMPT_AND_TOOLS_TOKENS = 13_000
"""The system prompt and the tools, which every session begins with."""

Block = dict[str, Any]
Line = dict[str, Any]


class Failure(NamedTuple):
    """A tool result that is an error. denial: how it was refused, if it was"""

    text: str
    denial: str = ""


def text(words: str) -> Block:
    return {"type": "text", "text": words}


class Transcript:
    """`lines` is the file. Everything random comes from `rng`, everything timed from `at`, which moves on."""

    def __init__(
        self, project: Project, rng: Random, at: datetime, model: str, *, agent: str | None = None, session: str = "",
        padding: int = 4,
    ) -> None:  # fmt: skip
        self.project = project
        self.rng = rng
        self.started = self.at = at
        self.model = model
        self.agent = agent
        self.session = session or self.uuid()
        self.branch = "main"
        self.speed = "standard"
        self.lines: list[Line] = []
        self.files: dict[str, str] = {}
        self.usage: dict[str, Usage] = {}
        self.tool_ms = 0
        self.cost = 0.0
        self._padding = padding
        self._parent: str | None = None
        self._prompt = self.uuid()
        self._prompts = 0
        self._cached = 0
        self._fresh = PROMPT_AND_TOOLS_TOKENS if agent is None else 6_000
        self._keeps_an_hour = agent is None and rng.random() < 0.6

    # -- what the person does ----------------------------------------------------------------------------------

    def ask(self, words: str, **more: Any) -> None:
        self.wait(20, 200)
        self._prompt, self._prompts = self.uuid(), self._prompts + 1
        human = {
            "origin": {"kind": "human"}, "promptSource": "typed", "turnOrigin": "human",
            "turnPosition": {"promptIndex": self._prompts, "turnIndex": self._prompts}, "permissionMode": "acceptEdits",
        }  # fmt: skip
        self.say(words, **({} if self.agent else human), **more)

    def say(self, content: str | list[Block], **more: Any) -> str:
        """A user line: a prompt, a result, or what the program says in the person's name."""
        self._fresh += _tokens(content)
        message = {"role": "user", "content": content}
        return self.threaded("user", {"promptId": self._prompt, "message": message, **more})

    def command(self, name: str, output: str) -> None:
        """A slash command with its output."""
        self.ask(
            f"<command-name>/{name}</command-name>\n<command-message>{name}</command-message>\n<command-args></command-args>"
        )
        self.say(f"<local-command-stdout>{output}</local-command-stdout>")

    # -- what Claude does --------------------------------------------------------------------------------------

    def respond(self, *blocks: Block, thinking: int = 0) -> str:
        """One response of the API: one line for each block, each with the whole usage. Gives back the last uuid."""
        self.wait(2, 14)
        request = self._request()
        stop = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
        message: Block = {
            "id": self.id("msg_01"), "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": stop, "stop_sequence": None, "usage": self._use(_tokens(list(blocks)), thinking),
        }  # fmt: skip
        own = {
            "requestId": self.id("req_01"), "requestRef": request, "requestedModel": self.model, "effort": "medium",
            "promptCacheRequested": "1h" if self._keeps_an_hour else "5m", "madeBy": "model",
        }  # fmt: skip
        for index, block in enumerate(blocks):
            self.at += timedelta(milliseconds=self.rng.randint(200, 1500))
            self.threaded("assistant", {"message": {**message, "content": [block]}, "apiBlockIndex": index, **own})
        return str(self._parent)

    def use(
        self, tool: str, given: Block, result: str | Failure, details: Any = None, *, words: str = "", ms: int = 0, **more: Any,
    ) -> str:  # fmt: skip
        """A response that calls a tool, and the tool's result. Gives back the call's id."""
        call = self.id("toolu_01")
        block = {"type": "tool_use", "id": call, "name": tool, "input": given}
        asked = self.respond(*([text(words)] if words else []), block)
        self.result(call, asked, result, details, ms=ms, **more)
        return call

    def result(
        self, call: str, asked: str, result: str | Failure, details: Any = None, *, ms: int = 0, **more: Any
    ) -> None:
        ms = ms or self.rng.randint(15, 240)
        self.tool_ms += ms
        self.at += timedelta(milliseconds=ms)
        permission: Line = {"decision": "accept", "source": "config", "reasonType": "mode"}
        content: Block = {"tool_use_id": call, "type": "tool_result", "content": result}
        if isinstance(result, Failure):
            content |= {"content": result.text, "is_error": True}
            details = f"Error: {result.text}"
            if result.denial:
                more["toolDenialKind"] = result.denial
                permission = {"decision": "reject", "source": "user_reject", "reasonType": "user"}
        self.say(
            [content], toolUseResult=result if details is None else details, sourceToolAssistantUUID=asked,
            permissionDecision=permission, **more,
        )  # fmt: skip

    def bash(self, command: str, output: str, *, fails: bool = False, ms: int = 0, words: str = "") -> None:
        padded = self._log(output)
        details = {"stdout": padded, "stderr": "", "interrupted": False, "isImage": False, "noOutputExpected": False}
        result = Failure(f"Exit code 1\n{padded}") if fails else padded
        given = {"command": command, "description": command.split(" ")[0].capitalize()}
        self.use("Bash", given, result, details, ms=ms or self.rng.randint(300, 9000), words=words)

    def grep(self, pattern: str, path: str, line: str) -> None:
        found = f"{path}:{self.rng.randint(3, 90)}:{line.splitlines()[0]}"
        self.use("Grep", {"pattern": pattern, "output_mode": "content"}, found, {
            "mode": "content", "numFiles": 1, "filenames": [], "content": found, "numLines": 1, "totalLines": 1,
        }, ms=self.rng.randint(20, 90))  # fmt: skip

    def read(self, path: str) -> None:
        lines = self.files[path].splitlines()
        numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(lines, 1))
        file = {
            "filePath": path,
            "content": self.files[path],
            "numLines": len(lines),
            "startLine": 1,
            "totalLines": len(lines),
        }
        self.use("Read", {"file_path": path}, numbered, {"type": "text", "file": file})

    def edit(self, path: str, old: str, new: str, words: str = "") -> None:
        before = self.files[path]
        at = before[: before.index(old)].count("\n") + 1
        removed, added = old.splitlines(), new.splitlines()
        hunk = {"oldStart": at, "oldLines": len(removed), "newStart": at, "newLines": len(added),
                "lines": [*(f"-{line}" for line in removed), *(f"+{line}" for line in added)]}  # fmt: skip
        self.files[path] = before.replace(old, new, 1)
        self.use("Edit", {"file_path": path, "old_string": old, "new_string": new}, f"The file {path} has been updated successfully.", {
            "filePath": path, "oldString": old, "newString": new, "originalFile": before, "structuredPatch": [hunk],
            "userModified": False, "replaceAll": False,
        }, words=words)  # fmt: skip

    def write(self, path: str, content: str) -> None:
        before = self.files.get(path)
        self.files[path] = content
        lines = [f"-{line}" for line in (before or "").splitlines()] + [f"+{line}" for line in content.splitlines()]
        hunk = {"oldStart": 1, "oldLines": 1, "newStart": 1, "newLines": 1, "lines": lines}
        self.use("Write", {"file_path": path, "content": content}, f"File written successfully at: {path}", {
            "type": "create" if before is None else "update", "filePath": path, "content": content,
            "structuredPatch": [] if before is None else [hunk], "originalFile": before, "userModified": False,
        })  # fmt: skip

    def mcp(self, server: str, tool: str, given: Block, answer: str) -> None:
        self.use(f"mcp__{server}__{tool}", given, answer, mcpMeta={"structuredContent": {"result": answer}})

    # -- what the program notes --------------------------------------------------------------------------------

    def open(self, source: str = "startup") -> None:
        """What stands at the beginning: mode, a hook, the surroundings."""
        self.state("mode", mode="normal")
        self.state("permission-mode", permissionMode="acceptEdits")
        self.attach("hook_success", hookName=f"SessionStart:{source}", hookEvent="SessionStart", toolUseID=self.uuid(), content="",
                    stdout="", stderr="", exitCode=0, command="greet", durationMs=self.rng.randint(20, 90))  # fmt: skip
        self.attach(
            "environment", snapshot={"workingDirectory": self.project.folder, "isGitRepo": True, "platform": "linux"}
        )
        self.attach("date", date=self.at.date().isoformat())

    def attach(self, kind: str, **fields: Any) -> None:
        self.threaded("attachment", {"attachment": {"type": kind, **fields}})

    def end_turn(self, since: datetime) -> None:
        took = round((self.at - since).total_seconds() * 1000)
        self.threaded(
            "system", {"subtype": "turn_duration", "durationMs": took, "messageCount": len(self.lines), "isMeta": False}
        )

    def fail_request(self, attempt: int, retry_in_ms: int) -> None:
        """An overloaded API, which the program tries again."""
        told = '529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
        self.threaded("system", {
            "subtype": "api_error", "level": "error",
            "error": {"message": told, "status": 529, "requestId": self.id("req_01"), "formatted": "529 Overloaded"},
            "retryInMs": retry_in_ms, "retryAttempt": attempt, "maxRetries": 10, "source": "request_retry",
        })  # fmt: skip
        self.at += timedelta(milliseconds=retry_in_ms)

    def give_up(self, words: str) -> None:
        """The line that stands where a response should be when the API refused for good."""
        nothing = {
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }
        message = {"id": self.uuid(), "model": "<synthetic>", "role": "assistant", "stop_reason": "stop_sequence",
                   "stop_sequence": "", "type": "message", "usage": nothing, "content": [text(words)]}  # fmt: skip
        self.threaded("assistant", {
            "message": message, "requestId": self.id("req_01"), "error": "rate_limit", "isApiErrorMessage": True, "apiErrorStatus": 429,
        })  # fmt: skip

    def compact(self, summary: str) -> None:
        """The chain of lines begins anew, with a summary."""
        before, after = self._cached + self._fresh, 3_000 + self.rng.randint(0, 900)
        last, self._parent = self._parent, None
        self.wait(20, 60)
        self.threaded("system", {
            "logicalParentUuid": last, "subtype": "compact_boundary", "content": "Conversation compacted", "isMeta": False,
            "level": "info", "compactMetadata": {"trigger": "auto", "preTokens": before, "postTokens": after, "durationMs": 41_250},
        })  # fmt: skip
        self._cached, self._fresh = 0, PROMPT_AND_TOOLS_TOKENS + after
        told = "This session is being continued from a previous conversation that ran out of context.\n\nSummary:\n"
        self.say(told + summary, isVisibleInTranscriptOnly=True, isCompactSummary=True)

    def close(self, title: str, last_prompt: str) -> None:
        """Names and totals: state lines, of which the last counts."""
        self.state("custom-title", customTitle=title)
        self.state("last-prompt", lastPrompt=last_prompt, leafUuid=self._parent)
        length = round((self.at - self.started).total_seconds() * 1000)
        edits = [line["toolUseResult"] for line in self.lines if isinstance(line.get("toolUseResult"), dict)]
        patches = [line for edit in edits for hunk in edit.get("structuredPatch", []) for line in hunk["lines"]]
        self.state(
            "cost-state", totalCostUSD=round(self.cost, 6), totalAPIDuration=length // 3, totalToolDuration=self.tool_ms,
            totalLinesAdded=sum(line[0] == "+" for line in patches), totalLinesRemoved=sum(line[0] == "-" for line in patches),
            totalDuration=length, startTime=round(self.started.timestamp() * 1000),
            modelUsage={model: _totals(usage) for model, usage in self.usage.items()},
        )  # fmt: skip

    def state(self, kind: str, **fields: Any) -> None:
        self.lines.append({"type": kind, **fields, "sessionId": self.session})

    def threaded(self, kind: str, own: Line) -> str:
        """A line of the thread, with what all of them share. Gives back its uuid."""
        uuid = self.uuid()
        agent = {} if self.agent is None else {"agentId": self.agent}
        self.lines.append({
            "parentUuid": self._parent, "isSidechain": self.agent is not None, **agent, "type": kind, **own, "uuid": uuid,
            "timestamp": self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "userType": "external", "entrypoint": "cli", "cwd": self.project.folder, "sessionId": self.session,
            "version": VERSION, "gitBranch": self.branch,
        })  # fmt: skip
        self._parent = uuid
        return uuid

    # -- chance and time ---------------------------------------------------------------------------------------

    def wait(self, low: float, high: float) -> None:
        self.at += timedelta(milliseconds=round(self.rng.uniform(low, high) * 1000))

    def uuid(self) -> str:
        digits = f"{self.rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def id(self, prefix: str) -> str:
        return f"{prefix}{self.rng.getrandbits(88):022x}"

    def filled(self, path: str, inside: str) -> str:
        """A source file with `inside` among other lines of the project's language."""
        count = self._padding + self.rng.randint(0, self._padding)
        lines = [self.project.filler.format(i=self.rng.randint(1, 9999)) for _ in range(count)]
        self.files[path] = "\n".join([*lines[: count // 2], inside, *lines[count // 2 :], ""])
        return self.files[path]

    def _log(self, output: str) -> str:
        extra = max(self._padding - 4, 0)
        lines = [f"ok {self.rng.randint(1, 99999):>6}  {self.project.name}::{word} ({self.rng.randint(1, 900)} ms)"
                 for word in self.rng.choices(("parse", "render", "search", "store", "merge"), k=extra)]  # fmt: skip
        return "\n".join([*lines, output])

    # -- tokens ------------------------------------------------------------------------------------------------

    def _request(self) -> str:
        request = self.uuid()
        params = {"model": self.model, "max_tokens": 32_000}
        self.lines.append({
            "type": "api-request", "sessionId": self.session, "id": request,
            "timestamp": self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), "version": VERSION,
            "querySource": "repl_main_thread" if self.agent is None else "agent:builtin", "params": params, "keep": 0, "tail": [],
        })  # fmt: skip
        return request

    def _use(self, written: int, thinking: int) -> Line:
        """The usage of one response: what was new is written to the cache, what was there is read from it."""
        plain, created = self.rng.randint(3, 9), self._fresh
        output = written + thinking + self.rng.randint(2, 12)
        hour, five = (created, 0) if self._keeps_an_hour else (0, created)
        used = Usage(
            input_tokens=plain, output_tokens=output, cache_creation_5m_tokens=five, cache_creation_1h_tokens=hour,
            cache_read_tokens=self._cached, speed="fast" if self.speed == "fast" else None,
        )  # fmt: skip
        self._count(used)
        reused, self._cached, self._fresh = self._cached, self._cached + created, output
        return {
            "input_tokens": plain, "cache_creation_input_tokens": created, "cache_read_input_tokens": reused,
            "output_tokens": output, "output_tokens_details": {"thinking_tokens": thinking},
            "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0}, "service_tier": "standard",
            "cache_creation": {"ephemeral_1h_input_tokens": hour, "ephemeral_5m_input_tokens": five},
            "inference_geo": "", "iterations": [], "speed": self.speed,
        }  # fmt: skip

    def _count(self, used: Usage) -> None:
        self.cost += PriceBook.bundled().cost(self.model, used, self.at.date()) or 0.0
        known = self.usage.get(self.model, Usage())
        self.usage[self.model] = Usage(**{
            name: getattr(known, name) + getattr(used, name) for name in Usage.__struct_fields__ if name != "speed"
        })  # fmt: skip


def encode(lines: list[Line]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def _tokens(content: str | list[Block]) -> int:
    """About four bytes a token."""
    return max(len(content if isinstance(content, str) else msgspec.json.encode(content)) // 4, 1)


def _totals(usage: Usage) -> dict[str, int]:
    return {
        "inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens, "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheCreationInputTokens": usage.cache_creation_5m_tokens + usage.cache_creation_1h_tokens, "webSearchRequests": 0,
    }  # fmt: skip
