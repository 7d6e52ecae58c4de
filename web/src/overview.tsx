// The first page: is it flowing, the five figures, the chart, who is at work, what failed last.

import { useEffect, useRef, useState, type ReactNode } from "react";
import type { Failure, Figure, Flow, Need, Overview, Session, Source, Status, Whole } from "./api";
import { TIMEZONE } from "./api";
import { ChartCard } from "./chart";
import { useAnswer, useNow, useSettled } from "./data";
import { ago, basename, bytes, compact, cost, count, dollars, duration, full, model, percent, plural } from "./format";
import { NeedsLink } from "./health";
import { Command, Segmented, Spark, StateDot, Time, Trouble, Waiting } from "./parts";
import { Link, sessionAddress, useChoice, useTitle } from "./route";

const REFRESH_MS = 5_000;
const RANGES = [["1", "Today"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"]] as const;

export function OverviewPage({ flow }: { flow: Flow | null }) {
  const [days, setDays] = useChoice("days", "7");
  const [by] = useChoice("by", "model");
  const [grain] = useChoice("grain", Number(days) === 1 ? "hour" : "day");
  const hourly = Number(days) <= 7 ? grain : "day";
  const asked = useAnswer<Whole>("overview", { days, by, grain: hourly, tz: TIMEZONE });
  useTitle("");
  useSettled(flow?.status.warehouse.activities ?? null, asked.again, REFRESH_MS);

  const whole = asked.data;
  const now = flow ?? whole?.flow ?? null;
  const isEmpty = whole !== null && whole.overview.activities === 0 && !now?.sessions.length;
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1} className="unseen">Overview</h1>
        {now && <FlowLine status={now.status} needs={now.needs} sources={whole?.overview.sources ?? []} />}
        <span className="gap" />
        <Segmented label="Days shown" choices={RANGES} value={days} onChange={setDays} />
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={asked.again} />}
      {!whole && !asked.error && <Waiting />}
      {whole && isEmpty && <Nothing status={now?.status ?? null} />}
      {whole && !isEmpty && (
        <>
          <Tiles overview={whole.overview} status={now?.status ?? whole.flow.status} />
          <div className="columns">
            <div className="column">
              <ChartCard overview={whole.overview} isStale={asked.isLoading && whole.overview.by !== by} />
              <LatestFailures failures={whole.overview.latest_failures} />
            </div>
            <div className="column">
              <LiveSessions sessions={now?.sessions ?? []} />
            </div>
          </div>
        </>
      )}
    </>
  );
}

// -- is it flowing -------------------------------------------------------------------------------------------------

const LATE_S = 10;

function verdict(status: Status): { tone: "ok" | "busy" | "bad"; text: string } {
  const { queue, backfill } = status;
  if (backfill && !backfill.done) {
    const share = backfill.bytes_total ? backfill.bytes / backfill.bytes_total : 0;
    return { tone: "busy", text: `Reading your history, ${percent(share)}` };
  }
  if (queue.events && status.lag_s > LATE_S) return { tone: "bad", text: `The warehouse is ${duration(status.lag_s * 1000)} behind` };
  if (queue.events) return { tone: "ok", text: "Flowing" };
  return { tone: "ok", text: "Flowing, nothing waits" };
}

function FlowLine({ status, needs, sources }: { status: Status; needs: Need[]; sources: Source[] }) {
  const now = useNow();
  const { tone, text } = verdict(status);
  const asOf = status.warehouse.data_as_of;
  return (
    <section className="flow" aria-label="Is it flowing">
      <strong className={`verdict ${tone}`}>
        <Link href="/health" title="How everything feels, and what to do">{text}</Link>
      </strong>
      <NeedsLink needs={needs} />
      {asOf && (
        <span>
          <span className="faint">data as of</span> <Time at={asOf}>{ago(asOf, now)}</Time>
        </span>
      )}
      {status.queue.events > 0 && (
        <span>
          <span className="faint">queue</span> {compact(status.queue.events)} ({bytes(status.queue.bytes)})
        </span>
      )}
      {sources.map((source) => (
        <span key={source.source} title={sourceTitle(source)}>
          <span className="faint">{source.source}</span>{" "}
          {source.facts ? share(source.seen ?? 0, source.facts) : compact(source.activities)}
        </span>
      ))}
    </section>
  );
}

/** 100 % only when nothing is missing. */
function share(seen: number, facts: number): string {
  return seen === facts ? "100 %" : percent(Math.min(seen / facts, 0.999), 1);
}

