// What cdesk itself costs: processor and disk of this machine, and credits in Snowflake. What Claude costs is on the first page.

import { useMemo, type ReactNode } from "react";
import type { BudgetStanding, Cost, CostRow, CreditRow, Flow, TeamCost } from "./api";
import { useAnswer, useNow, usePulse } from "./data";
import { ago, bucket, bytes, count, dollars, percent, plural } from "./format";
import { Command, Segmented, Time, Trouble, Waiting } from "./parts";
import { Plot, sum, type PlotSeries } from "./plot";
import { useChoice, useTitle } from "./route";

const RANGES = [["7", "7 days"], ["30", "30 days"], ["90", "90 days"]] as const;
const BYS = [["workload", "Workloads"], ["tag", "Dearest"]] as const;
const PULSE_MS = 30_000;

const WORKLOADS: Record<string, string> = {
  ingest: "activities into the warehouse",
  tasks: "derived tables and contexts",
  interactive: "questions somebody waits for",
  batch: "tickets",
  service: "hooks taken in, the page, all else",
  serverless: "clustering and search optimization",
};
const SWATCHES: Record<string, string> = { ingest: "s0", tasks: "s1", interactive: "s2", batch: "s3", serverless: "s4", service: "others" };
const ORDER = Object.keys(WORKLOADS);

export function CostPage({ flow }: { flow: Flow | null }) {
  const [days, setDays] = useChoice("days", "7");
  const [by, setBy] = useChoice("by", "workload");
  const asked = useAnswer<Cost>("cost", { days, by });
  useTitle("Cost");
  usePulse(asked.again, PULSE_MS);
  const cost = asked.data;
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Cost</h1>
        <span className="faint">of cdesk itself; what Claude costs is on the overview</span>
        <span className="gap" />
        <Segmented label="Rows" choices={BYS} value={by} onChange={setBy} />
        <Segmented label="Days shown" choices={RANGES} value={days} onChange={setDays} />
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={asked.again} />}
      {!cost && !asked.error && <Waiting />}
      {cost && (
        <div className="stack">
          <Team team={cost.snowflake} cost={cost} budget={flow?.status.budget ?? cost.snowflake?.budget ?? null} />
          <Machine cost={cost} />
        </div>
      )}
    </>
  );
}

/** Every day from the first to the last, also those without a row. */
function daysOf({ since, until }: Cost): string[] {
  const days: string[] = [];
  for (let at = Date.parse(since); at <= Date.parse(until); at += 86_400_000) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}

function seriesOf<Row extends { day: string; workload: string }>(rows: Row[], days: string[], amount: (row: Row) => number): PlotSeries[] {
  const known = [...new Set(rows.map((row) => row.workload))].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
  return known.map((workload) => ({
    name: workload,
    swatch: SWATCHES[workload] ?? "s5",
    values: days.map((day) => sum(rows.filter((row) => row.day === day && row.workload === workload).map(amount))),
  }));
}

// -- this machine --------------------------------------------------------------------------------------------------

const seconds = (value: number): string => (value >= 100 ? `${count(value)} s` : `${value.toFixed(value >= 10 ? 1 : 2)} s`);
const disk = (value: number | null): string => (value === null ? "–" : bytes(value));
const all = (values: (number | null)[]): number | null => (values.some((value) => value !== null) ? sum(values) : null);

