// All sessions, the latest first, more as one asks for them.

import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, get, type Flow, type Session, type Sessions } from "./api";
import { useNow, useSettled } from "./data";
import { ago, basename, compact, cost, count, duration, model } from "./format";
import { Command, StateDot, Time, Trouble, Waiting } from "./parts";
import { Link, sessionAddress, useAddress, useTitle } from "./route";

const PAGE = 50;
const REFRESH_MS = 5_000;

export function SessionsPage({ flow }: { flow: Flow | null }) {
  const { query } = useAddress();
  const project = query.get("project");
  const [sessions, setSessions] = useState<Session[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isLoading, setLoading] = useState(false);
  const asked = useRef(0);
  const now = useNow();
  useTitle("Sessions");

  const load = useCallback(
    (after: string | null, limit: number) => {
      const turn = ++asked.current;
      setLoading(true);
      get<Sessions>("sessions", { limit, after, project })
        .then((answer) => {
          if (turn !== asked.current) return;
          setSessions((known) => (after ? [...(known ?? []), ...answer.sessions] : answer.sessions));
          setNext(answer.next);
          setError(null);
          setLoading(false);
        })
        .catch((failure: unknown) => {
          if (turn !== asked.current) return;
          setError(failure instanceof ApiError ? failure : new ApiError(0, String(failure)));
          setLoading(false);
        });
    },
    [project],
  );
  useEffect(() => load(null, PAGE), [load]);
  const shown = sessions?.length ?? PAGE;
  const again = useCallback(() => load(null, Math.min(200, Math.max(PAGE, shown))), [load, shown]);
  useSettled(shown <= 200 ? (flow?.status.warehouse.activities ?? null) : null, again, REFRESH_MS);

  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Sessions</h1>
        {project && (
          <span className="chip" title={project}>
            {basename(project)}
            <Link href="/sessions" aria-label="Sessions of every project">
              ✕
            </Link>
          </span>
        )}
      </div>
      {error && <Trouble error={error} again={again} />}
      {!sessions && !error && <Waiting rows={12} />}
      {sessions?.length === 0 && (
        <section className="card notice">
          <h2>No session yet</h2>
          <p>
            Start <Command>claude</Command> in a project, or read what is there: <Command>cdesk import</Command>
          </p>
        </section>
      )}
      {sessions && sessions.length > 0 && (
        <div className="card scroll" tabIndex={0} role="region" aria-label="Sessions">
          <table className="sessions-table">
            <thead>
              <tr>
                <th scope="col">Session</th>
                <th scope="col">Project</th>
                <th scope="col">Model</th>
                <th scope="col" className="num">Prompts</th>
                <th scope="col" className="num">Tools</th>
                <th scope="col" className="num">Failed</th>
                <th scope="col" className="num">Tokens</th>
                <th scope="col" className="num">Cost</th>
                <th scope="col" className="num">Length</th>
                <th scope="col" className="num">Last</th>
              </tr>
            </thead>
            <tbody>
              {sessions.map((session) => (
                <tr key={session.id}>
                  <th scope="row" className="wide">
                    <StateDot state={session.state} />
                    <Link href={sessionAddress(session.id)} className="clip">
                      {session.title ?? session.prompt ?? session.id}
                    </Link>
                  </th>
                  <td className="project-cell">
                    <span className="clip" title={session.project ?? undefined}>{basename(session.project)}</span>
                    {session.branch && <span className="faint clip branch">{session.branch}</span>}
                  </td>
                  <td className="nowrap">
                    {session.models[0] ? model(session.models[0]) : <span className="faint">–</span>}
                    {session.models.length > 1 && <span className="faint" title={session.models.map(model).join(", ")}> +{session.models.length - 1}</span>}
                  </td>
                  <td className="num">{count(session.prompts)}</td>
                  <td className="num">{count(session.tools)}</td>
                  <td className={`num ${session.failed ? "bad" : "faint"}`}>{session.failed ? count(session.failed) : "–"}</td>
                  <td className="num">{compact(session.tokens)}</td>
                  <td className="num strong">{cost(session.cost, session.unpriced)}</td>
                  <td className="num">{duration(Date.parse(session.ended_at) - Date.parse(session.began_at))}</td>
                  <td className="num">
                    <Time at={session.ended_at}>{ago(session.ended_at, now)}</Time>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {next && (
            <footer className="card-foot">
              <button type="button" className="button" disabled={isLoading} onClick={() => load(next, PAGE)}>
                {isLoading ? "Loading…" : "Show more"}
              </button>
            </footer>
          )}
        </div>
      )}
    </>
  );
}
