// What Claude is told: every line with why it was chosen and where it is from, each time it was told, and what it is spared.

import { useEffect, useId, useRef, useState, type FormEvent } from "react";
import { Act, done, Outcome, Part, useActs, type Acts, type Standing } from "./acts";
import type { Flow, Insight, Kind, Line, Source, Telling, ToldLine, ToldPage, Value } from "./api";
import { useAnswer, useNow, usePulse, useSettled } from "./data";
import { ago, basename, bytes, count, duration, full, plural } from "./format";
import { Command, Segmented, Time, Trouble, Waiting } from "./parts";
import { explainAddress, Link, sessionAddress, useChoice, useTitle } from "./route";

const REFRESH_MS = 2_000;
const PULSE_MS = 15_000;
const SOON_MS = 1_200;
const LOOKS_MAX = 10;
const WORDS_MAX = 1_000;
const TOLD_MAX = 20;

const KINDS = [["default", "Claude"], ["engineer", "Engineer"], ["analyst", "Analyst"], ["executive", "Executive"]] as const satisfies readonly (readonly [Kind, string])[];
const SILENCED = "Silenced. In a moment Claude is not told it any more; it can be restored under “Kept from Claude”.";
const RESTORED = "Restored. In a moment Claude is told it again.";
const CORRECTED = "Corrected. In a moment Claude is told your words instead.";

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();
const atomOf = (sources: string[]): string | null => sources.find((source) => source.startsWith("atom:"))?.slice("atom:".length) ?? null;
const correctionsOf = (atom: string): string => `insights/${encodeURIComponent(atom)}/corrections`;

export function ContextPage({ flow }: { flow: Flow | null }) {
  const [project, setProject] = useChoice("project", "");
  const [kind, setKind] = useChoice("kind", "default");
  const asked = useAnswer<ToldPage>("context", { project: project || null, kind });
  const [spared, setSpared] = useState<Record<string, string>>({});
  useTitle("Context");
  useSettled(flow, asked.again, REFRESH_MS);
  usePulse(asked.again, PULSE_MS);
  const shown = asked.data;
  const context = shown?.context.project === (project || null) && shown.context.kind === kind ? shown.context : null;
  useFollowing(context && `${context.version} ${context.built_at}`, context?.is_stale === true || Object.keys(spared).length > 0, asked.again);
  useEffect(() => {
    if (shown) setSpared((known) => Object.fromEntries(Object.entries(known).filter(([id, mark]) => isOpen(shown, id, mark))));
  }, [shown]);
  const isBare = shown !== null && !shown.context.lines.length && !shown.told.length && !shown.silenced.length;
  const acts = useActs("context", asked.again);

  function say(id: string, body: Record<string, string>, mark: string, told: string): void {
    acts.act(id, correctionsOf(id), body, () => {
      setSpared((known) => ({ ...known, [id]: mark }));
      return done(told);
    });
  }
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Context</h1>
        {shown && <Places page={shown} project={project} onChange={setProject} />}
        <span className="gap" />
        <Segmented label="For whom" choices={KINDS} value={kind} onChange={setKind} />
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={asked.again} />}
      {!context && !asked.error && <Waiting />}
      {shown && context && isBare && <Nothing project={context.project} />}
      {shown && context && !isBare && (
        <div className="columns">
          <div className="column">
            <Lines page={shown} acts={acts} spared={spared} say={say} />
          </div>
          <div className="column">
            <Told told={shown.told} hook={shown.hook} />
            <Silenced silenced={shown.silenced} acts={acts} spared={spared} say={say} />
          </div>
        </div>
      )}
    </>
  );
}

/** Whether what a person said of an insight is not in effect yet. */
function isOpen(page: ToldPage, id: string, mark: string): boolean {
  return mark === "restored" ? page.silenced.some((one) => one.id === id) : page.context.lines.some((line) => atomOf(line.sources) === id);
}

type Say = (id: string, body: Record<string, string>, mark: string, told: string) => void;

/** Looks again soon, a few times: what is shown is about to change. */
function useFollowing(shown: string | null, isWanted: boolean, again: () => void): void {
  const [looks, setLooks] = useState(0);
  useEffect(() => setLooks(0), [shown, isWanted]);
  useEffect(() => {
    if (!isWanted || looks >= LOOKS_MAX) return;
    const timer = setTimeout(() => {
      setLooks(looks + 1);
      again();
    }, SOON_MS);
    return () => clearTimeout(timer);
  }, [isWanted, looks, again]);
}

