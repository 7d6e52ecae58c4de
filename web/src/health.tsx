// How it feels: what needs a person first, then every part that keeps itself up to date, with what can be done beside it.

import { Act, Confirmed, done, Dot, Outcome, Part, useActs, type Acts, type Said, type Standing, type Tone } from "./acts";
import { type ActOutcome, type Drifted, type Flow, type Health, type Need, type Replayed, type RunReport, type SetAside, type Settled, type Status, type StreamLag, type TaskReport } from "./api";
import { useAnswer, useNow, usePulse, useSettled } from "./data";
import { ago, bytes, compact, count, duration, plural } from "./format";
import { Command, Time, Trouble, Waiting } from "./parts";
import { Link, useTitle } from "./route";

const REFRESH_MS = 2_000;
const PULSE_MS = 15_000;
const LATE_S = 60;

export function HealthPage({ flow }: { flow: Flow | null }) {
  const asked = useAnswer<Health>("health", {});
  useTitle("Health");
  useSettled(flow, asked.again, REFRESH_MS);
  usePulse(asked.again, PULSE_MS);
  const health = asked.data;
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Health</h1>
        {health && <Verdict needs={health.needs} />}
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={asked.again} />}
      {!health && !asked.error && <Waiting />}
      {health && (
        <>
          {health.needs.length > 0 && <Needs health={health} />}
          <div className="columns">
            <div className="column">
              <Tasks tasks={health.tasks} again={asked.again} />
              <Drift drift={health.drift} again={asked.again} />
              <Dead dead={health.dead} again={asked.again} />
            </div>
            <div className="column">
              <Queue status={health.status} isRefusing={health.needs.some((need) => need.what === "refused")} />
              <Streams streams={health.streams} tasks={health.tasks} again={asked.again} />
              <Identities known={health.identities} />
            </div>
          </div>
        </>
      )}
    </>
  );
}

// -- what needs a person -------------------------------------------------------------------------------------------

export const needing = (needs: Need[]): string => (needs.length === 1 ? "1 thing needs you" : `${count(needs.length)} things need you`);
export const toneOf = (needs: Need[]): Tone => (needs.some((need) => need.is_urgent) ? "bad" : needs.length ? "busy" : "ok");

function Verdict({ needs }: { needs: Need[] }) {
  return (
    <strong className={`verdict ${toneOf(needs)}`} role="status">
      {needs.length ? needing(needs) : "Nothing needs you"}
    </strong>
  );
}

const PLACES: Record<Need["what"], string> = {
  refused: "#queue", pressure: "#queue", behind: "#queue", task_failed: "#tasks", task_suspended: "#tasks", drift: "#drift", dead_letters: "#dead",
  budget: "/cost",
};

