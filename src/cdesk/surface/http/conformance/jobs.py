"""Tools that outlive their call: the Tasks extension (SEP-2663)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from cdesk.surface.http.conformance.asked import Asked, Result, Tool, text
from cdesk.surface.http.conformance.questions import form, name_form, required, responses
from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.protocol import Refused

EXTENSION = "io.modelcontextprotocol/tasks"
NEEDED: Result = {"extensions": {EXTENSION: {}}}
TTL_MS, POLL_MS = 600_000, 100
_CONFIRM = form("Really?", confirm={"type": "boolean"})


class Job:
    """One task. asks: what it still waits for, by name."""

    def __init__(self, asks: dict[str, Result]) -> None:
        self.id = uuid4().hex
        self.status = "working"
        self.outcome: Result = {}
        self.asks = asks
        self.answers: dict[str, Result] = {}
        self._answered = asyncio.Event()
        self._began = self._changed = datetime.now(UTC)
        self._work: asyncio.Task[None] | None = None

    def begin(self, work: Callable[[Job], Awaitable[Result]]) -> None:
        self._work = asyncio.create_task(self._run(work))

    async def _run(self, work: Callable[[Job], Awaitable[Result]]) -> None:
        try:
            if self.asks:
                self._turn("input_required")
                await self._answered.wait()
                self._turn("working")
            self.outcome = {"result": await work(self)}
            self._turn("completed")
        except Refused as refusal:
            self.outcome = {"error": {"code": refusal.code, "message": str(refusal)}}
            self._turn("failed")

    def cancel(self) -> None:
        if self._work is not None and self._work.cancel():
            self._turn("cancelled")

    def answer(self, given: dict[str, Result]) -> None:
        """What nobody asked for is passed over."""
        for name in self.asks.keys() & given.keys():
            self.answers[name] = given[name]
            del self.asks[name]
        if not self.asks:
            self._answered.set()

    def _turn(self, status: str) -> None:
        self.status, self._changed = status, datetime.now(UTC)

    def told(self) -> Result:
        return {
            "taskId": self.id, "status": self.status, "createdAt": self._began.isoformat(),
            "lastUpdatedAt": self._changed.isoformat(), "ttlMs": TTL_MS, "pollIntervalMs": POLL_MS,
        }  # fmt: skip

    def detailed(self) -> Result:
        asks = {"inputRequests": dict(self.asks)} if self.status == "input_required" else {}
        return {**self.told(), **asks, **self.outcome}


class Jobs:
    """Every task of one server, as long as it runs."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    @property
    def tools(self) -> tuple[Tool, ...]:
        computed = {"seconds": {"type": "number"}, "label": {"type": "string"}}
        return (
            Tool("slow_compute", "Sleeps; waited for by who knows no tasks.", self._slow, computed, ("seconds",)),
            Tool("failing_job", "Always fails.", self._of(_failing)),
            Tool("protocol_error_job", "Breaks.", self._of(_broken)),
            Tool("confirm_delete", "Asks, then says so.", self._of(_answered, confirm=_CONFIRM),
                 {"filename": {"type": "string"}}, ("filename",)),
            Tool("multi_input", "Asks two things at once.", self._of(_answered, first=name_form(), second=_CONFIRM)),
            Tool("test_tool_with_task", "Asks, then becomes a task.", self._asking),
        )  # fmt: skip

    async def get(self, asked: Asked) -> Result:
        return self._job(asked).detailed()

    async def update(self, asked: Asked) -> Result:
        self._job(asked).answer(responses(asked))
        return {}

    async def cancel(self, asked: Asked) -> Result:
        self._job(asked).cancel()
        return {}

    def _job(self, asked: Asked) -> Job:
        asked.require(NEEDED)
        found = self._jobs.get(str(asked.request.params.get("taskId")))
        if found is None:
            raise Refused(protocol.INVALID_PARAMS, "Unknown task")
        return found

    def _begun(self, work: Callable[[Job], Awaitable[Result]], asks: dict[str, Result]) -> Result:
        job = Job(dict(asks))
        self._jobs[job.id] = job
        job.begin(work)
        return {"resultType": "task", **job.told()}

    def _of(self, work: Callable[[Job], Awaitable[Result]], **asks: Result) -> Callable[[Asked], Awaitable[Result]]:
        async def run(asked: Asked) -> Result:
            asked.require(NEEDED)
            return self._begun(work, asks)

        return run

    async def _slow(self, asked: Asked) -> Result:
        seconds = float(asked.arguments.get("seconds", 0))

        async def work(job: Job | None = None) -> Result:
            await asyncio.sleep(seconds)
            return text(f"Computed in {seconds} s.")

        try:
            asked.require(NEEDED)
        except Refused:
            return await work()
        return self._begun(work, {})

    async def _asking(self, asked: Asked) -> Result:
        asked.require(NEEDED)
        given = responses(asked).get("user_name")
        if given is None:
            return required({"user_name": name_form()}, "asked")

        async def work(job: Job) -> Result:
            return text(f"Hello, {given.get('content', {}).get('name')}!")

        return self._begun(work, {})


async def _failing(job: Job) -> Result:
    await asyncio.sleep(1)
    return {**text("This job always fails."), "isError": True}


async def _broken(job: Job) -> Result:
    raise Refused(protocol.INTERNAL_ERROR, "This job always breaks.")


async def _answered(job: Job) -> Result:
    said: dict[str, Any] = {name: answer.get("content") for name, answer in sorted(job.answers.items())}
    return text(f"Answered: {said}")
