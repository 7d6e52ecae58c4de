// Long questions that were handed in: how each stands, how far it is, and its rows when it is done.

import { useCallback, useState } from "react";
import { Confirmed, done, Outcome, Part, useActs, type Tone } from "./acts";
import { type ArtifactRows, type Ticket } from "./api";
import { useAnswer, useNow, usePulse } from "./data";
import { ago, bytes, count, duration, full, plural } from "./format";
import { Command, Time, Trouble, Waiting } from "./parts";
import { SqlPart } from "./questions";
import { ResultTable } from "./result";
import { artifactAddress, explainAddress, Link, ticketAddress, useTitle } from "./route";

const PAGE_ROWS = 50;
const AGAIN_MS = 1_000;
const WAITING = new Set<Ticket["state"]>(["queued", "running"]);
const TONES: Record<Ticket["state"], Tone> = { queued: "idle", running: "busy", done: "ok", failed: "bad", cancelled: "idle", lost: "bad" };

const nameOf = (ticket: Ticket): string => ticket.title || ticket.sql.split(/\s+/).join(" ").trim();
const stateOf = (ticket: Ticket): string => (ticket.state === "running" && ticket.progress !== null ? `running, ${Math.floor(ticket.progress * 100)} %` : ticket.state);

// -- all of them ---------------------------------------------------------------------------------------------------