function Places({ page, project, onChange }: { page: ToldPage; project: string; onChange: (project: string) => void }) {
  const now = useNow();
  const known = page.places.filter((place) => place.project_path !== null);
  const names = known.map((place) => basename(place.project_path));
  const isMissing = project !== "" && !known.some((place) => place.project_path === project);
  return (
    <select className="picker" aria-label="Project" value={project} title={project || undefined} onChange={(event) => onChange(event.target.value)}>
      <option value="">All projects</option>
      {isMissing && <option value={project}>{basename(project)}</option>}
      {known.map((place) => (
        <option key={place.project_path} value={place.project_path!} title={place.project_path!}>
          {names.indexOf(basename(place.project_path)) === names.lastIndexOf(basename(place.project_path)) ? basename(place.project_path) : place.project_path} · {ago(iso(place.data_as_of), now)}
        </option>
      ))}
    </select>
  );
}

// -- the context ---------------------------------------------------------------------------------------------------

const SECTIONS: Record<string, string> = {
  failure: "failure", file: "file", thread: "open thread", session: "session", query: "query", usage: "usage", insight: "insight",
};

function Lines({ page, acts, spared, say }: { page: ToldPage; acts: Acts; spared: Record<string, string>; say: Say }) {
  const now = useNow();
  const { context, hook, characters } = page;
  const told = context.lines.filter((line) => line.is_told).length;
  const isFresh = !context.is_stale;
  const built = iso(context.built_at);
  if (!context.lines.length) return <Part id="told" title="What Claude is told" standing={{ tone: "idle", text: "nothing now" }}><Outcome said={acts.said} /></Part>;
  return (
    <Part
      id="told" title="What Claude is told"
      standing={{ tone: isFresh ? "ok" : "busy", text: isFresh ? plural(context.lines.length, "line") : `${plural(context.lines.length, "line")}, stale: being made anew` }}
      side={
        <span className="faint small">
          made <Time at={built}>{ago(built, now)}</Time>
          {context.data_as_of !== null && <>, from data up to <Time at={iso(context.data_as_of)}>{ago(iso(context.data_as_of), now)}</Time></>}
          {" · "}<span className="mono" title="The version changes exactly when what is told changes">{context.version.slice(0, 8)}</span>
        </span>
      }
    >
      <p className="hint">
        {told > 0 && (
          <>
            <span className="mark told" aria-hidden="true" /> {told === context.lines.length ? "All of it is" : told === 1 ? "One line is" : `${count(told)} lines are`} told when a session starts
            {" "}({hook}: up to {count(characters)} characters){told < context.lines.length && "; the rest when Claude asks for it"}.{" "}
          </>
        )}
        {context.kind !== "default" && "Sessions are not told this by themselves; Claude gets it when it asks for this kind. "}
        {context.kind === "default" && hook === "off" && <>Hooks are silent: <span className="mono">hook = "off"</span> under <span className="mono">[context]</span> in config.toml. Claude gets this only when it asks. </>}
        What stands in quotation marks is recorded data.
      </p>
      <Outcome said={acts.said} />
      <ol className="rows lines-told">
        {context.lines.map((line) => (
          <LineRow key={`${line.section} ${line.sources[0]} ${line.text}`} line={line} acts={acts} spared={spared} say={say} />
        ))}
      </ol>
    </Part>
  );
}

function LineRow({ line, acts, spared, say }: { line: ToldLine; acts: Acts; spared: Record<string, string>; say: Say }) {
  const [isCorrecting, setCorrecting] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const atom = atomOf(line.sources);
  const mark = atom ? spared[atom] : undefined;
  return (
    <li className={`row ${mark ? "spared" : ""}`}>
      <div className="row-text">
        <p className="row-head">
          {line.is_told && <span className="mark told" title="Told when a session starts"><span className="unseen">Told when a session starts. </span></span>}
          <span className="statement">{line.text}</span>
        </p>
        <Why line={line} score={line.score} />
        {atom && isCorrecting && !mark && (
          <Correction isBusy={acts.busy !== null} onCancel={() => { setCorrecting(false); opener.current?.focus(); }}
            onSay={(body) => { setCorrecting(false); say(atom, body, "corrected", CORRECTED); }} />
        )}
      </div>
      {atom && (
        <div className="acts">
          {mark ? (
            <span className="faint" role="status">{mark}…</span>
          ) : (
            <>
              {line.section !== "usage" && (
                <button type="button" className="button act" ref={opener} aria-expanded={isCorrecting} aria-label={`Correct: ${line.text}`} onClick={() => setCorrecting(!isCorrecting)}>
                  Correct
                </button>
              )}
              <Act acts={acts} name={atom} title={`Silence: ${line.text}`}
                onAct={() => say(atom, { action: "silence" }, "silenced", SILENCED)}>
                Silence
              </Act>
            </>
          )}
        </div>
      )}
    </li>
  );
}

