// Whole results that were kept: what each holds, page by page, as a file, by a link that ends, and what it was made from.

import { useEffect, useMemo, useState } from "react";
import { done, Outcome, Part, useActs, Act, type Acts } from "./acts";
import { ApiError, post, type Answered, type Artifact, type ArtifactLink, type ArtifactRows, type Listed } from "./api";
import { heading, unitOf } from "./cells";
import { useAnswer, useNow } from "./data";
import { ago, bytes, count, day, full, plural, time } from "./format";
import { Command, Copy, Time, Trouble, Waiting } from "./parts";
import { ResultChart, ResultTable, sketched } from "./result";
import { artifactAddress, explainAddress, Link, useAddress, useTitle } from "./route";

const PAGE_ROWS = 50;
const LISTED = 200;
const CHART_ROWS_MAX = 1_000;
const FORMATS = [["csv", "CSV"], ["json", "JSON"], ["parquet", "Parquet"], ["arrow", "Arrow"], ["markdown", "Markdown"], ["html", "HTML"]] as const;
const KINDS: Record<string, string> = { query_result: "answer", visualization: "chart", report: "report", export: "export" };

const contentAddress = (id: string, format: string): string => `/v1/page/artifacts/${encodeURIComponent(id)}/content?format=${format}`;

// -- all of them ---------------------------------------------------------------------------------------------------

