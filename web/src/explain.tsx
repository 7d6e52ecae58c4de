// What stands behind a citation: an activity where it happened, an insight, or a question with its SQL, values and cost.

import { useEffect, type FormEvent } from "react";
import { Part } from "./acts";
import type { Source, Value } from "./api";
import { Cited, Facts, InsightSource, shown } from "./context";
import { useAnswer, useNow } from "./data";
import { ago, bytes, count, dollars, duration, full, plural } from "./format";
import { Command, Copy, Trouble, Waiting } from "./parts";
import { Parameters } from "./questions";
import { artifactAddress, explainAddress, go, Link, questionAddress, sessionAddress, useAddress, useTitle } from "./route";
import { number, text } from "./story";

const ACTIVITIES_SHOWN = 50;
const ACTIVITIES_MAX = 1_000;
const TITLES: Record<string, string> = { activity: "An activity", atom: "An insight", cdesk: "An answer" };

/** An activity of a session is shown where it happened, an artifact on its own page. */
export function ExplainPage() {
  const { query } = useAddress();
  const citation = (query.get("cite") ?? "").trim();
  return citation ? <Explained key={citation} citation={citation} row={query.get("row")} column={query.get("column")} /> : <LookUp />;
}

function LookUp() {
  useTitle("Where it comes from");
  function look(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    go(explainAddress(String(new FormData(event.currentTarget).get("cite")).trim()));
  }
  return (
    <>
      <div className="page-head"><h1 tabIndex={-1}>Where it comes from</h1></div>
      <form className="card ask-form" aria-label="A citation" onSubmit={look}>
        <div className="field-box broad">
          <label htmlFor="cite">Citation</label>
          <input id="cite" name="cite" className="field" required maxLength={200} placeholder="cdesk:…, activity:… or atom:…" spellCheck={false} />
          <span className="faint small">It stands beside every figure and line that cdesk gives, and in what Claude says of them.</span>
        </div>
        <button type="submit" className="button primary">Explain</button>
      </form>
    </>
  );
}

function Explained({ citation, row, column }: { citation: string; row: string | null; column: string | null }) {
  const asked = useAnswer<Source>("context/source", { citation, row, column });
  const found = asked.data;
  const said = found?.explanation.said;
  const session = found?.explanation.is_a === "activity" ? text(said?.session) : null;
  const activity = text(said?.activity_id);
  const title = found?.insight?.insight.statement ?? (text(said?.question)?.replaceAll("_", " ") || TITLES[citation.split(":", 1)[0]!]) ?? "Source";
  useTitle(title);
  const artifact = found?.explanation.is_a === "artifact" ? text(said?.artifact_id) : null;
  const elsewhere = session ? `${sessionAddress(session)}#${activity ?? ""}` : artifact && artifactAddress(artifact);
  useEffect(() => {
    if (elsewhere) go(elsewhere, true);
  }, [elsewhere]);
  return (
    <>
      <div className="session-head">
        <p className="crumbs">
          <Link href="/explain">Where it comes from</Link>
          <span aria-hidden="true"> / </span>
          <span className="mono">{citation}</span>
        </p>
        <h1 tabIndex={-1} className="sentence">{title}</h1>
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={asked.again} />}
      {(!found || elsewhere) && !asked.error && <Waiting />}
      {found && !elsewhere && (found.insight ? <InsightSource found={found.insight} again={asked.again} /> : found.explanation.is_a === "query" ? <Query found={found} /> : <Recorded found={found} />)}
    </>
  );
}