function Machine({ cost }: { cost: Cost }) {
  const days = useMemo(() => daysOf(cost), [cost]);
  const series = useMemo(() => seriesOf(cost.embedded, days, (row: CostRow) => row.cpu_s), [cost, days]);
  const names = useMemo(() => days.map((day) => bucket(day, false)), [days]);
  const longNames = useMemo(() => days.map((day) => bucket(day, true)), [days]);
  const total = sum(cost.embedded.map((row) => row.cpu_s));
  if (cost.embedded.length === 0) {
    return (
      <Section title="This machine" told="nothing yet">
        <p className="empty">
          Nothing was {cost.by === "tag" ? "asked or run" : "done"} in these days. <Command>cdesk up</Command> follows what Claude does, and this page what that takes.
        </p>
      </Section>
    );
  }
  return (
    <Section title="This machine" told={`${seconds(total)} of processor in ${plural(days.length, "day")}`}>
      {cost.by === "workload" ? (
        <>
          <Plot kind="bars" names={names} longNames={longNames} series={series} amount={seconds} label={`Seconds of processor by day: ${seconds(total)} in all`} />
          <Table caption="By workload" head={["Workload", "Processor", "Share", "Runs", "Read", "Written"]}
            rows={series.map(({ name, swatch, values }) => {
              const rows = cost.embedded.filter((row) => row.workload === name);
              return {
                key: name,
                cells: [
                  <Name name={name} swatch={swatch} />, seconds(sum(values)), percent(total ? sum(values) / total : null),
                  count(sum(rows.map((row) => row.runs))), disk(all(rows.map((row) => row.bytes_read))), disk(all(rows.map((row) => row.bytes_written))),
                ],
              };
            })} />
        </>
      ) : (
        <Table caption="What took most of each day" head={["Day", "What", "Processor", "Runs", "Read", "Written"]}
          rows={[...cost.embedded].reverse().sort((a, b) => (a.day === b.day ? b.cpu_s - a.cpu_s : a.day < b.day ? 1 : -1)).map((row) => ({
            key: `${row.day} ${row.workload} ${row.tag}`,
            cells: [bucket(row.day, false), <Tag row={row} />, seconds(row.cpu_s), count(row.runs), disk(row.bytes_read), disk(row.bytes_written)],
          }))} />
      )}
      <p className="hint">
        Seconds of processor as the system counts them, DuckDB's threads with them; bytes that came from the disk and went to it. Days are UTC.
      </p>
    </Section>
  );
}

// -- Snowflake -----------------------------------------------------------------------------------------------------

function Team({ team, cost, budget }: { team: TeamCost | null; cost: Cost; budget: BudgetStanding | null }) {
  const now = useNow();
  const days = useMemo(() => daysOf(cost), [cost]);
  const series = useMemo(() => seriesOf(team?.rows ?? [], days, (row: CreditRow) => row.usd), [team, days]);
  const names = useMemo(() => days.map((day) => bucket(day, false)), [days]);
  const longNames = useMemo(() => days.map((day) => bucket(day, true)), [days]);
  if (team === null) {
    return (
      <Section title="Snowflake" told="none is set">
        <p className="empty">
          Your activities stay on this machine. For a team's warehouse, name one under <Command>[snowflake]</Command> in <Command>config.toml</Command>, and its credits stand here.
        </p>
      </Section>
    );
  }
  const total = sum(team.rows.map((row) => row.usd));
  const estimated = sum(team.rows.map((row) => row.credits_estimated));
  return (
    <Section title="Snowflake" told={team.rows.length ? `${dollars(total)} in ${plural(days.length, "day")}` : "nothing is told yet"}>
      {budget && <Budget budget={budget} now={now} />}
      {team.trouble && <p className="bad reason" role="alert">Snowflake cannot be asked what it costs now: {team.trouble}</p>}
      {!team.rows.length && !team.trouble && (
        <p className="empty">Snowflake's meters tell of nothing in these days. They are up to three hours late, by query tag up to eight.</p>
      )}
      {team.rows.length > 0 && cost.by === "workload" && (
        <>
          <Plot kind="bars" names={names} longNames={longNames} series={series} amount={dollars} label={`US dollars by day: ${dollars(total)} in all`} />
          <Table caption="By workload" head={["Workload", "Cost", "Share", "Credits"]}
            rows={series.map(({ name, swatch, values }) => ({
              key: name,
              cells: [
                <Name name={name} swatch={swatch} />, dollars(sum(values)), percent(total ? sum(values) / total : null),
                sum(team.rows.filter((row) => row.workload === name).map((row) => row.credits)).toFixed(2),
              ],
            }))} />
        </>
      )}
      {team.rows.length > 0 && cost.by === "tag" && (
        <Table caption="What took most of each day" head={["Day", "What", "Cost", "Statements", "Credits"]}
          rows={[...team.rows].sort((a, b) => (a.day === b.day ? b.usd - a.usd : a.day < b.day ? 1 : -1)).map((row) => ({
            key: `${row.day} ${row.workload} ${row.tag}`,
            cells: [bucket(row.day, false), <Tag row={row} />, dollars(row.usd), count(row.statements ?? 0), row.credits.toFixed(3)],
          }))} />
      )}
      <p className="hint">
        Snowflake's own meters, at {dollars(team.usd_per_credit)} a credit
        {cost.by === "tag" && "; what statements took while they ran, up to eight hours late, so less than the warehouses cost"}
        {estimated > 0 && `; ${estimated.toFixed(2)} credits are estimated, as the meters do not tell them yet`}
        {team.as_of && <>; asked <Time at={team.as_of}>{ago(team.as_of, now)}</Time></>}.
      </p>
    </Section>
  );
}