function Needs({ health }: { health: Health }) {
  return (
    <section className="card needs" aria-label="What needs you">
      <ul>
        {health.needs.map((need) => (
          <li key={need.what}>
            <a href={PLACES[need.what]} className="need">
              <Dot tone={need.is_urgent ? "bad" : "busy"} />
              <span className="strong">{inWords(need, health)}</span>
              <span className="faint">{remedy(need)}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function inWords(need: Need, { status, tasks, drift }: Health): string {
  const names = (by: TaskReport["suspended_by"]): string => tasks.filter((task) => task.suspended_by === by).map((task) => task.name).join(", ");
  const rows = drift.incidents.reduce((sum, one) => sum + one.quarantined, 0);
  switch (need.what) {
    case "refused":
      return `The queue is full: ${plural(need.count, "event was", "events were")} turned away`;
    case "pressure":
      return `The queue is pressed: ${status.queue.level}`;
    case "behind":
      return `The warehouse is ${duration(status.lag_s * 1000)} behind the queue`;
    case "task_failed":
      return `${plural(need.count, "task")} stopped after failing again and again: ${names("failures")}`;
    case "task_suspended":
      return `${plural(need.count, "task is", "tasks are")} suspended: ${names("request")}`;
    case "drift":
      return `${plural(need.count, "change")} of shape ${need.count === 1 ? "wants" : "want"} a decision${rows ? `; ${plural(rows, "row waits", "rows wait")} for it` : ""}`;
    case "dead_letters":
      return `${plural(need.count, "line")} could not be loaded`;
    case "budget":
      return need.is_urgent ? "Today's budget in Snowflake is spent: loading there pauses" : "Most of today's budget in Snowflake is spent";
  }
}

function remedy(need: Need): string {
  switch (need.what) {
    case "refused":
      return "make room";
    case "pressure":
      return "see what is left out, and what helps";
    case "behind":
      return "see what helps";
    case "task_failed":
      return "see why, then resume";
    case "task_suspended":
      return "resume when you are ready";
    case "drift":
      return "accept or release";
    case "dead_letters":
      return "replay or drop";
    case "budget":
      return need.is_urgent ? "raise it, or wait for the day (UTC) to end" : "see what takes it";
  }
}

// -- tasks ---------------------------------------------------------------------------------------------------------

function standingOf(task: TaskReport): Standing {
  if (task.suspended_by === "failures") return { tone: "bad", text: `stopped: it failed ${count(task.failures_in_a_row)} times in a row` };
  if (task.state === "suspended") return { tone: "busy", text: "suspended: what it writes grows old" };
  if (task.failures_in_a_row) return { tone: "busy", text: `failed ${task.failures_in_a_row}×, is tried again by itself` };
  if (task.last_state === null) return { tone: "idle", text: "has not run yet" };
  return task.has_data ? { tone: "ok", text: "waits for its turn" } : { tone: "ok", text: "up to date" };
}

function Tasks({ tasks, again }: { tasks: TaskReport[]; again: () => void }) {
  const now = useNow();
  const acts = useActs("health", again);
  const still = tasks.filter((task) => task.state === "suspended").length;
  const failed = tasks.some((task) => task.suspended_by === "failures");
  return (
    <Part id="tasks" title="Tasks" standing={{ tone: failed ? "bad" : still ? "busy" : "ok", text: still ? `${plural(still, "does", "do")} not run` : "all run by themselves" }}>
      <Outcome said={acts.said} />
      {tasks.length === 0 && <p className="empty">There is nothing to keep up to date.</p>}
      <ul className="rows">
        {tasks.map((task) => (
          <TaskRow key={task.name} task={task} now={now} acts={acts} />
        ))}
      </ul>
    </Part>
  );
}

function TaskRow({ task, now, acts }: { task: TaskReport; now: number; acts: Acts }) {
  const standing = standingOf(task);
  const isStill = task.state === "suspended";
  const path = `tasks/${encodeURIComponent(task.name)}`;
  const turn = isStill ? "resume" : "suspend";
  return (
    <li className="row">
      <div className="row-text">
        <p className="row-head">
          <Dot tone={standing.tone} />
          <span className="strong mono">{task.name}</span>
          <span className={standing.tone === "bad" ? "bad" : standing.tone === "busy" ? "" : "faint"}>{standing.text}</span>
        </p>
        <p className="faint">{task.meaning}</p>
        {task.last_error && task.failures_in_a_row > 0 && <p className="bad mono reason">{task.last_error}</p>}
        <p className="faint small">
          {task.last_completed ? (
            <Time at={task.last_completed}>{`ran ${ago(task.last_completed, now)}`}</Time>
          ) : task.schedule === "changes" ? "runs when something changes" : `runs by the clock: ${task.schedule}`}
          {task.runs_24h > 0 && ` · ${plural(task.runs_24h, "run")} in 24 h${task.failures_24h ? `, ${count(task.failures_24h)} failed` : ""}`}
          {task.average_ms_24h !== null && ` · ${duration(task.average_ms_24h)} each`}
        </p>
      </div>
      <div className="acts">
        <Act acts={acts} name={`${task.name} run`} title={`Run now: ${task.name}`} onAct={() => acts.act(`${task.name} run`, `${path}/run`, {}, toldOfRun)}>Run now</Act>
        <Act acts={acts} name={`${task.name} turn`} title={`${isStill ? "Resume" : "Suspend"} ${task.name}`}
          onAct={() => acts.act(`${task.name} turn`, `${path}/${turn}`, {}, () => done(isStill ? `${task.name} runs again when there is something to do.` : `${task.name} does not run until it is resumed.`))}>
          {isStill ? "Resume" : "Suspend"}
        </Act>
      </div>
    </li>
  );
}

function toldOfRun(outcome: ActOutcome): Said {
  const run = outcome as RunReport;
  if (run.error) return { text: `${run.task} failed: ${run.error}`, isBad: true };
  return done(`${run.task} changed ${plural(run.rows_changed, "row")} in ${duration(run.elapsed_ms)}.`);
}

// -- streams -------------------------------------------------------------------------------------------------------

function waitingOf(stream: StreamLag, task: TaskReport | undefined): Standing {
  if (!stream.pending) return { tone: "ok", text: "nothing waits" };
  const waits = `${plural(stream.pending, "change waits", "changes wait")}, the oldest ${duration(stream.lag_s * 1000)}`;
  if (task?.state === "suspended") return { tone: "busy", text: `${waits}: its task is suspended` };
  return { tone: stream.lag_s > LATE_S ? "busy" : "ok", text: waits };
}

function Streams({ streams, tasks, again }: { streams: StreamLag[]; tasks: TaskReport[]; again: () => void }) {
  const acts = useActs("health", again);
  const behind = streams.filter((stream) => stream.lag_s > LATE_S).length;
  return (
    <Part id="streams" title="Change streams" standing={{ tone: behind ? "busy" : "ok", text: behind ? `${count(behind)} behind` : "all keep up" }}>
      <Outcome said={acts.said} />
      {streams.length === 0 && <p className="empty">No task reads changes yet.</p>}
      <ul className="rows">
        {streams.map((stream) => {
          const task = tasks.find((each) => each.reads.includes(stream.name));
          const standing = waitingOf(stream, task);
          return (
            <li className="row" key={stream.name}>
              <div className="row-text">
                <p className="row-head">
                  <Dot tone={standing.tone} />
                  <span className="mono name">{stream.name}</span>
                </p>
                <p className={standing.tone === "ok" ? "faint" : ""}>{standing.text}</p>
                <p className="faint small">
                  {stream.reads}{task && <> → {task.name}</>}
                </p>
              </div>
              {task && standing.tone !== "ok" && (
                <div className="acts">
                  {task.state === "suspended" ? (
                    <Act acts={acts} name={stream.name} title={`Resume ${task.name}, which reads ${stream.name}`}
                      onAct={() => acts.act(stream.name, `tasks/${encodeURIComponent(task.name)}/resume`, {}, () => done(`${task.name} runs again.`))}>Resume</Act>
                  ) : (
                    <Act acts={acts} name={stream.name} title={`Run now: ${task.name}, which reads ${stream.name}`}
                      onAct={() => acts.act(stream.name, `tasks/${encodeURIComponent(task.name)}/run`, {}, toldOfRun)}>Run now</Act>
                  )}
                </div>
              )}
            </li>
          );
        })}
      </ul>
    </Part>
  );
}

// -- drift ---------------------------------------------------------------------------------------------------------

function Drift({ drift, again }: { drift: Health["drift"]; again: () => void }) {
  const now = useNow();
  const acts = useActs("health", again);
  const rows = drift.incidents.reduce((sum, one) => sum + one.quarantined, 0);
  const settled = drift.settled ? `${plural(drift.settled, "change")} of shape settled` : "every activity has the shape the catalog promises";
  const standing: Standing = drift.unsettled
    ? { tone: rows ? "bad" : "busy", text: `${count(drift.unsettled)} to decide${rows ? `, ${plural(rows, "row")} in quarantine` : ""}` }
    : { tone: "ok", text: "nothing to decide" };
  return (
    <Part id="drift" title="Drift and quarantine" standing={standing}>
      <Outcome said={acts.said} />
      {drift.unsettled === 0 ? (
        <p className="empty">Nothing needs you: {settled}.</p>
      ) : (
        <p className="hint">
          <b>Accept</b>: your catalog takes it from now on, and the rows that wait go in. <b>Release</b>: the rows that wait go in as they are, and your
          catalog stays.
        </p>
      )}
      <ul className="rows">
        {drift.incidents.map((one) => (
          <DriftRow key={one.id} one={one} now={now} acts={acts} />
        ))}
      </ul>
      <More shown={drift.incidents.length} total={drift.unsettled}>cdesk drift list</More>
    </Part>
  );
}

function DriftRow({ one, now, acts }: { one: Drifted; now: number; acts: Acts }) {
  const isFrozen = one.policy === "frozen";
  const settle = (act: "accept" | "release"): void =>
    acts.act(`${one.id} ${act}`, `drift/${encodeURIComponent(one.id)}/${act}`, {}, (outcome) => toldOfDrift(outcome as Settled, one, act));
  return (
    <li className="row">
      <div className="row-text">
        <p className="row-head">
          <Dot tone={one.quarantined ? "bad" : "busy"} />
          <span className="strong">{one.message}</span>
        </p>
        <p>{whereRows(one)}</p>
        <p className="faint small">
          seen {count(one.occurrences)}×, last <Time at={one.last_seen}>{ago(one.last_seen, now)}</Time>, first <Time at={one.first_seen}>{ago(one.first_seen, now)}</Time>
          {isFrozen && " · its family is frozen under [drift] in config.toml, so it cannot be accepted"}
        </p>
      </div>
      <div className="acts">
        <Act acts={acts} name={`${one.id} accept`} isOff={isFrozen} title={`Accept: ${one.message}`} onAct={() => settle("accept")}>Accept</Act>
        <Act acts={acts} name={`${one.id} release`} title={`Release: ${one.message}`} onAct={() => settle("release")}>Release</Act>
      </div>
    </li>
  );
}

function whereRows(one: Drifted): string {
  if (one.quarantined) return `${plural(one.quarantined, "row waits", "rows wait")} in quarantine`;
  return one.severity === "error" ? "no row waits for this alone" : "its rows are kept";
}

function toldOfDrift(settled: Settled, one: Drifted, act: "accept" | "release"): Said {
  const first = act === "accept" ? "Accepted: your catalog takes it from now on." : "Released: your catalog stays as it is.";
  const rows = settled.requeued ? ` ${plural(settled.requeued, "row")} went back into the queue.` : "";
  const left = settled.still_quarantined ? ` ${plural(settled.still_quarantined, "row")} of ${one.activity} still ${settled.still_quarantined === 1 ? "waits" : "wait"} for something else.` : "";
  return done(first + rows + left);
}

// -- dead letters --------------------------------------------------------------------------------------------------

function Dead({ dead, again }: { dead: Health["dead"]; again: () => void }) {
  const now = useNow();
  const acts = useActs("health", again);
  const all = dead.letters.length === dead.total ? { ids: dead.letters.map((letter) => letter.id) } : null;
  return (
    <Part
      id="dead"
      title="Dead letters"
      standing={dead.total ? { tone: "busy", text: `${plural(dead.total, "line")} set aside` } : { tone: "ok", text: "every line could be loaded" }}
      side={dead.total > 1 && (
        <div className="acts">
          <Act acts={acts} name="replay all" onAct={() => acts.act("replay all", "dead-letters/replay", all ?? {}, toldOfReplay)}>Replay all</Act>
          <Confirmed acts={acts} name="drop all" question={`Forget ${plural(dead.total, "line")} for good?`} yes="Drop them"
            onAct={() => acts.act("drop all", "dead-letters/drop", all ?? { all: true }, toldOfDrop)}>Drop all</Confirmed>
        </div>
      )}
    >
      <Outcome said={acts.said} />
      {dead.total === 0 ? (
        <p className="empty">Nothing needs you. A line that cannot be read is kept here with its reason.</p>
      ) : (
        <p className="hint">
          <b>Replay</b> gives a line another chance, after what was wrong is mended; what can be read is loaded once. <b>Drop</b> forgets it.
        </p>
      )}
      <ul className="rows">
        {dead.letters.map((letter) => (
          <LetterRow key={letter.id} letter={letter} now={now} acts={acts} />
        ))}
      </ul>
      <More shown={dead.letters.length} total={dead.total}>cdesk queue dead list</More>
    </Part>
  );
}

function LetterRow({ letter, now, acts }: { letter: SetAside; now: number; acts: Acts }) {
  const one = { ids: [letter.id] };
  const id = letter.id.slice(0, 8);
  return (
    <li className="row">
      <div className="row-text">
        <p className="row-head">
          <Dot tone="busy" />
          <span className="strong">{letter.reason}</span>
        </p>
        <p className="mono clip" title={letter.text}>{letter.text || "an empty line"}</p>
        <p className="faint small">
          {letter.source}, byte {count(letter.offset)} · {bytes(letter.size)} · seen {count(letter.count)}×, <Time at={letter.at}>{ago(letter.at, now)}</Time>
        </p>
      </div>
      <div className="acts">
        <Act acts={acts} name={`${letter.id} replay`} title={`Replay ${id}`} onAct={() => acts.act(`${letter.id} replay`, "dead-letters/replay", one, toldOfReplay)}>Replay</Act>
        <Confirmed acts={acts} name={`${letter.id} drop`} title={`Drop ${id}`} question="Forget it for good?" yes="Drop it"
          onAct={() => acts.act(`${letter.id} drop`, "dead-letters/drop", one, toldOfDrop)}>Drop</Confirmed>
      </div>
    </li>
  );
}

function toldOfReplay(outcome: ActOutcome): Said {
  const { asked, replayed, stays } = outcome as Replayed;
  const reasons = Object.values(stays);
  const went = `${count(replayed)} of ${plural(asked, "line")} went back into the queue.`;
  return reasons.length ? { text: `${went} ${reasons.length === 1 ? "One stays" : `${count(reasons.length)} stay`}: ${reasons[0]}`, isBad: replayed === 0 } : done(went);
}

function toldOfDrop(outcome: ActOutcome): Said {
  return done(`${plural((outcome as { dropped: number }).dropped, "line")} dropped.`);
}

function More({ shown, total, children }: { shown: number; total: number; children: string }) {
  if (shown >= total) return null;
  return (
    <footer className="card-foot">
      The first {count(shown)} of {count(total)}. All of them: <Command>{children}</Command>
    </footer>
  );
}

// -- queue ---------------------------------------------------------------------------------------------------------

const LEFT_OUT: Record<Status["queue"]["level"], string> = {
  normal: "Everything is taken as it comes.",
  elevated: "Long texts of hooks and telemetry are shortened. Transcripts tell them whole.",
  high: "Long texts are shortened, and most low-value facts are left out: heartbeats, notices, hooks that ran.",
  critical: "Long texts are shortened, and nearly all low-value facts are left out. When the budget is spent, facts are turned away.",
};

function queueStanding({ queue, lag_s }: Status, isRefusing: boolean): Standing {
  if (isRefusing) return { tone: "bad", text: "full" };
  if (queue.level !== "normal") return { tone: queue.level === "critical" ? "bad" : "busy", text: `pressed: ${queue.level}` };
  if (!queue.events) return { tone: "ok", text: "nothing waits" };
  return { tone: "ok", text: `${plural(queue.events, "activity waits", "activities wait")}, the oldest ${duration(lag_s * 1000)}` };
}

function Queue({ status, isRefusing }: { status: Status; isRefusing: boolean }) {
  const { queue } = status;
  const share = queue.bytes_max ? Math.min(queue.stored / queue.bytes_max, 1) : 0;
  const refused = Object.entries(queue.refused).filter(([, events]) => events > 0);
  const isPressed = queue.level !== "normal" || isRefusing;
  return (
    <Part id="queue" title="Queue" standing={queueStanding(status, isRefusing)}>
      <div className="part-body">
        <svg className={`fill ${isPressed ? "pressed" : ""}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
          <rect width={share * 100} height="6" />
        </svg>
        <dl className="pairs-list">
          <dt>On disk</dt>
          <dd>{bytes(queue.stored)} of {bytes(queue.bytes_max)}</dd>
          <dt>Waiting</dt>
          <dd>{queue.events ? `${compact(queue.events)} (${bytes(queue.bytes)})` : "nothing"}</dd>
          {queue.events > 0 && <><dt>Oldest</dt><dd>{duration(queue.oldest_age_s * 1000)}</dd></>}
          {queue.counted && <><dt>Since the start</dt><dd>{compact(queue.counted.acknowledged)} taken, {compact(queue.counted.delivered)} delivered</dd></>}
          {queue.counted && (queue.counted.shrunk > 0 || queue.counted.sampled > 0) && (
            <><dt>Under pressure</dt><dd>{count(queue.counted.shrunk)} shortened, {count(queue.counted.sampled)} left out</dd></>
          )}
        </dl>
        <p className={isPressed ? "" : "faint"}>{LEFT_OUT[queue.level]}</p>
        {refused.length > 0 && (
          <p className={isRefusing ? "bad" : "faint"}>
            {isRefusing ? "Turned away" : "Turned away in the past"}: {refused.map(([source, events]) => `${plural(events, "event")} of ${source}`).join(", ")}.
            Transcripts repair what they know of.
          </p>
        )}
        {isPressed && (
          <p>
            <b>What helps:</b> it recovers by itself as the warehouse catches up. If it does not, <Command>cdesk doctor</Command> says what holds it;
            free disk space, or raise <span className="mono">bytes_max</span> under <span className="mono">[queue]</span> in config.toml and restart.
          </p>
        )}
        {!isPressed && status.lag_s > 10 && queue.events > 0 && (
          <p>
            <b>What helps:</b> nothing is lost, it waits on disk. If it stays, <Command>cdesk doctor</Command> says what holds the warehouse; else restart:{" "}
            <Command>cdesk down</Command>, <Command>cdesk up</Command>.
          </p>
        )}
        {queue.recovery && (queue.recovery.killed_pid !== null || queue.recovery.torn > 0) && (
          <p className="faint">
            The process before this one did not end well. On start {plural(queue.recovery.segments, "segment")} {queue.recovery.segments === 1 ? "was" : "were"} found again
            ({bytes(queue.recovery.bytes)}){queue.recovery.torn ? `; ${plural(queue.recovery.torn, "half line")}, never acknowledged, went` : ""}. Nothing to do.
          </p>
        )}
      </div>
    </Part>
  );
}

// -- identities ----------------------------------------------------------------------------------------------------

function Identities({ known }: { known: Health["identities"] }) {
  const now = useNow();
  const standing: Standing = known.unfinished ? { tone: "busy", text: "rows are being rewritten" } : { tone: "ok", text: known.standing ? `${plural(known.standing, "operation")} in force` : "as told" };
  return (
    <Part id="identities" title="Identities" standing={standing}>
      <div className="part-body">
        {known.latest_at ? (
          <p className="faint">
            The latest was said <Time at={known.latest_at}>{ago(known.latest_at, now)}</Time>{known.undone ? `; ${count(known.undone)} taken back` : ""}. See and
            undo them: <Command>cdesk identity list</Command>
          </p>
        ) : (
          <p className="faint">
            Every fact is shown under the customer it was told with. To link, rename or remove one: <Command>cdesk identity --help</Command>
          </p>
        )}
      </div>
    </Part>
  );
}

/** The sign on other pages that something waits here. */
export function NeedsLink({ needs }: { needs: Need[] }) {
  if (!needs.length) return null;
  return (
    <Link href="/health" className={`verdict needs-link ${toneOf(needs)}`}>
      {needing(needs)}
    </Link>
  );
}