function sourceTitle({ source, activities, newest, facts, seen, repaired }: Source): string {
  const parts = [
    facts === null ? null : `${source} saw ${count(seen ?? 0)} of ${count(facts)} facts it can see`,
    repaired ? `${count(repaired)} were repaired from the transcript` : null,
    `${plural(activities, "activity", "activities")} in these days`,
    newest ? `newest ${full(newest)}` : null,
  ];
  return parts.filter(Boolean).join("; ");
}

// -- tiles ---------------------------------------------------------------------------------------------------------

function Tiles({ overview, status }: { overview: Overview; status: Status }) {
  const { spend, tokens, sessions, failures, period } = overview;
  const perSession = spend.value !== null && sessions.value ? spend.value / sessions.value : null;
  return (
    <section className="tiles" aria-label={`Figures, ${period.days === 1 ? "today" : `last ${period.days} days`}`}>
      <Tile name="Spend" value={cost(spend.value, spend.unpriced)} spark={spend.spark}
        more={spend.unpriced ? `${plural(spend.unpriced, "answer")} unpriced` : perSession === null ? "" : `${dollars(perSession)} a session`}>
        <Usual figure={spend} show={dollars} period={period} />
      </Tile>
      <Tile name="Tokens" value={compact(tokens.value ?? 0)} spark={tokens.spark} more={exact(tokens.value)}>
        <Usual figure={tokens} show={compact} period={period} />
      </Tile>
      <Tile name="Sessions" value={compact(sessions.value ?? 0)} spark={sessions.spark} more={`${compact(overview.activities)} activities kept`}>
        <Usual figure={sessions} show={(value) => (value < 10 ? value.toFixed(1) : compact(value))} period={period} />
      </Tile>
      <Tile name="Tool failures" value={percent(failures.rate, 1)} spark={failures.spark} tone="bad"
        more={`${count(failures.failed)} of ${compact(failures.calls)} calls`}>
        <Usual figure={{ value: failures.rate, baseline: failures.baseline, spark: [], unpriced: 0 }} show={(value) => percent(value, 1)} period={period} isBadUp />
      </Tile>
      <Tile name="Queue" value={count(status.queue.events)} spark={[]}
        more={status.queue.dead_letters ? `${plural(status.queue.dead_letters, "line")} set aside` : "nothing set aside"}>
        <span className="usual">
          {status.queue.events ? `oldest waits ${duration(status.lag_s * 1000)}` : "all in the warehouse"} <span className="faint">usual 0</span>
        </span>
      </Tile>
    </section>
  );
}

const exact = (value: number | null): string => (value !== null && value >= 10_000 ? count(value) : "");

function Tile({ name, value, more, spark, tone, children }: {
  name: string; value: string; more: string; spark: number[]; tone?: "bad"; children: ReactNode;
}) {
  return (
    <div className="card tile">
      <h2>{name}</h2>
      <p className="value">{value}</p>
      {children}
      <p className="more">{more}</p>
      <Spark values={spark} tone={tone ?? "plain"} />
    </div>
  );
}

function Usual({ figure, show, period, isBadUp = false }: {
  figure: Figure; show: (value: number) => string; period: Overview["period"]; isBadUp?: boolean;
}) {
  const { value, baseline } = figure;
  if (baseline === null || value === null) return <span className="usual faint">no earlier days to compare with</span>;
  const before = `mean of ${period.compared_with === 1 ? "the period" : `the ${period.compared_with} periods`} before, up to the same time of day`;
  const change = baseline ? value / baseline - 1 : null;
  const tone = isBadUp && change !== null && Math.abs(change) >= 0.1 ? (change > 0 ? "worse" : "better") : "";
  return (
    <span className="usual" title={before}>
      {change !== null && (
        <span className={`change ${tone}`}>
          {Math.abs(change) < 0.005 ? "=" : change > 0 ? "▲" : "▼"} {change > 9 ? `×${Math.round(change + 1)}` : `${Math.abs(change * 100).toFixed(0)} %`}
        </span>
      )}{" "}
      <span className="faint">vs usual {show(baseline)}</span>
    </span>
  );
}

// -- live ----------------------------------------------------------------------------------------------------------

