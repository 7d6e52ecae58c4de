"""How a session goes: a piece of work from prompt to thanks, and the turns life takes in between."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from random import Random
from typing import NamedTuple

import msgspec

from cdesk.sample.story import AFTERTHOUGHTS, Project, Task
from cdesk.sample.transcript import Failure, Line, Transcript, encode, text

OPUS, SONNET, HAIKU = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5-20251001"
MODELS = (OPUS, SONNET, OPUS, SONNET, OPUS, HAIKU, SONNET)

File = tuple[str, bytes]
"""Path below `projects`, content."""


class Session(NamedTuple):
    """A finished session: its main thread, and its subagents' files by name."""

    main: Transcript
    agents: tuple[File, ...] = ()

    def files(self) -> list[File]:
        folder = slug(self.main.project)
        inside = f"{folder}/{self.main.session}/subagents"
        own = (f"{folder}/{self.main.session}.jsonl", encode(self.main.lines))
        return [own, *((f"{inside}/{name}", content) for name, content in self.agents)]


def slug(project: Project) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in project.folder)


def work(project: Project, task: Task, number: int, at: datetime, rng: Random, *, padding: int = 4) -> Session:
    """A session about one task, `number`-th in its series: the number chooses what happens besides."""
    t = Transcript(project, rng, at, MODELS[number % len(MODELS)], padding=padding)
    t.branch = task.title.lower().replace(" ", "-")
    t.speed = "fast" if number % 11 == 5 and t.model == OPUS else "standard"
    path = f"{project.folder}/{task.file}"
    t.filled(path, task.old)
    t.open()
    begun = t.at
    t.ask(task.prompt)
    if number % 6 == 1:
        t.fail_request(1, 618)
        t.fail_request(2, 1240)
    t.respond(text(f"I'll look at `{task.file}` first."), thinking=rng.randint(80, 900))
    t.grep(task.old.split("(")[0][:30], task.file, task.old)
    t.read(path)
    if number % 4 == 1:
        server, tool, given, answer = project.mcp
        t.mcp(server, tool, dict(given), answer)
    _aside(t, number)
    t.edit(path, task.old, task.new, words="The change is small:")
    if task.fault:
        t.bash(project.test, task.fault, fails=True)
        t.edit(path, task.new, task.mended, words="That case needs care.")
    t.bash(project.test, project.passed)
    agents = _review(t, task) if number % 5 == 2 else ()
    t.respond(text(task.reply))
    t.end_turn(begun)
    if number % 7 == 3:
        t.compact(f"Robin asked: {task.prompt} The change is in {task.file}; the tests pass.")
    _afterthoughts(t, 1 + number % 3, task.title)
    t.close(task.title, task.prompt)
    return Session(t, agents)


def _aside(t: Transcript, number: int) -> None:
    """Now and then something goes wrong, or is not wanted."""
    folder = t.project.folder
    match number % 8:
        case 0:
            t.use("Bash", {"command": "git push --force"}, Failure(
                "The user doesn't want to proceed with this tool use. The tool use was rejected.", "user-rejected"))  # fmt: skip
            t.respond(text("Understood, I leave the remote alone."))
        case 2:
            t.use("Read", {"file_path": f"{folder}/TODO"}, Failure(f"File does not exist: {folder}/TODO"))
        case 4:
            t.use(
                f"mcp__{t.project.mcp[0]}__{t.project.mcp[1]}",
                dict(t.project.mcp[2]),
                Failure("the server did not answer within 5 s"),
            )
        case 6:
            t.write(f"{folder}/{t.project.notes}", f"# {t.project.name}\n\n{t.project.about.capitalize()}.\n")
            t.write(
                f"{folder}/{t.project.notes}",
                f"# {t.project.name}\n\n{t.project.about.capitalize()}.\n\n## What changed\n",
            )