export function TicketsPage() {
  const asked = useAnswer<{ queries: Ticket[] }>("queries", {});
  const found = asked.data?.queries;
  const again = asked.again;
  const isMoving = found?.some((one) => WAITING.has(one.state)) ?? false;
  usePulse(useCallback(() => isMoving && again(), [isMoving, again]), AGAIN_MS);
  const acts = useActs("queries", again);
  const now = useNow();
  useTitle("Tickets");
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Tickets</h1>
        {found && <span className="faint">{plural(found.length, "long question")} of the last 24 hours</span>}
      </div>
      <Outcome said={acts.said} />
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={again} />}
      {!found && !asked.error && <Waiting />}
      {found?.length === 0 && (
        <section className="card notice">
          <h2>No long question was handed in</h2>
          <p>A ticket is for what takes longer than you want to wait: it is answered in the background. Claude hands one in with submit_query; you with:</p>
          <Command>cdesk query submit "SELECT …"</Command>
        </section>
      )}
      {found && found.length > 0 && (
        <div className="card scroll" tabIndex={0} role="region" aria-label="Tickets">
          <table className="tickets-table">
            <thead>
              <tr>
                <th scope="col">Question</th>
                <th scope="col">State</th>
                <th scope="col" className="num">Rows</th>
                <th scope="col">For</th>
                <th scope="col" className="num">Handed in</th>
                <th scope="col"><span className="unseen">Acts</span></th>
              </tr>
            </thead>
            <tbody>
              {found.map((one) => (
                <tr key={one.ticket}>
                  <th scope="row" className="wide">
                    <Link href={ticketAddress(one.ticket)} className="clip strong">{nameOf(one)}</Link>
                    <span className="faint clip path-under mono">{one.ticket}</span>
                  </th>
                  <td className={`nowrap ${TONES[one.state] === "bad" ? "bad" : ""}`}>
                    {stateOf(one)}{one.sample && <span className="tag">sample</span>}
                  </td>
                  <td className={`num ${one.row_count === null ? "faint" : ""}`}>{one.row_count === null ? "–" : count(one.row_count)}</td>
                  <td>{one.role}</td>
                  <td className="num nowrap"><Time at={one.submitted_at}>{ago(one.submitted_at, now)}</Time></td>
                  <td className="num">{WAITING.has(one.state) ? <Cancel ticket={one} acts={acts} /> : one.artifact_id && <Link href={artifactAddress(one.artifact_id)} className="link">Artifact</Link>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function Cancel({ ticket, acts }: { ticket: Ticket; acts: ReturnType<typeof useActs> }) {
  const told = (outcome: unknown): ReturnType<typeof done> => done((outcome as Ticket).state === "cancelled" ? "Cancelled: what ran is broken off." : `It was ${(outcome as Ticket).state} already.`);
  return (
    <Confirmed acts={acts} name={`cancel ${ticket.ticket}`} title={`Cancel ${nameOf(ticket).slice(0, 60)}`} question="Break it off?" yes="Cancel it"
      onAct={() => acts.act(`cancel ${ticket.ticket}`, encodeURIComponent(ticket.ticket), {}, told, "DELETE")}>Cancel</Confirmed>
  );
}

// -- one of them ---------------------------------------------------------------------------------------------------

export function TicketPage({ id }: { id: string }) {
  const asked = useAnswer<Ticket>(`queries/${encodeURIComponent(id)}`, {});
  const { data: ticket, again } = asked;
  const isMoving = ticket !== null && WAITING.has(ticket.state);
  usePulse(useCallback(() => isMoving && again(), [isMoving, again]), AGAIN_MS);
  const acts = useActs("queries", again);
  useTitle(ticket ? nameOf(ticket).slice(0, 60) : "Ticket");
  return (
    <>
      <div className="session-head">
        <p className="crumbs">
          <Link href="/tickets">Tickets</Link>
          <span aria-hidden="true"> / </span>
          <span className="mono">{id}</span>
        </p>
        <h1 tabIndex={-1}>{ticket ? ticket.title || "A long question" : "Ticket"}</h1>
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={again} />}
      {!ticket && !asked.error && <Waiting />}
      {ticket && (
        <div className="columns">
          <div className="column">
            {ticket.artifact_id ? <Rows ticket={ticket} /> : <Unanswered ticket={ticket} />}
            <SqlPart sql={ticket.sql} note="as it was handed in" />
          </div>
          <div className="column">
            <Standing ticket={ticket} acts={acts} />
          </div>
        </div>
      )}
    </>
  );
}

function Unanswered({ ticket }: { ticket: Ticket }) {
  return (
    <Part id="answer" title="Answer" standing={{ tone: TONES[ticket.state], text: stateOf(ticket) }}>
      <div className="part-body">
        {ticket.error ? <p className="bad">{ticket.error}</p> : <p className="faint">{WAITING.has(ticket.state) ? "Its rows are here when it is done." : "It has no rows."}</p>}
        {ticket.state === "running" && (
          <div className="meter">
            <svg className="fill" viewBox="0 0 100 6" preserveAspectRatio="none" role="progressbar" aria-label="Progress" aria-valuemin={0} aria-valuemax={100}
              aria-valuenow={ticket.progress === null ? undefined : Math.floor(ticket.progress * 100)}>
              <rect width={(ticket.progress ?? 0) * 100} height="6" />
            </svg>
          </div>
        )}
      </div>
    </Part>
  );
}

function Rows({ ticket }: { ticket: Ticket }) {
  const [cursors, setCursors] = useState<(string | null)[]>([null]);
  const asked = useAnswer<ArtifactRows>(`queries/${encodeURIComponent(ticket.ticket)}/rows`, { limit: PAGE_ROWS, cursor: cursors[cursors.length - 1] ?? null });
  const page = asked.data;
  const text = page ? (page.row_count ? `rows ${count(page.offset + 1)} to ${count(page.offset + page.rows.length)} of ${count(page.row_count)}` : "no rows") : "…";
  return (
    <Part id="answer" title="Answer" standing={{ tone: ticket.sample ? "busy" : "ok", text }}
      side={
        <span className="acts" aria-busy={asked.isLoading || undefined}>
          <button type="button" className="button act" aria-disabled={cursors.length === 1 || undefined} onClick={() => cursors.length > 1 && setCursors(cursors.slice(0, -1))}>Previous</button>
          <button type="button" className="button act" aria-disabled={!page?.cursor || undefined} onClick={() => page?.cursor && !asked.isLoading && setCursors([...cursors, page.cursor])}>Next</button>
        </span>
      }>
      {ticket.sample && <p className="sample-line" role="note"><strong>Sample.</strong> {ticket.sample.watermark}</p>}
      {asked.error && <Trouble error={asked.error} again={asked.again} />}
      {!page && !asked.error && <Waiting />}
      {page?.rows.length === 0 && <p className="empty">It has columns, and no rows: nothing matched.</p>}
      {page && page.rows.length > 0 && <ResultTable columns={page.columns} rows={page.rows} name="Its rows" />}
    </Part>
  );
}

function Standing({ ticket, acts }: { ticket: Ticket; acts: ReturnType<typeof useActs> }) {
  const now = useNow();
  const took = ticket.started_at && ticket.ended_at ? Date.parse(ticket.ended_at) - Date.parse(ticket.started_at) : null;
  return (
    <Part id="standing" title="How it stands" standing={{ tone: TONES[ticket.state], text: stateOf(ticket) }}
      side={WAITING.has(ticket.state) ? <Cancel ticket={ticket} acts={acts} /> : undefined}>
      <Outcome said={acts.said} />
      <div className="part-body">
        <dl className="pairs-list left">
          <dt>Handed in</dt>
          <dd><Time at={ticket.submitted_at}>{ago(ticket.submitted_at, now)}</Time>, for {ticket.role}</dd>
          {took !== null && <><dt>Took</dt><dd>{duration(took)}</dd></>}
          <dt>Kept until</dt>
          <dd><Time at={ticket.expires_at}>{full(ticket.expires_at)}</Time></dd>
          <dt>May read</dt>
          <dd>{bytes(ticket.bytes_max)}{ticket.estimate && ticket.estimate.rows > 0 && `; about ${bytes(ticket.estimate.bytes)} in ${plural(ticket.estimate.rows, "row")} expected`}</dd>
          {ticket.artifact_id && (
            <>
              <dt>Citation</dt>
              <dd><Link href={explainAddress(`cdesk:${ticket.query_id}`)} className="link mono">cdesk:{ticket.query_id}</Link></dd>
              <dt>Artifact</dt>
              <dd><Link href={artifactAddress(ticket.artifact_id)} className="link mono">{ticket.artifact_id}</Link></dd>
            </>
          )}
        </dl>
      </div>
    </Part>
  );
}
