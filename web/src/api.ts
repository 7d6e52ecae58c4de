// What the service answers, and how it is asked. The shapes are those of src/cdesk/query/page.py; for the health and the
// context page, of health.py and told.py in src/cdesk/surface/http; for questions and artifacts, of the service's own routes.

export type By = "model" | "project";
export type Grain = "hour" | "day";
export type State = "working" | "waiting" | "quiet" | "ended";

export interface Period {
  days: number;
  start: string;
  end: string;
  timezone: string;
  compared_with: number;
  buckets: string[];
  grain: Grain;
}

export interface Figure {
  value: number | null;
  baseline: number | null;
  spark: number[];
  unpriced: number;
}

export interface Failures {
  failed: number;
  calls: number;
  rate: number | null;
  baseline: number | null;
  spark: number[];
}

export interface Series {
  name: string | null;
  cost: number[];
  tokens: number[];
  unpriced: number;
  others: number;
}

export interface Failure {
  id: string;
  ts: string;
  session: string | null;
  project: string | null;
  source: string;
  what: string | null;
  error_type: string | null;
  message: string | null;
}

export interface Source {
  source: string;
  activities: number;
  newest: string | null;
  facts: number | null;
  seen: number | null;
  repaired: number | null;
}

export interface Overview {
  period: Period;
  activities: number;
  data_as_of: string | null;
  sources: Source[];
  spend: Figure;
  tokens: Figure;
  sessions: Figure;
  failures: Failures;
  by: By;
  series: Series[];
  latest_failures: Failure[];
}

export interface Session {
  id: string;
  began_at: string;
  ended_at: string;
  state: State;
  title: string | null;
  prompt: string | null;
  doing: string | null;
  project: string | null;
  branch: string | null;
  models: string[];
  activities: number;
  prompts: number;
  responses: number;
  tools: number;
  failed: number;
  tokens: number;
  cost: number | null;
  unpriced: number;
}

export interface Status {
  running: boolean;
  pid: number | null;
  home: string;
  sample: boolean;
  queue: {
    events: number;
    bytes: number;
    oldest_age_s: number;
    dead_letters: number;
    level: "normal" | "elevated" | "high" | "critical";
    segments: number;
    stored: number;
    bytes_max: number;
    refused: Record<string, number>;
    counted: { acknowledged: number; delivered: number; shrunk: number; sampled: number } | null;
    recovery: { segments: number; bytes: number; torn: number; killed_pid: number | null } | null;
  };
  warehouse: { activities: number | null; data_as_of: string | null };
  lag_s: number;
  budget: BudgetStanding | null;
  backfill: { files: number; files_total: number; bytes: number; bytes_total: number; done: boolean } | null;
}

/** How a day stands to what it may cost in Snowflake. */
export interface BudgetStanding {
  day: string;
  usd: number;
  estimated_usd: number;
  budget_usd: number | null;
  soft_usd: number | null;
  level: "ok" | "soft" | "hard";
  as_of: string;
}

export interface CostRow {
  day: string;
  workload: string;
  tag: string | null;
  runs: number;
  cpu_s: number;
  bytes_read: number | null;
  bytes_written: number | null;
}

export interface CreditRow {
  day: string;
  workload: string;
  tag: string | null;
  credits: number;
  credits_estimated: number;
  usd: number;
  statements: number | null;
}

export interface TeamCost {
  rows: CreditRow[];
  usd_per_credit: number;
  budget: BudgetStanding | null;
  as_of: string | null;
  trouble: string | null;
}

/** What cdesk itself costs. */
export interface Cost {
  by: "workload" | "tag";
  since: string;
  until: string;
  embedded: CostRow[];
  snowflake: TeamCost | null;
}

export interface Need {
  what: "refused" | "pressure" | "behind" | "task_failed" | "drift" | "dead_letters" | "task_suspended" | "budget";
  count: number;
  is_urgent: boolean;
}

export interface Flow {
  status: Status;
  sessions: Session[];
  needs: Need[];
}

export interface Whole {
  overview: Overview;
  flow: Flow;
}

export interface Sessions {
  sessions: Session[];
  next: string | null;
}

export type Value = null | boolean | number | string | Value[] | { [name: string]: Value };

export interface Entry {
  id: string;
  ts: string;
  activity: string;
  cost: number | null;
  sources: string | null;
  features: Record<string, Value>;
  cut: string[];
}

export interface Timeline {
  session: Session;
  entries: Entry[];
  next: number | null;
}