function Why({ line, score = null }: { line: Line; score?: number | null }) {
  return (
    <p className="faint small why">
      <span className={`tag section-${line.section}`}>{SECTIONS[line.section] ?? line.section}</span>{" "}
      {line.why}
      {score !== null && <> · <span title="Its rank: weight of the section, how recent, how sure">score {score.toFixed(2)}</span></>}
      {" · "}
      <Cited sources={line.sources} />
    </p>
  );
}

const NAMES: Record<string, string> = { activity: "activity", atom: "insight", cdesk: "query", artifact: "artifact" };

/** Each source by name; with several of a kind, numbered. */
export function Cited({ sources }: { sources: string[] }) {
  const kinds = sources.map((source) => source.split(":", 1)[0]!);
  return (
    <span className="cited">
      {sources.map((source, i) => {
        const kind = kinds[i]!;
        const many = kinds.filter((each) => each === kind).length > 1;
        const place = kinds.slice(0, i + 1).filter((each) => each === kind).length;
        const name = `${NAMES[kind] ?? kind}${many ? ` ${place}` : ""}`;
        return (
          <Link key={source} href={explainAddress(source)} className="link" title={source} aria-label={`Source: ${name}, ${source}`}>
            {name}
          </Link>
        );
      })}
    </span>
  );
}

function Correction({ isBusy, onSay, onCancel }: { isBusy: boolean; onSay: (body: Record<string, string>) => void; onCancel: () => void }) {
  const [statement, setStatement] = useState("");
  const [reason, setReason] = useState("");
  const id = useId();
  function send(event: FormEvent): void {
    event.preventDefault();
    if (statement.trim() && !isBusy) onSay({ action: "correct", statement: statement.trim(), ...(reason.trim() ? { reason: reason.trim() } : {}) });
  }
  return (
    <form className="correction" onSubmit={send} onKeyDown={(event) => event.key === "Escape" && onCancel()}>
      <label htmlFor={id}>What is right, in one sentence</label>
      <input id={id} autoFocus value={statement} maxLength={WORDS_MAX} autoComplete="off" onChange={(event) => setStatement(event.target.value)} />
      <label htmlFor={`${id}-why`}>Why <span className="faint">(if you like)</span></label>
      <input id={`${id}-why`} value={reason} maxLength={WORDS_MAX} autoComplete="off" onChange={(event) => setReason(event.target.value)} />
      <span className="acts">
        <button type="button" className="button act" onClick={onCancel}>Keep as it is</button>
        <button type="submit" className="button act primary" aria-disabled={!statement.trim() || isBusy || undefined}>Tell Claude this instead</button>
      </span>
    </form>
  );
}

function Nothing({ project }: { project: string | null }) {
  return (
    <section className="card notice" aria-labelledby="nothing-title">
      <h2 id="nothing-title">{project ? `Nothing is known of ${basename(project)} yet` : "Nothing is known yet"}</h2>
      <p>Claude is told what failed, what is unfinished, which files matter and what was learned, each with its source. It comes from what Claude Code does:</p>
      <ol className="first-steps">
        <li>Connect Claude Code, once: <Command>cdesk connect</Command></li>
        <li>Work in {project ? "this project" : "a project"}: <Command>claude</Command></li>
        <li>
          Or say what is so yourself: <Command>{'cdesk insight record tests command "Tests run with make test."'}</Command>
        </li>
      </ol>
      <p className="faint">Lines show here a few seconds later. <Link href="/health" className="link">Health</Link> says whether everything flows.</p>
    </section>
  );
}

// -- when it was told ----------------------------------------------------------------------------------------------

const BY: Record<string, string> = { SessionStart: "A session started", UserPromptSubmit: "With a prompt", get_context: "Claude asked for it" };

function Told({ told, hook }: { told: Telling[]; hook: ToldPage["hook"] }) {
  const standing: Standing = told.length ? { tone: "ok", text: told.length === 1 ? "once" : told.length < TOLD_MAX ? `${count(told.length)} times` : `the latest ${count(told.length)}` } : { tone: "idle", text: "never" };
  return (
    <Part id="when" title="When it was told" standing={standing}>
      {told.length === 0 && (
        <p className="empty">
          {hook === "off" ? (
            <>Hooks are silent. Set <span className="mono">hook = "brief"</span> under <span className="mono">[context]</span> in config.toml and restart.</>
          ) : (
            <>Not told yet: it is when the next session starts here. If it never is, run <Command>cdesk connect</Command>.</>
          )}
        </p>
      )}
      <ul className="rows">
        {told.map((one) => (
          <TellingRow key={one.id} one={one} />
        ))}
      </ul>
    </Part>
  );
}