/** A run of the log, and what it answered. */
function Query({ found: { explanation } }: { found: Source }) {
  const now = useNow();
  const { said, comes_from, cell, citation } = explanation;
  const [sql, question, failure] = [text(said.query_text), text(said.question), text(said.error_message)];
  const kept = Array.isArray(said.artifacts) ? said.artifacts.map(String) : [];
  const given = said.parameters !== undefined && said.parameters !== null && typeof said.parameters === "object" && !Array.isArray(said.parameters) ? said.parameters : {};
  const [began, asOf] = [text(said.start_time), text(said.data_as_of)];
  const [took, read, rows, credits] = [number(said.elapsed_ms), number(said.bytes_scanned), number(said.rows_produced), number(said.credits)];
  const facts: [string, string | null][] = [
    ["Who asked", text(said.asked_by)], ["As", text(said.role)], ["When", began && `${full(began)}, ${ago(began, now)}`], ["Data as of", asOf && full(asOf)],
    ["Data version", text(said.data_version)], ["Rows", rows === null ? null : count(rows)], ["Took", took === null ? null : duration(took)],
    ["Read", read === null ? null : `about ${bytes(read)}`], ["Credits", credits === null ? null : credits === 0 ? "none" : dollars(credits).replace("$", "")],
    ["It went", failure ?? text(said.execution_status)?.toLowerCase() ?? null],
  ];
  return (
    <div className="columns">
      <div className="column">
        {cell && <Behind cell={cell} citation={citation} />}
        {sql && (
          <Part id="sql" title="SQL" standing={{ tone: failure ? "bad" : "idle", text: question ? "as its question has it; every value is bound" : "as it was run" }} side={<Copy text={sql} name="SQL">Copy</Copy>}>
            <div className="part-body source-body"><pre tabIndex={0} aria-label="The SQL">{sql}</pre></div>
          </Part>
        )}
        {comes_from.length > 0 && !cell && (
          <Part id="rests" title="What it rests on" standing={{ tone: "idle", text: plural(comes_from.length, "source") }}>
            <div className="part-body"><Cited sources={comes_from} /></div>
          </Part>
        )}
      </div>
      <div className="column">
        <Part id="asked" title="What was asked" standing={{ tone: "idle", text: question ? `version ${number(said.question_version) ?? 1}` : "SQL of somebody's own" }}>
          <div className="part-body">
            {question ? <p><Link href={questionAddress(question, Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)))} className="link">Ask it again</Link></p> : <p className="faint">Ask it yourself: <Command>cdesk sql</Command></p>}
            {Object.keys(given).length > 0 && <Parameters given={given} />}
            {kept.map((each) => <p key={each}><Link href={artifactAddress(each.replace(/^artifact:/, ""))} className="link">The whole answer</Link>, kept as an artifact</p>)}
          </div>
        </Part>
        <Part id="record" title="On record" standing={{ tone: failure ? "bad" : "ok", text: failure ? "it failed" : began ? ago(began, now) : "answered" }}
          side={<Copy text={citation} name={`Citation ${citation}`}>Copy citation</Copy>}>
          <div className="part-body"><Facts facts={facts} /></div>
        </Part>
      </div>
    </div>
  );
}

function Behind({ cell, citation }: { cell: NonNullable<Source["explanation"]["cell"]>; citation: string }) {
  const { activities } = cell;
  return (
    <Part id="cell" title={`Behind ${cell.column.replaceAll("_", " ")}, row ${cell.row}`} standing={{ tone: activities.length ? "ok" : "idle", text: activities.length ? plural(activities.length, "activity", "activities") : "no activity is left" }}>
      <div className="part-body">
        <dl className="pairs-list left">
          {Object.entries(cell.says).map(([name, value]) => (
            <div key={name} className={`pair ${name === cell.column ? "strong" : ""}`}>
              <dt>{name.replaceAll("_", " ")}</dt>
              <dd>{typeof value === "number" && name !== cell.column ? <Link href={`${explainAddress(citation)}&row=${cell.row}&column=${encodeURIComponent(name)}`} className="link">{shown(value)}</Link> : value === null ? "–" : shown(value)}</dd>
            </div>
          ))}
        </dl>
        <ul className="id-list">
          {activities.slice(0, ACTIVITIES_SHOWN).map((id) => (
            <li key={id}><Link href={explainAddress(`activity:${id}`)} className="link mono" aria-label={`Activity ${id}`} title={id}>{id.slice(0, 8)}</Link></li>
          ))}
        </ul>
        {activities.length > ACTIVITIES_SHOWN && <p className="faint">The latest {ACTIVITIES_SHOWN}; there are {count(activities.length)}{activities.length >= ACTIVITIES_MAX ? " or more" : ""}.</p>}
      </div>
    </Part>
  );
}

/** An activity outside of sessions. */
function Recorded({ found: { explanation: { said, comes_from } } }: { found: Source }) {
  const facts = Object.entries(said).filter(([, value]) => value !== null).map(([name, value]): [string, string] => [name.replaceAll("_", " "), shown(value as Value)]);
  return (
    <section className="card part" aria-label="On record">
      <div className="part-body source-body">
        <Facts facts={facts} />
        {comes_from.length > 0 && <p className="small">From <Cited sources={comes_from} /></p>}
      </div>
    </section>
  );
}