const LEVELS: Record<BudgetStanding["level"], string> = {
  ok: "within the budget",
  soft: "most of the budget is spent",
  hard: "the budget is spent: loading pauses until the day (UTC) is over or budget_usd_per_day is raised; the queue holds everything",
};

function Budget({ budget, now }: { budget: BudgetStanding; now: number }) {
  if (budget.budget_usd === null) return <p>{dollars(budget.usd)} today. No budget is set.</p>;
  const share = Math.min(budget.usd / budget.budget_usd, 1);
  const tone = budget.level === "hard" ? "bad" : budget.level === "soft" ? "busy" : "ok";
  return (
    <div className="budget" role={budget.level === "ok" ? undefined : "alert"}>
      <p>
        <strong className={tone === "bad" ? "bad" : undefined}>{dollars(budget.usd)} of {dollars(budget.budget_usd)}</strong> today, {LEVELS[budget.level]}
        {budget.estimated_usd > 0 && <span className="faint"> · {dollars(budget.estimated_usd)} of it estimated</span>}
        <span className="faint"> · as of <Time at={budget.as_of}>{ago(budget.as_of, now)}</Time></span>
      </p>
      <svg className={`meter ${tone}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect className="room" width="100" height="6" />
        <rect className="spent" width={share * 100} height="6" />
        {budget.soft_usd !== null && <rect className="soft" x={(budget.soft_usd / budget.budget_usd) * 100} width="0.4" height="6" />}
      </svg>
    </div>
  );
}

// -- pieces --------------------------------------------------------------------------------------------------------

function Section({ title, told, children }: { title: string; told: string; children: ReactNode }) {
  return (
    <section className="card cost" aria-label={title}>
      <div className="card-head">
        <h2>{title}</h2>
        <span className="faint">{told}</span>
      </div>
      {children}
    </section>
  );
}

function Name({ name, swatch }: { name: string; swatch: string }) {
  return (
    <>
      <span className={`swatch ${swatch}`} aria-hidden="true" /> <span className="strong">{name}</span> <span className="faint">{WORKLOADS[name] ?? ""}</span>
    </>
  );
}

function Tag({ row }: { row: { workload: string; tag: string | null } }) {
  return (
    <>
      <span className="mono">{row.tag ?? ""}</span> <span className="faint">{row.workload}</span>
    </>
  );
}

/** The first column is what a row is about, or the first two where days stand first; the others are numbers. */
function Table({ caption, head, rows }: { caption: string; head: string[]; rows: { key: string; cells: ReactNode[] }[] }) {
  const texts = head[0] === "Day" ? 2 : 1;
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <thead>
          <tr>
            {head.map((name, i) => (
              <th key={name} scope="col" className={i < texts ? undefined : "num"}>{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, cells }) => (
            <tr key={key}>
              {cells.map((cell, i) => (
                <td key={i} className={i >= texts ? "num" : i === texts - 1 ? "what" : "nowrap"}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
