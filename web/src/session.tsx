// One session as a timeline: what was asked, said and done, by whom, for how much.

import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { ApiError, get, type Entry, type Flow, type Session, type Timeline, type Value } from "./api";
import { useNow, useSettled } from "./data";
import { ago, basename, clock, compact, cost, count, dollars, duration, full, model, plural } from "./format";
import { Lines, StateDot, Time, Trouble, Waiting } from "./parts";
import { Link, useTitle } from "./route";
import { number, tell, text, type Agent, type Call, type Item, type Story, type Turn } from "./story";

const ENTRIES_MAX = 20_000;
const TURNS_AT_ONCE = 40;
const REFRESH_MS = 3_000;

/** The session's folder: paths inside it are shown from there. */
const Folder = createContext<string | null>(null);

const inside = (path: string, folder: string | null): string => (folder && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path);

export function SessionPage({ id, flow }: { id: string; flow: Flow | null }) {
  const [session, setSession] = useState<Session | null>(null);
  const [entries, setEntries] = useState<Entry[]>([]);
  const [isWhole, setWhole] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const asked = useRef(0);

  const load = useCallback(async () => {
    const turn = ++asked.current;
    const found: Entry[] = [];
    let offset: number | null = 0;
    try {
      while (offset !== null && found.length < ENTRIES_MAX) {
        const page: Timeline = await get<Timeline>(`sessions/${encodeURIComponent(id)}`, { offset });
        if (turn !== asked.current) return;
        found.push(...page.entries);
        offset = page.next;
        setSession(page.session);
        setEntries((known) => (found.length >= known.length ? [...found] : known));
      }
      setWhole(true);
      setError(null);
    } catch (failure) {
      if (turn === asked.current) setError(failure instanceof ApiError ? failure : new ApiError(0, String(failure)));
    }
  }, [id]);
  useEffect(() => void load(), [load]);
  const live = flow?.sessions.find((known) => known.id === id);
  useSettled(live?.activities ?? null, () => void load(), REFRESH_MS);
  const story = useMemo(() => tell(entries), [entries]);
  const title = session?.title ?? session?.prompt ?? id;
  useTitle(session ? title : "Session");
  useTarget(entries);

  if (error && !session) return error.status === 404 ? <Unknown id={id} /> : <Trouble error={error} again={() => void load()} />;
  if (!session) return <Waiting rows={10} />;
  return (
    <>
      <Head session={live ?? session} title={title} />
      <div className="session-columns">
        <div className="column timeline" aria-busy={!isWhole}>
          <Folder value={session.project}>
            <Turns turns={story.turns} began={session.began_at} />
          </Folder>
          {!isWhole && <Waiting rows={3} />}
          {entries.length >= ENTRIES_MAX && <p className="empty">Only the first {count(ENTRIES_MAX)} activities are shown.</p>}
        </div>
        <aside className="column" aria-label="About this session">
          <Models story={story} />
          <Agents agents={story.agents} />
          <Tools story={story} />
          <Files story={story} project={session.project} />
        </aside>
      </div>
    </>
  );
}

/** An address that ends in #id opens that activity; where it has no place of its own, the one before it that has. */
function useTarget(entries: Entry[]): void {
  const done = useRef(false);
  useEffect(() => {
    const id = location.hash.slice(1);
    if (done.current || !id) return;
    let target: HTMLElement | null = null;
    for (let i = entries.findIndex((entry) => entry.id === id); i >= 0 && !target; i -= 1) target = document.getElementById(`e-${entries[i]!.id}`);
    if (!target) return;
    done.current = true;
    for (let above: HTMLElement | null = target; above; above = above.parentElement) if (above instanceof HTMLDetailsElement) above.open = true;
    target.classList.add("target");
    target.scrollIntoView({ block: "center" });
  });
}

function Unknown({ id }: { id: string }) {
  useTitle("Unknown session");
  return (
    <section className="card notice">
      <h1 tabIndex={-1}>No session has this id</h1>
      <p className="clip">{id}</p>
      <p>
        It may not have been read yet. <Link href="/sessions">All sessions</Link>
      </p>
    </section>
  );
}