function TellingRow({ one }: { one: Telling }) {
  const now = useNow();
  const amount = one.text !== null ? plural([...one.text].length, "character") : one.bytes !== null ? bytes(one.bytes) : null;
  const facts = [
    one.lines.length ? plural(one.lines.length, "line") : null, amount, one.is_whole ? null : "only what was new",
    one.age_ms === null ? null : `${duration(one.age_ms)} old${one.is_stale ? ", stale" : ""}`,
    one.channel === "file" ? "from the plain file: no service answered" : null,
  ].filter(Boolean);
  return (
    <li className="telling">
      <details>
        <summary>
          <span className="strong">{BY[one.by] ?? one.by}</span>
          <span className="gap" />
          <Time at={one.ts}><span className="faint">{ago(one.ts, now)}</span></Time>
          <span className="faint small facts-line">{facts.join(" · ")}</span>
        </summary>
        <div className="telling-body">
          {one.session && (
            <p className="small">
              <Link href={`${sessionAddress(one.session)}#${one.id}`} className="link">Session {one.session.slice(0, 8)}</Link>
              {one.project && <span className="faint"> in {basename(one.project)}</span>}
              {one.version && <span className="faint"> · version <span className="mono">{one.version.slice(0, 8)}</span></span>}
            </p>
          )}
          {one.lines.length > 0 && (
            <ol className="told-lines">
              {one.lines.map((line, i) => (
                <li key={i}>
                  <p className="statement">{line.text}</p>
                  <Why line={line} />
                </li>
              ))}
            </ol>
          )}
          {one.text !== null ? (
            <details className="letter">
              <summary>To the letter</summary>
              <pre tabIndex={0} aria-label="What Claude was told, to the letter">{one.text}</pre>
            </details>
          ) : (
            <p className="faint small">{one.by === "get_context" ? "What the tool answered stands in the session." : "Its text was not kept."}</p>
          )}
        </div>
      </details>
    </li>
  );
}

// -- what it is spared ---------------------------------------------------------------------------------------------

function Silenced({ silenced, acts, spared, say }: { silenced: Insight[]; acts: Acts; spared: Record<string, string>; say: Say }) {
  return (
    <Part id="silenced" title="Kept from Claude" standing={{ tone: "idle", text: silenced.length ? plural(silenced.length, "insight") : "nothing" }}>
      {silenced.length === 0 && <p className="empty">An insight that is wrong or in the way can be silenced; it then stands here and can come back.</p>}
      <ul className="rows">
        {silenced.map((one) => (
          <li className="row" key={one.id}>
            <div className="row-text plain">
              <p className="statement">{one.statement}</p>
              <p className="faint small">
                {author(one)} · <Cited sources={[`atom:${one.id}`]} />
              </p>
            </div>
            <div className="acts">
              {spared[one.id] === "restored" ? (
                <span className="faint" role="status">restored…</span>
              ) : (
                <Act acts={acts} name={one.id} title={`Restore: ${one.statement}`}
                  onAct={() => say(one.id, { action: "restore" }, "restored", RESTORED)}>
                  Restore
                </Act>
              )}
            </div>
          </li>
        ))}
      </ul>
    </Part>
  );
}

function author(one: Insight): string {
  if (one.method === "detected") return "found by a detector";
  if (one.method !== "recorded") return "a figure that is kept";
  return one.author === "claude" ? "noted by Claude" : one.author === "person" ? "noted by a person" : "noted";
}

// -- an insight, explained ----------------------------------------------------------------------------------------

const STATES: Record<Insight["state"], string> = {
  valid: "Claude is told it", silenced: "silenced: kept from Claude", quarantined: "in quarantine: what it rests on has drifted",
  superseded: "superseded by a newer one", stale: "stale: not found again", expired: "expired",
};