export interface Project {
  project: string | null;
  sessions: number;
  people: number;
  cost: number | null;
  unpriced: number;
  tokens: number;
  responses: number;
  tools: number;
  failed: number;
  files: number;
  added: number;
  removed: number;
  newest: string;
  spark: number[];
}

export interface Projects {
  period: Period;
  projects: Project[];
  total: number;
}

export interface TaskReport {
  name: string;
  meaning: string;
  schedule: string;
  reads: string[];
  state: "started" | "suspended";
  suspended_by: "failures" | "request" | null;
  has_data: boolean;
  failures_in_a_row: number;
  last_state: "SUCCEEDED" | "FAILED" | null;
  last_completed: string | null;
  last_error: string | null;
  runs_24h: number;
  failures_24h: number;
  average_ms_24h: number | null;
}

export interface StreamLag {
  name: string;
  reads: string;
  pending: number;
  oldest: string | null;
  lag_s: number;
}

export interface Drifted {
  id: string;
  message: string;
  activity: string;
  severity: "info" | "warning" | "error";
  status: "open" | "accepted" | "released";
  policy: "additive" | "strict" | "frozen";
  occurrences: number;
  quarantined: number;
  first_seen: string;
  last_seen: string;
}

export interface SetAside {
  id: string;
  reason: string;
  source: string;
  offset: number;
  at: string;
  size: number;
  count: number;
  text: string;
}

export interface Health {
  needs: Need[];
  status: Status;
  tasks: TaskReport[];
  streams: StreamLag[];
  drift: { unsettled: number; settled: number; incidents: Drifted[] };
  dead: { total: number; letters: SetAside[] };
  identities: { standing: number; undone: number; unfinished: number; latest_at: string | null };
}

export interface RunReport {
  task: string;
  rows_changed: number;
  elapsed_ms: number;
  error: string | null;
}

export interface Settled {
  requeued: number;
  still_quarantined: number;
}

export interface Replayed {
  asked: number;
  replayed: number;
  stays: Record<string, string>;
}

export interface Line {
  text: string;
  section: string;
  sources: string[];
  why: string;
}

export interface ToldLine extends Line {
  score: number;
  is_told: boolean;
}

export type Kind = "default" | "executive" | "analyst" | "engineer";

export interface Telling {
  id: string;
  ts: string;
  session: string | null;
  project: string | null;
  by: string;
  is_whole: boolean;
  channel: string | null;
  version: string | null;
  age_ms: number | null;
  is_stale: boolean;
  bytes: number | null;
  text: string | null;
  lines: Line[];
}

export interface Insight {
  id: string;
  customer: string;
  subject: string;
  metric: string;
  statement: string;
  value: Value;
  unit: string | null;
  grain: string | null;
  confidence: number | null;
  method: string;
  author: string | null;
  project_path: string | null;
  valid_from: string;
  valid_until: string | null;
  updated_at: string;
  state: "valid" | "silenced" | "quarantined" | "superseded" | "stale" | "expired";
  superseded_by: string | null;
  contradicts: string[];
}

export interface ToldPage {
  places: { project_path: string | null; data_as_of: number }[];
  context: {
    customer: string;
    project: string | null;
    kind: Kind;
    version: string;
    built_at: number;
    data_as_of: number | null;
    age_seconds: number;
    is_stale: boolean;
    lines: ToldLine[];
  };
  hook: "off" | "brief" | "full";
  characters: number;
  told: Telling[];
  silenced: Insight[];
}

export interface Source {
  explanation: {
    citation: string;
    is_a: "activity" | "insight" | "query" | "artifact";
    said: Record<string, Value>;
    comes_from: string[];
    cell: { row: number; column: string; value: Value; says: Record<string, Value>; activities: string[] } | null;
  };
  insight: {
    insight: Insight;
    quarantine_reason: string | null;
    evidence: { activity_id: string; ts: string; activity: string; session_id: string | null; says: string }[];
    missing: string[];
    superseded_by: Insight | null;
    supersedes: Insight[];
    contradicts: Insight[];
    said_later: { activity_id: string; ts: string; customer: string; action: string; statement: string | null; reason: string | null }[];
  } | null;
}

export interface Parameter {
  name: string;
  type: "integer" | "number" | "text" | "folder" | "choice" | "boolean" | "day" | "list";
  description: string;
  default: Value;
  /** Of numbers their bounds, of texts how many characters. */
  min: number | null;
  max: number | null;
  choices: string[] | null;
  is_optional: boolean;
}