export function ArtifactsPage() {
  const { query } = useAddress();
  const ofQuery = query.get("query_id");
  const asked = useAnswer<{ artifacts: Listed[] }>("artifacts", { count: LISTED, query_id: ofQuery });
  const now = useNow();
  useTitle("Artifacts");
  const found = asked.data?.artifacts;
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Artifacts</h1>
        {found && <span className="faint">{found.length >= LISTED ? `the latest ${count(LISTED)}` : `${count(found.length)} kept`}</span>}
        {ofQuery && (
          <span className="chip">
            <span className="mono">{ofQuery.slice(0, 12)}</span>
            <Link href="/artifacts" aria-label="Artifacts of every question">✕</Link>
          </span>
        )}
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={asked.again} />}
      {!found && !asked.error && <Waiting />}
      {found?.length === 0 && (
        <section className="card notice">
          <h2>Nothing is kept yet</h2>
          <p>An artifact is a whole answer, kept as it was: to page through, to download, to cite.</p>
          <ul className="first-steps">
            <li><Link href="/questions" className="link">Ask a question</Link> and keep its answer.</li>
            <li>Or keep the answer to SQL of your own: <Command>cdesk artifact make --sql "SELECT …"</Command></li>
          </ul>
        </section>
      )}
      {found && found.length > 0 && (
        <div className="card scroll" tabIndex={0} role="region" aria-label="Artifacts">
          <table className="artifacts-table">
            <thead>
              <tr>
                <th scope="col">Artifact</th>
                <th scope="col">Kind</th>
                <th scope="col" className="num">Rows</th>
                <th scope="col" className="num">Columns</th>
                <th scope="col" className="num">Size</th>
                <th scope="col" className="num">Read</th>
                <th scope="col">Kept until</th>
                <th scope="col" className="num">Made</th>
              </tr>
            </thead>
            <tbody>
              {found.map((one) => (
                <tr key={one.artifact_id}>
                  <th scope="row" className="wide">
                    <Link href={artifactAddress(one.artifact_id)} className="clip strong">{one.title || one.artifact_id}</Link>
                    <span className="faint clip path-under mono">{one.artifact_id}{one.version > 1 && ` · version ${one.version}`}</span>
                  </th>
                  <td>{KINDS[one.kind] ?? one.kind}</td>
                  <td className="num">{count(one.row_count)}</td>
                  <td className="num">{count(one.column_count)}</td>
                  <td className="num">{bytes(one.bytes)}</td>
                  <td className={`num ${one.access_count ? "" : "faint"}`}>{one.access_count ? `${count(one.access_count)}×` : "–"}</td>
                  <td className="nowrap">{keptUntil(one)}</td>
                  <td className="num"><Time at={one.created_at}>{ago(one.created_at, now)}</Time></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function keptUntil(one: Listed): string {
  if (one.is_held) return "released: legal hold";
  if (one.is_pinned) return "unpinned";
  return one.expires_at ? day(one.expires_at) : "deleted";
}

// -- one of them ---------------------------------------------------------------------------------------------------

export function ArtifactPage({ id }: { id: string }) {
  const asked = useAnswer<Artifact>(`artifacts/${encodeURIComponent(id)}`, {});
  const artifact = asked.data;
  const acts = useActs("artifacts", asked.again);
  useTitle(artifact?.title || "Artifact");
  return (
    <>
      <div className="session-head">
        <p className="crumbs">
          <Link href="/artifacts">Artifacts</Link>
          <span aria-hidden="true"> / </span>
          <span className="mono">{id}</span>
        </p>
        <h1 tabIndex={-1}>{artifact ? artifact.title || "An answer that was kept" : "Artifact"}</h1>
        {artifact && <Facts artifact={artifact} />}
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={asked.again} />}
      {!artifact && !asked.error && <Waiting />}
      {artifact && (
        <div className="columns">
          <div className="column">
            <Content artifact={artifact} />
          </div>
          <div className="column">
            <Files artifact={artifact} acts={acts} />
            <Schema artifact={artifact} />
            <Lineage artifact={artifact} />
          </div>
        </div>
      )}
    </>
  );
}

function Facts({ artifact }: { artifact: Artifact }) {
  const now = useNow();
  const facts: [string, string][] = [
    ["Rows", count(artifact.row_count)], ["Columns", count(artifact.column_count)], ["Size", bytes(artifact.bytes)],
    ["Made", ago(artifact.created_at, now)], ["Read", artifact.access_count ? `${count(artifact.access_count)}×` : "never"], ["Kept until", keptUntil(artifact)],
  ];
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Page by page; without its file, the sample that its row has. */
function Content({ artifact }: { artifact: Artifact }) {
  const [cursors, setCursors] = useState<(string | null)[]>([null]);
  const asked = useAnswer<ArtifactRows>(`artifacts/${encodeURIComponent(artifact.artifact_id)}/rows`, { limit: PAGE_ROWS, cursor: cursors[cursors.length - 1] ?? null });
  const page = asked.data;
  const isGone = !artifact.has_content;
  const rows = isGone ? artifact.sample : page?.rows;
  const last = page ? page.offset + page.rows.length : 0;
  const text = isGone ? `its file is gone; a sample of ${plural(artifact.sample.length, "row")} is left`
    : page && page.row_count ? `rows ${count(page.offset + 1)} to ${count(last)} of ${count(page.row_count)}` : page ? "no rows" : "…";
  return (
    <>
      {artifact.chart && !isGone && artifact.row_count <= CHART_ROWS_MAX && <Drawing artifact={artifact} hint={artifact.chart} />}
      <Part id="content" title="Content" standing={{ tone: isGone ? "bad" : "idle", text }}
        side={
          <span className="acts" aria-busy={asked.isLoading || undefined}>
            <button type="button" className="button act" aria-disabled={cursors.length === 1 || undefined} onClick={() => cursors.length > 1 && setCursors(cursors.slice(0, -1))}>Previous</button>
            <button type="button" className="button act" aria-disabled={!page?.cursor || undefined} onClick={() => page?.cursor && !asked.isLoading && setCursors([...cursors, page.cursor])}>Next</button>
          </span>
        }>
        {asked.error && !isGone && <Trouble error={asked.error} again={asked.again} />}
        {!rows && !asked.error && <Waiting />}
        {rows && rows.length === 0 && <p className="empty">It has columns, and no rows: nothing matched.</p>}
        {rows && rows.length > 0 && <ResultTable columns={artifact.columns} rows={rows} name="Its rows" />}
      </Part>
    </>
  );
}

function Drawing({ artifact, hint }: { artifact: Artifact; hint: NonNullable<Artifact["chart"]> }) {
  const { data } = useAnswer<ArtifactRows>(`artifacts/${encodeURIComponent(artifact.artifact_id)}/rows`, { limit: CHART_ROWS_MAX });
  const sketch = useMemo(() => data && sketched({ ...hint, kind: hint.kind === "bar" ? "bars" : "line" }, artifact.columns, data.rows), [data, hint, artifact]);
  if (!sketch) return null;
  return (
    <Part id="chart" title="Chart" standing={{ tone: "idle", text: `${heading(sketch.y)} by ${heading(sketch.x)}` }}>
      <ResultChart sketch={sketch} />
    </Part>
  );
}

function Files({ artifact, acts }: { artifact: Artifact; acts: Acts }) {
  const [link, setLink] = useState<(ArtifactLink & { format: string }) | null>(null);
  const [format, setFormat] = useState<string>("csv");
  const id = encodeURIComponent(artifact.artifact_id);
  const formats = artifact.chart ? [...FORMATS, ["svg", "Chart (SVG)"] as const] : FORMATS;
  const pin = (): void => acts.act("pin", `${id}/pin`, {}, () => done(artifact.is_pinned ? "Unpinned: it goes when it expires." : "Pinned: it stays."), artifact.is_pinned ? "DELETE" : "POST");
  return (
    <Part id="files" title="Download" standing={{ tone: artifact.has_content ? "idle" : "bad", text: artifact.has_content ? "all rows" : "its file is gone: ask its question again" }}
      side={<Act acts={acts} name="pin" title={artifact.is_pinned ? "Unpin: let it go when it expires" : "Pin: keep it, whenever it expires"} onAct={pin}>{artifact.is_pinned ? "Unpin" : "Pin"}</Act>}>
      <Outcome said={acts.said} />
      {artifact.has_content && (
        <div className="part-body">
          <div className="acts start">
            {formats.map(([name, title]) => <a key={name} className="button act" href={contentAddress(artifact.artifact_id, name)} download>{title}</a>)}
          </div>
          <div className="acts start">
            <label className="small" htmlFor="link-format">Link for ten minutes, to whoever has it</label>
            <select id="link-format" className="field" value={format} onChange={(event) => setFormat(event.target.value)}>
              {formats.map(([name, title]) => <option key={name} value={name}>{title}</option>)}
            </select>
            <Act acts={acts} name="link" onAct={() => acts.act("link", `${id}/link`, { format }, (made) => { setLink({ ...(made as ArtifactLink), format }); return done("Whoever has this link may download it, without a password."); })}>Make a link</Act>
          </div>
          {link && (
            <div className="made-link">
              <code className="mono clip" title={link.url}>{link.url}</code>
              <Copy text={link.url} name={`Link to it as ${link.format}`}>Copy</Copy>
              <span className="faint small">until {time(link.expires_at)}</span>
            </div>
          )}
        </div>
      )}
    </Part>
  );
}

function Schema({ artifact }: { artifact: Artifact }) {
  return (
    <Part id="schema" title="Columns" standing={{ tone: "idle", text: plural(artifact.columns.length, "column") }}>
      <div className="scroll" tabIndex={0} role="region" aria-label="Its columns">
        <table className="schema-table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Type</th>
              <th scope="col">Unit</th>
              <th scope="col">Nulls</th>
            </tr>
          </thead>
          <tbody>
            {artifact.columns.map((column, i) => (
              <tr key={i}>
                <th scope="row" title={unitOf(column) ? undefined : heading(column)}>{column.name}</th>
                <td className="mono">{column.type.toLowerCase()}{column.precision !== null && !column.type.includes("(") && `, ${column.precision} digits`}</td>
                <td className={column.unit ? undefined : "faint"}>{column.unit ?? "–"}</td>
                <td className="faint">{column.nullable === null ? "?" : column.nullable ? "yes" : "no"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Part>
  );
}

function Lineage({ artifact }: { artifact: Artifact }) {
  const { query_id, parent_artifact_id, children } = artifact;
  return (
    <Part id="lineage" title="Where it comes from" standing={{ tone: "idle", text: `version ${artifact.version}` }}>
      <div className="part-body">
        <dl className="pairs-list left">
          <dt>Made</dt>
          <dd><Time at={artifact.created_at}>{full(artifact.created_at)}</Time></dd>
          <dt>For</dt>
          <dd>{artifact.customer}</dd>
          <dt>Answers</dt>
          <dd>{query_id ? <Link href={explainAddress(`cdesk:${query_id}`)} className="link mono">cdesk:{query_id}</Link> : "no question on record"}</dd>
          <dt>Made from</dt>
          <dd>{parent_artifact_id ? <Link href={artifactAddress(parent_artifact_id)} className="link mono">{parent_artifact_id}</Link> : "nothing before it"}</dd>
          {children.length > 0 && (
            <>
              <dt>Made of it</dt>
              <dd>{children.map((each) => <p key={each}><Link href={artifactAddress(each)} className="link mono">{each}</Link></p>)}</dd>
            </>
          )}
          <dt>SHA-256</dt>
          <dd className="mono small">{artifact.sha256}</dd>
        </dl>
      </div>
    </Part>
  );
}

// -- from an answer ------------------------------------------------------------------------------------------------

/** Keeps an answer whole, and leads to it. */
export function Keep({ answer }: { answer: Answered }) {
  const [kept, setKept] = useState<string | null>(answer.artifact_id);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => setKept(answer.artifact_id), [answer.artifact_id]);
  function keep(): void {
    if (isBusy) return;
    setBusy(true);
    post<Listed>(`artifacts/of/${encodeURIComponent(answer.query_id)}`, {})
      .then((made) => { setKept(made.artifact_id); setError(null); })
      .catch((failure: unknown) => setError(failure instanceof ApiError ? failure.message : String(failure)))
      .finally(() => setBusy(false));
  }
  if (kept) return <p role="status">Kept as <Link href={artifactAddress(kept)} className="link">an artifact</Link>: page through it, download it.</p>;
  return (
    <div className="acts start">
      <button type="button" className="button act" aria-busy={isBusy || undefined} onClick={keep}>{isBusy ? "…" : "Keep it"}</button>
      <span className={error ? "bad" : "faint small"} role={error ? "alert" : undefined}>{error ?? "as an artifact, to download as CSV, Parquet, …"}</span>
    </div>
  );
}