export function InsightSource({ found, again }: { found: NonNullable<Source["insight"]>; again: () => void }) {
  const now = useNow();
  const one = found.insight;
  const facts: [string, string | null][] = [
    ["About", `${one.subject}, ${one.metric}`], ["Value", one.value === null ? null : `${shown(one.value)}${one.unit ? ` ${one.unit}` : ""}`],
    ["Confidence", one.confidence?.toString() ?? null], ["Project", one.project_path ?? "all projects"], ["Whose", one.customer], ["Origin", author(one)],
    ["Since", full(one.valid_from)], ["Until", one.valid_until && full(one.valid_until)], ["Quarantine", found.quarantine_reason],
  ];
  const [mark, setMark] = useState<string | null>(null);
  const [isCorrecting, setCorrecting] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const acts = useActs("context", again);
  useEffect(() => setMark(null), [one.state]);
  useFollowing(one.state, mark !== null, again);
  usePulse(again, PULSE_MS);
  function say(body: Record<string, string>, next: string, told: string): void {
    acts.act(one.id, correctionsOf(one.id), body, () => {
      setMark(next);
      return done(told);
    });
  }
  const kin: [string, Insight[]][] = [["Superseded by", found.superseded_by ? [found.superseded_by] : []], ["Supersedes", found.supersedes], ["Contradicts", found.contradicts]];
  return (
    <div className="columns">
      <div className="column">
        <Part id="evidence" title="What it rests on" standing={{ tone: "idle", text: found.evidence.length ? plural(found.evidence.length, "activity", "activities") : "nothing it names" }}>
          {found.evidence.length === 0 && <p className="empty">{found.missing.length ? "The activities it names are not in the stream any more." : "It names no activity."}</p>}
          <ul className="rows">
            {found.evidence.map((each) => (
              <li key={each.activity_id} className="row">
                <div className="row-text plain">
                  <p>
                    <Link href={each.session_id ? `${sessionAddress(each.session_id)}#${each.activity_id}` : explainAddress(`activity:${each.activity_id}`)} className="link">
                      {each.activity.replaceAll("_", " ")}
                    </Link>{" "}
                    <Time at={each.ts}><span className="faint">{ago(each.ts, now)}</span></Time>
                  </p>
                  {each.says && <p className="mono small">{each.says}</p>}
                </div>
              </li>
            ))}
          </ul>
        </Part>
        {found.said_later.length > 0 && (
          <Part id="said" title="What was said about it" standing={{ tone: "idle", text: plural(found.said_later.length, "time") }}>
            <ul className="rows">
              {found.said_later.map((each) => (
                <li key={each.activity_id} className="row">
                  <div className="row-text plain">
                    <p>
                      <span className="strong">{each.action}</span> by {each.customer} <Time at={each.ts}><span className="faint">{ago(each.ts, now)}</span></Time>
                    </p>
                    {each.statement && <p className="statement">{each.statement}</p>}
                    {each.reason && <p className="faint">{each.reason}</p>}
                  </div>
                </li>
              ))}
            </ul>
          </Part>
        )}
      </div>
      <div className="column">
        <Part id="atom" title="The insight" standing={{ tone: one.state === "valid" ? "ok" : "idle", text: STATES[one.state] }}>
          <Outcome said={acts.said} />
          <div className="part-body">
            <Facts facts={facts} />
            <span className="acts">
              {mark && <span className="faint" role="status">{mark}…</span>}
              {!mark && one.state === "valid" && one.method !== "aggregate_calculation" && (
                <button type="button" className="button act" ref={opener} aria-expanded={isCorrecting} onClick={() => setCorrecting(!isCorrecting)}>Correct</button>
              )}
              {!mark && one.state === "valid" && <Act acts={acts} name={one.id} onAct={() => say({ action: "silence" }, "silenced", SILENCED)}>Silence</Act>}
              {!mark && one.state === "silenced" && <Act acts={acts} name={one.id} onAct={() => say({ action: "restore" }, "restored", RESTORED)}>Restore</Act>}
            </span>
          </div>
          {isCorrecting && !mark && one.state === "valid" && (
            <Correction isBusy={acts.busy !== null} onCancel={() => { setCorrecting(false); opener.current?.focus(); }}
              onSay={(body) => { setCorrecting(false); say(body, "corrected", CORRECTED); }} />
          )}
        </Part>
        {kin.filter(([, atoms]) => atoms.length).map(([title, atoms]) => (
          <Part key={title} id={title.replaceAll(" ", "-")} title={title} standing={{ tone: "idle", text: plural(atoms.length, "insight") }}>
            <ul className="rows">
              {atoms.map((atom) => (
                <li key={atom.id} className="row"><Link href={explainAddress(`atom:${atom.id}`)} className="link">{atom.statement}</Link></li>
              ))}
            </ul>
          </Part>
        ))}
      </div>
    </div>
  );
}

const MOMENT = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

export function Facts({ facts }: { facts: [string, string | null][] }) {
  return (
    <dl className="pairs-list left">
      {facts.filter(([, value]) => value !== null).map(([name, value]) => (
        <div key={name} className="pair">
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export const shown = (value: Value): string => (typeof value !== "string" ? JSON.stringify(value, null, 1) : MOMENT.test(value) ? full(value) : value);