export interface Column {
  name: string;
  type: string;
  unit?: string | null;
  description?: string;
}

export interface ChartHint {
  kind: "bars" | "line" | "table";
  x: string | null;
  y: string | null;
  series: string | null;
}

export interface Question {
  name: string;
  title: string;
  description: string;
  version: number;
  parameters: Parameter[];
  columns: Column[];
  chart: ChartHint | null;
  roles: string[];
  access: string;
  state: "draft" | "reviewed" | "active" | "blocked";
  byte_cap: number;
  cache_seconds: number;
  is_bundled: boolean;
  /** It says which activities are behind a cell. */
  is_traced: boolean;
}

export interface Estimate {
  bytes: number;
  rows: number;
}

export interface Answered {
  query_id: string;
  link: string;
  question: string;
  parameters: Record<string, Value>;
  columns: Column[];
  rows: Value[][];
  row_count: number;
  data_as_of: string | null;
  asked_at: string;
  is_recorded: boolean;
  is_current: boolean;
  estimate: Estimate | null;
  sample: { rate: number; seed: number; watermark: string } | null;
  sql: string;
  artifact_id: string | null;
}

export interface Listed {
  artifact_id: string;
  created_at: string;
  customer: string;
  kind: string;
  title: string;
  row_count: number;
  column_count: number;
  bytes: number;
  sha256: string;
  query_id: string | null;
  expires_at: string | null;
  is_pinned: boolean;
  is_held: boolean;
  access_count: number;
  last_accessed_at: string | null;
  version: number;
  parent_artifact_id: string | null;
}

export interface ArtifactColumn extends Column {
  nullable: boolean | null;
  precision: number | null;
}

export interface Artifact extends Listed {
  columns: ArtifactColumn[];
  sample: Value[][];
  row_group_bytes: number[];
  chart: { kind: "bar" | "line"; x: string; y: string; series: string | null } | null;
  children: string[];
  /** Its file is where its row says. */
  has_content: boolean;
}

export interface Ticket {
  ticket: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled" | "lost";
  query_id: string;
  sql: string;
  title: string;
  role: string;
  submitted_at: string;
  expires_at: string;
  started_at: string | null;
  ended_at: string | null;
  progress: number | null;
  row_count: number | null;
  artifact_id: string | null;
  error: string | null;
  bytes_max: number;
  estimate: Estimate | null;
  sample: { rate: number; seed: number; watermark: string } | null;
}

export interface ArtifactLink {
  url: string;
  expires_at: string;
}

export interface ArtifactRows {
  columns: ArtifactColumn[];
  rows: Value[][];
  offset: number;
  row_count: number;
  cursor: string | null;
}

export type ActOutcome = Artifact | ArtifactLink | RunReport | Settled | Replayed | { dropped: number } | { tasks: TaskReport[] } | { id: string } | Ticket;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** All that was said, where it was more than the error. */
    readonly said: Record<string, Value> = {},
  ) {
    super(message);
  }

  get isLocked(): boolean {
    return this.status === 401;
  }
}

export const TIMEZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Told with every answer: "in", or "locked" when the service wants a cookie first. */
export const ACCESS = "cdesk-access";

/** Answers, or ApiError; status 0 when the service does not answer at all. */
export async function get<T>(path: string, given: Record<string, string | number | null> = {}, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) if (value !== null) query.set(name, String(value));
  return asked<T>(`/v1/page/${path}${query.size ? `?${query}` : ""}`, { signal: signal ?? null });
}

/** A question, or an act of one of the pages. */
export async function post<T>(path: string, body: unknown, signal?: AbortSignal, method = "POST"): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  return asked<T>(`/v1/page/${path}`, { method, headers, body: JSON.stringify(body), signal: signal ?? null });
}

async function asked<T>(url: string, how: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { ...how, credentials: "same-origin" });
  } catch (error) {
    if (how.signal?.aborted) throw error;
    throw new ApiError(0, "the service does not answer. Is it running? `cdesk status` tells, `cdesk up` starts it.");
  }
  window.dispatchEvent(new CustomEvent(ACCESS, { detail: response.status === 401 ? "locked" : "in" }));
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const said = answer !== null && typeof answer === "object" ? (answer as Record<string, Value>) : {};
    throw new ApiError(response.status, "error" in said ? String(said.error) : `the service answered ${response.status}.`, said);
  }
  return answer as T;
}