def _review(t: Transcript, task: Task) -> tuple[File, ...]:
    """A subagent looks over the change."""
    agent = f"a{t.rng.getrandbits(64):016x}"
    prompt = f"Review the change in {task.file}. Is a case forgotten?"
    verdict = "Nothing forgotten; one name could be clearer."
    call = t.id("toolu_01")
    given = {"description": "Review the change", "prompt": prompt, "subagent_type": "Explore"}
    asked = t.respond({"type": "tool_use", "id": call, "name": "Agent", "input": given})
    sub = Transcript(t.project, t.rng, t.at, HAIKU, agent=agent, session=t.session)
    sub.files, sub.branch = t.files, t.branch
    sub.ask(prompt)
    sub.read(f"{t.project.folder}/{task.file}")
    sub.bash("git diff --stat", f" {task.file} | 2 +-\n 1 file changed")
    sub.respond(text(verdict))
    took = round((sub.at - t.at).total_seconds() * 1000)
    usage = sub.usage[HAIKU]
    t.result(call, asked, verdict, {
        "status": "completed", "prompt": prompt, "agentId": agent, "agentType": "Explore", "description": "Review the change",
        "content": [text(verdict)], "resolvedModel": HAIKU, "totalDurationMs": took, "totalToolUseCount": 2,
        "totalTokens": usage.prompt_tokens + usage.output_tokens,
    }, ms=took)  # fmt: skip
    t.cost += sub.cost
    t.usage[HAIKU] = usage
    meta = {"agentType": "Explore", "isBuiltIn": True, "description": "Review the change", "toolUseId": call, "spawnDepth": 1,
            "requestShape": "foreground", "model": HAIKU, "finished": True}  # fmt: skip
    return ((f"agent-{agent}.jsonl", encode(sub.lines)), (f"agent-{agent}.meta.json", msgspec.json.encode(meta)))


def _afterthoughts(t: Transcript, count: int, title: str) -> None:
    for question, answer in t.rng.sample(AFTERTHOUGHTS, count):
        begun = t.at
        t.ask(question)
        if "ommit" in question:
            t.bash(f"git commit -qam '{title}'", "")
        elif "once more" in question:
            t.bash(t.project.test, t.project.passed)
        t.respond(text(answer))
        t.end_turn(begun)


# -- other sessions ------------------------------------------------------------------------------------------------


def resumed(before: Session, at: datetime) -> Session:
    """The same file, taken up again another day."""
    t = before.main
    t.started, t.at = at - (t.at - t.started), at  # its length goes on where it stopped
    t.open("resume")
    _afterthoughts(t, 2, "Tidy up")
    t.close(f"{t.project.name}, second day", "resumed")
    return before


def fork(before: Session, at: datetime, rng: Random) -> Session:
    """Another way from the same beginning: the origin's lines copied, under a session id of its own."""
    t = before.main
    origin, t.session, t.rng = t.session, f"{rng.getrandbits(32):08x}-f04c-4f04-8f04-{rng.getrandbits(48):012x}", rng
    t.lines = [_copied(line, origin, t.session) for line in t.lines if "uuid" in line]
    t.usage, t.cost, t.tool_ms = {}, 0.0, 0
    t.started = t.at = at
    _afterthoughts(t, 2, "Try the other way")
    t.close(f"{t.project.name}, another way", "forked")
    return Session(t)


def _copied(line: Line, origin: str, session: str) -> Line:
    mark = {"requestSessionId": origin} if line["type"] == "assistant" else {}
    return {**deepcopy(line), "sessionId": session, **mark}


def errand(project: Project, task: Task, number: int, at: datetime, rng: Random) -> Session:
    """A short session: a command or two, a question."""
    t = Transcript(project, rng, at, HAIKU if number % 2 else SONNET)
    t.open()
    t.command("model", f"Set model to {t.model}")
    t.ask("<bash-input>git log --oneline -3</bash-input>")
    t.say(f"<bash-stdout>{rng.getrandbits(28):07x} {task.title}\n</bash-stdout><bash-stderr></bash-stderr>")
    begun = t.at
    t.ask(f"Write one line for the changelog about “{task.title}”.")
    if number % 3 == 0:
        t.give_up("API Error: 429 Rate limited. Please try again later.")
        t.ask("Again, please.")
    path = f"{project.folder}/CHANGELOG.md"
    t.filled(path, "## Unreleased")
    t.read(path)
    t.edit(path, "## Unreleased", f"## Unreleased\n\n- {task.title}")
    t.respond(text(f"Added: “{task.title}”."))
    t.end_turn(begun)
    t.close(f"Changelog: {task.title}", "changelog")
    return Session(t)
