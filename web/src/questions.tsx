// Ready-made questions: all of them, and one with its form, its answer as table and chart, and where that comes from.

import { useEffect, useId, useMemo, useState, type FormEvent } from "react";
import { Part } from "./acts";
import { ApiError, get, post, type Answered, type Estimate, type Parameter, type Question, type Sessions, type Value } from "./api";
import { useAnswer, useNow } from "./data";
import { Keep } from "./artifacts";
import { ago, basename, bytes, count, full, plural } from "./format";
import { Command, Copy, Segmented, Time, Trouble, Waiting } from "./parts";
import { ResultChart, ResultTable, sketched } from "./result";
import { artifactAddress, explainAddress, go, Link, questionAddress, useAddress, useChoice, useTitle } from "./route";

interface Listed {
  questions: Question[];
}

const STATES: Record<Question["state"], string> = {
  draft: "draft: nobody has reviewed it", reviewed: "reviewed: not active yet", active: "active", blocked: "blocked: nobody may ask it",
};

// -- all of them ---------------------------------------------------------------------------------------------------

export function QuestionsPage() {
  const asked = useAnswer<Listed>("questions", {});
  const [words, setWords] = useChoice("find", "");
  useTitle("Questions");
  const all = asked.data?.questions ?? [];
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((one) => wanted.every((word) => `${one.name} ${one.title} ${one.description}`.toLowerCase().includes(word)));
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Questions</h1>
        {asked.data && <span className="faint" role="status">{wanted.length ? `${count(found.length)} of ${count(all.length)}` : `${count(all.length)} ready to ask`}</span>}
        <span className="gap" />
        {all.length > 0 && (
          <input type="search" className="field find" aria-label="Find a question" placeholder="Find a question" value={words} onChange={(event) => setWords(event.target.value)} />
        )}
      </div>
      {asked.error && !asked.error.isLocked && <Trouble error={asked.error} again={asked.again} />}
      {!asked.data && !asked.error && <Waiting />}
      {asked.data && found.length === 0 && (
        <section className="card notice">
          <h2>{all.length ? "No question has these words" : "No question may be asked"}</h2>
          <p>{all.length ? "Use fewer words, or write SQL of your own: " : "Put one of your own into the home, then see: "}<Command>{all.length ? "cdesk sql" : "cdesk template list"}</Command></p>
        </section>
      )}
      <ul className="question-cards">
        {found.map((one) => (
          <li key={one.name}>
            <Link href={questionAddress(one.name)} className="card question-card">
              <span className="strong">{one.title}</span>
              <span className="faint">{one.description}</span>
              <span className="tags">
                <span className="mono faint">{one.name}</span>
                {one.state !== "active" && <span className={`tag ${one.state === "blocked" ? "bad" : ""}`}>{one.state}</span>}
                {!one.is_bundled && <span className="tag">yours</span>}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}

// -- one of them ---------------------------------------------------------------------------------------------------

export function QuestionPage({ name }: { name: string }) {
  const listed = useAnswer<Listed>("questions", {});
  const question = listed.data?.questions.find((one) => one.name === name);
  useTitle(question?.title ?? "Question");
  return (
    <>
      <div className="session-head">
        <p className="crumbs">
          <Link href="/questions">Questions</Link>
          <span aria-hidden="true"> / </span>
          <span className="mono">{name}</span>
        </p>
        <h1 tabIndex={-1}>{question?.title ?? (listed.data ? "There is no such question" : "Question")}</h1>
        {question && <p className="under">{question.description}</p>}
        {question && question.state !== "active" && <p className={question.state === "blocked" ? "bad" : "faint"}>It is {STATES[question.state]}.</p>}
      </div>
      {listed.error && !listed.error.isLocked && <Trouble error={listed.error} again={listed.again} />}
      {!listed.data && !listed.error && <Waiting />}
      {listed.data && !question && <p><Link href="/questions" className="link">See all questions</Link></p>}
      {question && <Asking question={question} />}
    </>
  );
}

type Given = Record<string, Value>;

/** One time of asking. address: what it was asked with; with other values it is a new question. */
interface Turn {
  address: string;
  number: number;
  isFresh: boolean;
  overCap: "refuse" | "sample";
}

function Asking({ question }: { question: Question }) {
  const address = useAddress().query.toString();
  const given = useMemo(() => givenIn(new URLSearchParams(address), question.parameters), [question, address]);
  const [last, setLast] = useState<Turn>({ address, number: 0, isFresh: false, overCap: "refuse" });
  const turn = useMemo<Turn>(() => (last.address === address ? last : { address, number: 0, isFresh: false, overCap: "refuse" }), [last, address]);
  const canAsk = question.state !== "blocked" && question.parameters.every((one) => one.is_optional || one.default !== null || one.name in given);
  const { answer, error, isLoading } = useAsked(question.name, given, turn, canAsk);
  const [form, setForm] = useState({ address, number: 0 });
  if (form.address !== address) setForm({ address, number: form.number + 1 });
  const again = (isFresh: boolean, overCap: Turn["overCap"] = "refuse"): void => setLast({ address, number: turn.number + 1, isFresh, overCap });
  function ask(wanted: Given): void {
    const to = questionAddress(question.name, wanted);
    if (to === location.pathname + location.search) return again(false);
    setForm({ address: to.split("?")[1] ?? "", number: form.number });
    go(to);
  }
  return (
    <>
      <Form key={form.number} question={question} given={given} isBusy={isLoading} onAsk={ask} />
      <p className="unseen" role="status">{isLoading ? "Asking" : answer && !error ? `Answered: ${plural(answer.row_count, "row")}` : ""}</p>
      {error && !error.isLocked && <Refused error={error} question={question} onSample={() => again(false, "sample")} again={() => again(false)} />}
      {isLoading && !answer && <Waiting />}
      {!canAsk && question.state !== "blocked" && <p className="quiet-note">Say what it needs to know, then ask.</p>}
      {answer && !error && <Answer key={answer.query_id} answer={answer} question={question} isStale={isLoading} onFresh={() => again(true)} />}
    </>
  );
}

function useAsked(name: string, given: Given, turn: Turn, canAsk: boolean): { answer: Answered | null; error: ApiError | null; isLoading: boolean } {
  const [answer, setAnswer] = useState<Answered | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isLoading, setLoading] = useState(canAsk);
  const wanted = JSON.stringify(given);
  useEffect(() => {
    if (!canAsk) return;
    const stop = new AbortController();
    setLoading(true);
    const body = { parameters: JSON.parse(wanted) as Given, fresh: turn.isFresh, over_cap: turn.overCap };
    post<Answered>(`questions/${encodeURIComponent(name)}`, body, stop.signal)
      .then((found) => {
        setAnswer(found);
        setError(null);
        setLoading(false);
      })
      .catch((failure: unknown) => {
        if (stop.signal.aborted) return;
        setError(failure instanceof ApiError ? failure : new ApiError(0, String(failure)));
        setLoading(false);
      });
    return () => stop.abort();
  }, [name, wanted, turn, canAsk]);
  return { answer, error, isLoading };
}

// -- what it takes -------------------------------------------------------------------------------------------------

/** The parameters that an address names. */
function givenIn(query: URLSearchParams, parameters: Parameter[]): Given {
  return Object.fromEntries(parameters.filter((one) => query.has(one.name)).map((one) => [one.name, valueOf(one, query.getAll(one.name))]));
}

function valueOf(one: Parameter, said: string[]): Value {
  if (one.type === "list") return said;
  const text = said[0] ?? "";
  if (one.type === "boolean") return text === "true";
  const number = Number(text);
  return (one.type === "integer" || one.type === "number") && text.trim() !== "" && !Number.isNaN(number) ? number : text;
}

/** As it stands in a field. */
const written = (value: Value): string => (Array.isArray(value) ? value.map(String).join("\n") : value === null ? "" : String(value));

function Form({ question, given, isBusy, onAsk }: { question: Question; given: Given; isBusy: boolean; onAsk: (given: Given) => void }) {
  function ask(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const wanted: Given = {};
    for (const one of question.parameters) {
      const text = String(fields.get(one.name) ?? "").trim();
      const said = one.type === "list" ? text.split("\n").map((each) => each.trim()).filter(Boolean) : [text];
      if (text !== "" && text !== written(one.default)) wanted[one.name] = valueOf(one, said);
    }
    onAsk(wanted);
  }
  const folders = useFolders(question.parameters.some((one) => one.type === "folder"));
  return (
    <form className="card ask-form" aria-label="What it is asked with" onSubmit={ask}>
      {question.parameters.map((one) => <Field key={one.name} one={one} value={written(given[one.name] ?? one.default)} />)}
      {question.parameters.length === 0 && <p className="faint">It takes nothing.</p>}
      <button type="submit" className="button primary" aria-busy={isBusy || undefined} disabled={question.state === "blocked"}>{isBusy ? "Asking…" : "Ask"}</button>
      <datalist id="folders">{folders.map((path) => <option key={path} value={path}>{basename(path)}</option>)}</datalist>
    </form>
  );
}

function Field({ one, value }: { one: Parameter; value: string }) {
  const id = useId();
  const common = { id, name: one.name, defaultValue: value, "aria-describedby": `${id}-says`, required: !one.is_optional, className: "field" };
  const choices = one.type === "boolean" ? ["true", "false"] : one.choices;
  const isNumber = one.type === "integer" || one.type === "number";
  return (
    <div className={`field-box ${one.type === "list" || one.type === "folder" ? "broad" : ""}`}>
      <label htmlFor={id}>{one.name.replaceAll("_", " ")}{one.is_optional && <span className="faint"> (if you like)</span>}</label>
      {choices ? (
        <select {...common}>
          {one.is_optional && <option value="">any</option>}
          {choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
        </select>
      ) : one.type === "list" ? (
        <textarea {...common} rows={1} placeholder="one a line" />
      ) : isNumber ? (
        <input {...common} type="number" min={one.min ?? undefined} max={one.max ?? undefined} step={one.type === "integer" ? 1 : "any"} />
      ) : one.type === "day" ? (
        <input {...common} type="date" />
      ) : (
        <input {...common} type="text" maxLength={one.max ?? undefined} list={one.type === "folder" ? "folders" : undefined} spellCheck={false} />
      )}
      <span id={`${id}-says`} className="faint small">{one.description}{isNumber && one.max !== null && `; ${one.min ?? 0} to ${count(one.max)}`}</span>
    </div>
  );
}

/** Where somebody worked lately: offered, not demanded. */
function useFolders(isWanted: boolean): string[] {
  const [folders, setFolders] = useState<string[]>([]);
  useEffect(() => {
    if (!isWanted) return;
    const stop = new AbortController();
    get<Sessions>("sessions", { limit: 200 }, stop.signal)
      .then(({ sessions }) => setFolders([...new Set(sessions.map((one) => one.project).filter((path) => path !== null))].sort()))
      .catch(() => undefined); // without them, a path is written by hand
    return () => stop.abort();
  }, [isWanted]);
  return folders;
}

// -- what came of it -----------------------------------------------------------------------------------------------

function Refused({ error, question, onSample, again }: { error: ApiError; question: Question; onSample: () => void; again: () => void }) {
  const estimate = error.said.estimate as unknown as Estimate | null | undefined;
  if (!estimate) return <Trouble error={error} again={again} />;
  return (
    <section className="card notice over-cap" role="alert">
      <h2>This would read too much</h2>
      <p>{error.message}</p>
      <Meter estimate={estimate} cap={question.byte_cap} />
      <div className="acts start">
        {error.said.can_sample === true && <button type="button" className="button primary" onClick={onSample}>Answer from a sample</button>}
        <span className="faint small">{error.said.can_sample === true && "or "}ask for less: fewer days, one project</span>
      </div>
    </section>
  );
}

function Meter({ estimate, cap }: { estimate: Estimate; cap: number }) {
  const share = cap ? estimate.bytes / cap : 0;
  return (
    <div className="meter">
      <svg className={`fill ${share > 1 ? "pressed" : ""}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect width={Math.min(100, share * 100)} height="6" />
      </svg>
      <p className="small faint">About {bytes(estimate.bytes)} in {plural(estimate.rows, "row")}; it may read {bytes(cap)}.</p>
    </div>
  );
}

function Answer({ answer, question, isStale, onFresh }: { answer: Answered; question: Question; isStale: boolean; onFresh: () => void }) {
  const now = useNow();
  const sketch = useMemo(() => sketched(question.chart, answer.columns, answer.rows), [question, answer]);
  const [as, setAs] = useState<string>("chart");
  const columns = useMemo(
    () => answer.columns.map((column) => ({ ...column, description: question.columns.find((each) => each.name === column.name)?.description ?? "" })),
    [answer, question],
  );
  const behind = (row: number, column: string): string => `${explainAddress(answer.link)}&row=${row}&column=${encodeURIComponent(column)}`;
  const rows = answer.row_count;
  const standing = answer.is_recorded ? `recorded ${ago(answer.asked_at, now)}` : `asked ${ago(answer.asked_at, now)}`;
  return (
    <div className="columns answer-columns" data-stale={isStale || undefined}>
      <div className="column">
        <Part id="answer" title="Answer" standing={{ tone: answer.sample ? "busy" : !answer.is_current ? "idle" : "ok", text: `${plural(rows, "row")}, ${standing}` }}
          side={
            <>
              {sketch && <Segmented label="Shown as" value={as} onChange={setAs} choices={[["chart", "Chart"], ["table", "Table"]]} />}
              <button type="button" className="button act" onClick={onFresh} title="Ask the data as it is now, not the record">Ask anew</button>
            </>
          }>
          {answer.sample && <p className="sample-line" role="note"><strong>Sample.</strong> {answer.sample.watermark}</p>}
          {answer.rows.length === 0 && <p className="empty">Nothing matches. Ask for more days, or for less in particular.</p>}
          {sketch && as === "chart" && <ResultChart sketch={sketch} watermark={answer.sample?.watermark} />}
          {answer.rows.length > 0 && (!sketch || as === "table") && <ResultTable columns={columns} rows={answer.rows} name="The answer as a table" behind={question.is_traced ? behind : undefined} />}
          {rows > answer.rows.length && (
            <p className="card-foot">
              The first {count(answer.rows.length)} of {count(rows)} rows.{" "}
              {answer.artifact_id && <Link href={artifactAddress(answer.artifact_id)} className="link">All of them</Link>}
            </p>
          )}
        </Part>
        <SqlPart sql={answer.sql} />
      </div>
      <div className="column">
        <Origin answer={answer} question={question} />
        <Share answer={answer} />
      </div>
    </div>
  );
}

const BOUND = "as the question has it; every value is bound, never part of the text";

export function SqlPart({ sql, note = BOUND }: { sql: string; note?: string }) {
  return (
    <section className="card part sql-part" aria-label="SQL">
      <details>
        <summary><h2>SQL</h2><span className="faint">{note}</span></summary>
        <div className="part-body source-body">
          <pre tabIndex={0} aria-label="The SQL">{sql}</pre>
          <Copy text={sql} name="SQL">Copy</Copy>
        </div>
      </details>
    </section>
  );
}

function Origin({ answer, question }: { answer: Answered; question: Question }) {
  const now = useNow();
  return (
    <Part id="origin" title="Where it comes from" standing={{ tone: !answer.is_current ? "busy" : "ok", text: !answer.is_current ? "newer data has come" : "as the data is" }}>
      <div className="part-body">
        <dl className="pairs-list left">
          <dt>Data as of</dt>
          <dd>{answer.data_as_of ? <Time at={answer.data_as_of}>{full(answer.data_as_of)}</Time> : "no data yet"}</dd>
          <dt>Asked</dt>
          <dd><Time at={answer.asked_at}>{ago(answer.asked_at, now)}</Time>{answer.is_recorded && ", from the record"}</dd>
          <dt>Recorded</dt>
          <dd>{question.cache_seconds ? `good for ${spell(question.cache_seconds)}, unless you ask anew` : "while nothing new has come"}</dd>
          {answer.sample && <><dt>Sample</dt><dd>{(answer.sample.rate * 100).toPrecision(2)} % was read, seed {answer.sample.seed}</dd></>}
          <dt>Citation</dt>
          <dd><Link href={explainAddress(answer.link)} className="link mono">{answer.link}</Link></dd>
        </dl>
        {answer.estimate && !answer.sample && <Meter estimate={answer.estimate} cap={question.byte_cap} />}
        {answer.estimate && answer.sample && <p className="small faint">All of it is about {bytes(answer.estimate.bytes)} in {plural(answer.estimate.rows, "row")}; it may read {bytes(question.byte_cap)}.</p>}
        {Object.keys(answer.parameters).length > 0 && <Parameters given={answer.parameters} />}
      </div>
    </Part>
  );
}

const spell = (seconds: number): string => (seconds < 3600 ? plural(seconds / 60, "minute") : plural(seconds / 3600, "hour"));

export function Parameters({ given }: { given: Record<string, Value> }) {
  return (
    <dl className="pairs-list left" aria-label="Parameters">
      {Object.entries(given).map(([name, value]) => (
        <div key={name} className="pair">
          <dt>{name.replaceAll("_", " ")}</dt>
          <dd className={value === null ? "faint" : undefined}>{value === null ? "any" : written(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Share({ answer }: { answer: Answered }) {
  const address = location.origin + questionAddress(answer.question, Object.fromEntries(Object.entries(answer.parameters).filter(([, value]) => value !== null)));
  return (
    <Part id="share" title="Pass it on" standing={{ tone: "idle", text: "to who may look here" }}>
      <div className="part-body">
        <div className="acts start">
          <Copy text={address} name="Link to this question with these values">Copy link</Copy>
          <Copy text={answer.link} name={`Citation ${answer.link}`}>Copy citation</Copy>
        </div>
        <Keep answer={answer} />
      </div>
    </Part>
  );
}