// -- head ----------------------------------------------------------------------------------------------------------

function Head({ session, title }: { session: Session; title: string }) {
  const now = useNow();
  const facts: [string, ReactNode][] = [
    ["Cost", cost(session.cost, session.unpriced)],
    ["Tokens", compact(session.tokens)],
    ["Prompts", count(session.prompts)],
    ["Tools", <>{count(session.tools)}{session.failed > 0 && <span className="bad"> {count(session.failed)} failed</span>}</>],
    ["Length", duration(Date.parse(session.ended_at) - Date.parse(session.began_at))],
  ];
  return (
    <div className="session-head">
      <p className="crumbs">
        <Link href="/sessions">Sessions</Link>
        <span aria-hidden="true"> / </span>
        {session.project ? (
          <Link href={`/sessions?project=${encodeURIComponent(session.project)}`} title={session.project}>{basename(session.project)}</Link>
        ) : (
          <span>no project</span>
        )}
      </p>
      <h1 tabIndex={-1}>
        <StateDot state={session.state} /> {title}
      </h1>
      <p className="under">
        {session.branch && <span>{session.branch}</span>}
        {session.models.length > 0 && <span>{session.models.map(model).join(", ")}</span>}
        <span>
          began <Time at={session.began_at}>{full(session.began_at)}</Time>
        </span>
        <span>
          last <Time at={session.ended_at}>{ago(session.ended_at, now)}</Time>
        </span>
        <span className="mono faint">{session.id}</span>
      </p>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

// -- timeline ------------------------------------------------------------------------------------------------------

function Turns({ turns, began }: { turns: Turn[]; began: string }) {
  const isTargeted = location.hash.length > 1;
  const [shown, setShown] = useState(isTargeted ? Infinity : TURNS_AT_ONCE);
  if (!turns.length) return <p className="empty">Nothing of this session can be shown.</p>;
  return (
    <>
      {turns.slice(0, shown).map((turn) => (
        <TurnCard key={turn.id} turn={turn} began={began} />
      ))}
      {turns.length > shown && (
        <button type="button" className="button" onClick={() => setShown(shown + TURNS_AT_ONCE)}>
          Show {count(Math.min(TURNS_AT_ONCE, turns.length - shown))} more of {plural(turns.length - shown, "prompt")}
        </button>
      )}
    </>
  );
}

function TurnCard({ turn, began }: { turn: Turn; began: string }) {
  const prompt = turn.prompt;
  return (
    <article className="card turn" id={prompt ? `e-${prompt.id}` : undefined}>
      <header className={`turn-head ${prompt ? "" : "plain"}`}>
        <h2 className="unseen">{prompt ? `Prompt at ${clock(turn.at)}` : "Before the first prompt"}</h2>
        <div className="turn-prompt">{prompt ? <PromptText entry={prompt} /> : <span className="faint">Session begins</span>}</div>
        <p className="turn-side num">
          <Time at={turn.at}>{clock(turn.at)}</Time>
          {prompt && <span className="faint" title="since the session began">+{duration(Math.max(0, Date.parse(turn.at) - Date.parse(began)))}</span>}
        </p>
      </header>
      {turn.items.length > 0 && <Items items={turn.items} />}
      {(turn.ms > 0 || turn.cost > 0) && <footer className="turn-foot">
        <span>{duration(turn.ms)}</span>
        {turn.tools > 0 && <span>{plural(turn.tools, "tool call")}</span>}
        {turn.failed > 0 && <span className="bad">{count(turn.failed)} failed</span>}
        {turn.hooks > 0 && <span title="Hooks that ended well are counted, not listed">{plural(turn.hooks, "hook")}</span>}
        <span className="gap" />
        <span className="strong">{turn.cost ? dollars(turn.cost) : ""}</span>
      </footer>}
    </article>
  );
}

function PromptText({ entry }: { entry: Entry }) {
  const { prompt_kind, command_name, prompt_text, image_count } = entry.features;
  const command = text(command_name);
  const body = text(prompt_text);
  const images = number(image_count) ?? 0;
  return (
    <>
      {prompt_kind !== "human" && text(prompt_kind) && <span className="tag">{text(prompt_kind)}</span>}
      {command && <code className="command-name">/{command.replace(/^\//, "")}</code>}
      {body && (!command || body.length > command.length + 1) && <Long text={command ? plainCommand(body) : body} isCut={entry.cut.includes("prompt_text")} />}
      {!body && !command && <span className="faint">The text of this prompt was not kept.</span>}
      {images > 0 && <span className="tag">{plural(images, "image")}</span>}
    </>
  );
}

const plainCommand = (body: string): string => body.replace(/<\/?command-[a-z]+>/g, " ").replace(/[ \t]*\n\s*/g, "\n").trim();

function Items({ items }: { items: Item[] }) {
  return (
    <ol className="items">
      {items.map((item) => {
        switch (item.kind) {
          case "tool":
            return <ToolRow key={item.entry.id} call={item} />;
          case "agent":
            return (
              <li key={`agent-${item.id}`}>
                <AgentBox agent={item} />
              </li>
            );
          case "prompt":
            return (
              <li key={item.entry.id} id={`e-${item.entry.id}`} className="said prompted">
                <PromptText entry={item.entry} />
              </li>
            );
          case "said":
            return <SaidRow key={item.entry.id} entry={item.entry} />;
          case "note":
            return <NoteRow key={item.entry.id} entry={item.entry} />;
        }
      })}
    </ol>
  );
}

function SaidRow({ entry }: { entry: Entry }) {
  const used = number(entry.features.total_tokens);
  const about = [model(text(entry.features.model)), used ? `${compact(used)} tokens` : null, sources(entry)].filter(Boolean).join(" · ");
  return (
    <li id={`e-${entry.id}`} className="said" title={about}>
      <Long text={text(entry.features.response_text) ?? ""} isCut={entry.cut.includes("response_text")} />
      <Side at={entry.ts} amount={entry.cost} />
    </li>
  );
}

function ToolRow({ call }: { call: Call }) {
  const { entry, files, agent } = call;
  const f = entry.features;
  const isBad = f.success === false;
  const ms = number(f.latency_ms);
  const folder = useContext(Folder);
  const aim = inside(aimOf(f.parameters), folder);
  return (
    <li>
      <details id={`e-${entry.id}`} className={`tool ${isBad ? "failed" : ""}`}>
        <summary>
          <span className="tool-name">{text(f.tool_name) ?? "tool"}</span>
          <span className="aim clip">{aim}</span>
          {isBad && <span className="bad outcome">{f.interrupted === true ? "stopped" : text(f.permission_decision) === "reject" ? "declined" : "failed"}</span>}
          {f.success === undefined && <span className="faint outcome">no result</span>}
          {files.map((file, i) => (
            <Lines key={i} added={file.added} removed={file.removed} />
          )).filter((_, i) => files[i]!.added || files[i]!.removed)}
          <Side at={entry.ts} amount={call.cost} ms={ms} />
        </summary>
        <ToolDetail entry={entry} />
      </details>
      {agent && <AgentBox agent={agent} />}
    </li>
  );
}

function ToolDetail({ entry }: { entry: Entry }) {
  const { parameters, error, error_type, result_size, result_type, permission_decision, permission_source } = entry.features;
  const facts = [
    text(result_type) && number(result_size) !== null ? `gave back ${compact(number(result_size)!)} bytes of ${text(result_type)}` : null,
    text(permission_decision) ? `permission: ${text(permission_decision)}${text(permission_source) ? ` by ${text(permission_source)}` : ""}` : null,
    sources(entry) ? `seen by ${sources(entry)}` : null,
    full(entry.ts),
  ].filter(Boolean);
  return (
    <div className="tool-detail">
      {text(error) && <pre className="error">{text(error_type) && text(error_type) !== "error" ? `${text(error_type)}: ` : ""}{text(error)}</pre>}
      {parameters !== undefined && <Parameters value={parameters} />}
      <p className="faint">{facts.join(" · ")}</p>
    </div>
  );
}

function Parameters({ value }: { value: Value }) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return <pre>{JSON.stringify(value, null, 2)}</pre>;
  return (
    <dl className="parameters">
      {Object.entries(value).map(([name, given]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof given === "string" ? given : JSON.stringify(given, null, 2)}</dd>
        </div>
      ))}
    </dl>
  );
}

function AgentBox({ agent }: { agent: Agent }) {
  return (
    <details className="agent" id={`agent-${agent.id}`}>
      <summary>
        <span className="tag agent-tag">{agent.type ?? "subagent"}</span>
        <span className="clip">{agent.description ?? agent.id}</span>
        <span className="gap" />
        <span className="num faint">
          {[agent.tools ? plural(agent.tools, "tool call") : null, agent.ms === null ? null : duration(agent.ms)].filter(Boolean).join(" · ")}
        </span>
        <span className="num amount">{agent.cost ? dollars(agent.cost) : ""}</span>
      </summary>
      {agent.items.length > 0 ? <Items items={agent.items} /> : <p className="empty">What it did is not recorded.</p>}
    </details>
  );
}

const NOTES: Record<string, string> = {
  session_started: "Session started",
  session_resumed: "Session resumed",
  session_ended: "Session ended",
  session_titled: "Titled",
  context_compacted: "Context compacted",
  context_hydrated: "Context given",
  api_request_failed: "Request failed",
  hook_ran: "Hook",
  message_injected: "Message put in",
  mcp_called: "MCP",
};

function NoteRow({ entry }: { entry: Entry }) {
  const isBad = entry.activity === "api_request_failed" || text(entry.features.outcome)?.includes("error") === true;
  return (
    <li id={`e-${entry.id}`} className={`note ${isBad ? "failed" : ""}`}>
      <span className="note-name">{NOTES[entry.activity] ?? entry.activity.replaceAll("_", " ")}</span>
      <span className="clip">{about(entry)}</span>
      <Side at={entry.ts} amount={null} />
    </li>
  );
}

function about(entry: Entry): string {
  const f = entry.features;
  const join = (...parts: (string | null | undefined)[]): string => parts.filter(Boolean).join(" · ");
  switch (entry.activity) {
    case "context_compacted":
      return join(text(f.trigger), number(f.pre_tokens) === null ? null : `${compact(number(f.pre_tokens)!)} tokens before`, number(f.post_tokens) === null ? null : `${compact(number(f.post_tokens)!)} after`);
    case "api_request_failed":
      return join(number(f.status)?.toString(), text(f.error_type), text(f.error), number(f.retry_attempt) === null ? null : `try ${number(f.retry_attempt)}`);
    case "hook_ran":
      return join(text(f.hook_name) ?? text(f.hook_event), text(f.outcome), number(f.duration_ms) === null ? null : duration(number(f.duration_ms)!));
    case "message_injected":
      return join(text(f.kind)?.replaceAll("_", " "), text(f.text)?.slice(0, 300));
    case "session_started":
      return join(text(f.start_source), text(f.model) ? model(text(f.model)) : null, text(f.cli_version) ? `Claude Code ${text(f.cli_version)}` : null);
    case "session_ended":
      return join(text(f.end_reason));
    case "session_titled":
      return join(text(f.title));
    case "context_hydrated":
      return join(text(f.hook_event), f.is_whole === false ? "what was new" : null, Array.isArray(f.statements) ? plural(f.statements.length, "statement") : null);
    default:
      return join(text(f.file_path), text(f.message), text(f.event_type), text(f.method));
  }
}

function Side({ at, amount, ms = null }: { at: string; amount: number | null; ms?: number | null }) {
  return (
    <span className="side num">
      <span className="faint ms">{ms === null ? "" : duration(ms)}</span>
      <span className="amount">{amount ? dollars(amount) : ""}</span>
      <Time at={at}>
        <span className="faint">{clock(at)}</span>
      </Time>
    </span>
  );
}

const sources = (entry: Entry): string => (entry.sources ?? "").split(",").filter(Boolean).join(", ");

const AIMS = ["description", "file_path", "path", "notebook_path", "pattern", "command", "query", "url", "prompt", "subject", "skill"];

function aimOf(parameters: Value | undefined): string {
  if (parameters === null || parameters === undefined || typeof parameters !== "object" || Array.isArray(parameters)) return "";
  for (const name of AIMS) if (text(parameters[name])) return text(parameters[name])!;
  const first = Object.values(parameters).find((value) => typeof value === "string");
  return text(first) ?? "";
}

const LONG = 600;
const LINES = 9;

function Long({ text: whole, isCut }: { text: string; isCut: boolean }) {
  const [isOpen, setOpen] = useState(false);
  const isLong = whole.length > LONG || whole.split("\n").length > LINES;
  return (
    <div className="long">
      <div className={`prose ${isLong && !isOpen ? "clamped" : ""}`}>{whole}</div>
      {isLong && (
        <button type="button" className="link" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {isOpen ? "Show less" : "Show all"}
        </button>
      )}
      {isOpen && isCut && <span className="faint"> The text goes on; this page shows its first 4,000 characters.</span>}
    </div>
  );
}

// -- beside it -----------------------------------------------------------------------------------------------------

function Models({ story }: { story: Story }) {
  if (!story.models.length) return null;
  return (
    <section className="card" aria-labelledby="models-title">
      <h2 id="models-title" className="card-title">Cost by model</h2>
      <ul className="pairs">
        {story.models.map((each) => (
          <li key={each.name} title={each.name}>
            <span className="clip">{model(each.name)}</span>
            <span className="num faint">{compact(each.tokens)}</span>
            <span className="num">{cost(each.unpriced && !each.cost ? null : each.cost, each.unpriced)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Agents({ agents }: { agents: Agent[] }) {
  const worked = agents.filter((agent) => agent.items.length > 0);
  if (!worked.length) return null;
  function show(agent: Agent): void {
    const box = document.getElementById(`agent-${agent.id}`);
    for (let above = box; above; above = above.parentElement) if (above instanceof HTMLDetailsElement) above.open = true;
    box?.scrollIntoView({ block: "center" });
    box?.querySelector("summary")?.focus();
  }
  return (
    <section className="card" aria-labelledby="agents-title">
      <h2 id="agents-title" className="card-title">Subagents</h2>
      <ul className="pairs">
        {worked.map((agent) => (
          <li key={agent.id}>
            <button type="button" className="link clip" onClick={() => show(agent)}>
              {agent.description ?? agent.type ?? agent.id}
            </button>
            <span className="num faint">{count(agent.tools)}</span>
            <span className="num">{agent.cost ? dollars(agent.cost) : "–"}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Tools({ story }: { story: Story }) {
  if (!story.tools.length) return null;
  return (
    <section className="card" aria-labelledby="tools-title">
      <h2 id="tools-title" className="card-title">Tools</h2>
      <ul className="pairs">
        {story.tools.map((tool) => (
          <li key={tool.name}>
            <span className="clip" title={tool.name}>{tool.name}</span>
            <span className="num faint">{tool.ms ? duration(tool.ms) : ""}</span>
            <span className="num">
              {tool.failed > 0 && <span className="bad">{count(tool.failed)} of </span>}
              {count(tool.calls)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Files({ story, project }: { story: Story; project: string | null }) {
  if (!story.files.length) return null;
  return (
    <section className="card" aria-labelledby="files-title">
      <h2 id="files-title" className="card-title">Files changed</h2>
      <ul className="pairs two">
        {story.files.map((file) => (
          <li key={file.path} title={file.path}>
            <span className="clip mono path">{inside(file.path, project)}</span>
            <span className="num">
              <Lines added={file.added} removed={file.removed} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