function LiveSessions({ sessions }: { sessions: Session[] }) {
  const now = useNow();
  const live = sessions.filter((session) => session.state === "working" || session.state === "waiting");
  const news = usePolite(live.length ? `${plural(live.length, "session")} live` : "no session is live");
  return (
    <section className="card" aria-labelledby="live-title">
      <header className="card-head">
        <h2 id="live-title">Sessions now</h2>
        <span className="gap" />
        <span className="faint">{live.length ? `${live.length} live` : "none live"}</span>
      </header>
      <p className="unseen" aria-live="polite">{news}</p>
      {!live.length && (
        <p className="hint">
          Start <Command>claude</Command> in a project; it shows here as it works.
        </p>
      )}
      {sessions.length > 0 && (
        <ul className="live-list">
          {sessions.map((session) => (
            <li key={session.id}>
              <Link href={sessionAddress(session.id)} className={`live-row ${session.state}`}>
                <StateDot state={session.state} />
                <span className="live-text">
                  <span className="live-head">
                    <span className="strong">{basename(session.project)}</span>
                    <span className="faint clip">{session.title ?? session.prompt ?? ""}</span>
                  </span>
                  <span className="doing clip">{session.doing ?? plural(session.activities, "activity", "activities")}</span>
                </span>
                <span className="live-side num">
                  <span>{cost(session.cost, session.unpriced)}</span>
                  <Time at={session.ended_at}>
                    <span className="faint">{ago(session.ended_at, now)}</span>
                  </Time>
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
      <footer className="card-foot">
        <Link href="/sessions">All sessions</Link>
      </footer>
    </section>
  );
}

/** Said aloud when it changed, but not more often than every ten seconds. */
function usePolite(text: string): string {
  const [said, setSaid] = useState("");
  const at = useRef(0);
  useEffect(() => {
    const timer = setTimeout(() => {
      at.current = Date.now();
      setSaid(text);
    }, Math.max(1_000, 10_000 - (Date.now() - at.current)));
    return () => clearTimeout(timer);
  }, [text]);
  return said;
}

// -- failures ------------------------------------------------------------------------------------------------------

function LatestFailures({ failures }: { failures: Failure[] }) {
  const now = useNow();
  return (
    <section className="card" aria-labelledby="failures-title">
      <header className="card-head">
        <h2 id="failures-title">Latest failures</h2>
      </header>
      {failures.length === 0 ? (
        <p className="empty">No tool call or request has failed.</p>
      ) : (
        <ul className="failures">
          {failures.map((failure) => (
            <li key={failure.id}>
              <Row failure={failure}>
                <span className="tag">{failure.source === "api" ? apiName(failure) : (failure.what ?? "tool")}</span>
                <span className="message clip">{plainly(failure.message) ?? failure.error_type ?? "failed without a message"}</span>
                <span className="faint clip project">{basename(failure.project)}</span>
                <Time at={failure.ts}>
                  <span className="faint num">{ago(failure.ts, now)}</span>
                </Time>
              </Row>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

const apiName = (failure: Failure): string => (failure.what ? `API · ${model(failure.what)}` : "API");

/** The API answers in JSON; a person wants what it says in it. */
function plainly(message: string | null): string | null {
  const start = message?.indexOf("{") ?? -1;
  if (message === null || start < 0) return message;
  try {
    const told = JSON.parse(message.slice(start)) as { error?: { type?: unknown; message?: unknown } };
    const said = [told.error?.type, told.error?.message].filter((part) => typeof part === "string");
    return said.length ? `${message.slice(0, start)}${said.join(": ")}` : message;
  } catch {
    return message;
  }
}

function Row({ failure, children }: { failure: Failure; children: ReactNode }) {
  if (failure.session === null) return <div className="failure">{children}</div>;
  return (
    <Link className="failure" href={`${sessionAddress(failure.session)}#${failure.id}`} title={failure.message ?? undefined}>
      {children}
    </Link>
  );
}

// -- nothing yet ---------------------------------------------------------------------------------------------------

function Nothing({ status }: { status: Status | null }) {
  return (
    <section className="card notice">
      <h2>Nothing is recorded yet</h2>
      <p>
        {status?.backfill && !status.backfill.done
          ? "Your history is being read; the first figures appear in a moment."
          : "No Claude Code history was found on this machine. Three ways to begin:"}
      </p>
      <dl className="steps">
        <dt><Command>claude</Command></dt>
        <dd>Work as always. What happens shows here within a second or two.</dd>
        <dt><Command>cdesk import --claude-dir DIR</Command></dt>
        <dd>Read transcripts that are kept somewhere else.</dd>
        <dt><Command>cdesk up --sample</Command></dt>
        <dd>Look around with sample data, kept apart from yours.</dd>
      </dl>
      <p className="faint">
        Something should be here? <Command>cdesk doctor</Command> checks and says what to do.
      </p>
    </section>
  );
}
