// What the service answers, and how it is asked. The shapes are those of src/cdesk/query/page.py.

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
  queue: { events: number; bytes: number; oldest_age_s: number; dead_letters: number };
  warehouse: { activities: number | null; data_as_of: string | null };
  lag_s: number;
  backfill: { files: number; files_total: number; bytes: number; bytes_total: number; done: boolean } | null;
}

export interface Flow {
  status: Status;
  sessions: Session[];
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

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
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
  let response: Response;
  try {
    response = await fetch(`/v1/page/${path}?${query}`, { signal: signal ?? null, credentials: "same-origin" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "the service does not answer. Is it running? `cdesk status` tells, `cdesk up` starts it.");
  }
  window.dispatchEvent(new CustomEvent(ACCESS, { detail: response.status === 401 ? "locked" : "in" }));
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, told(answer) ?? `the service answered ${response.status}.`);
  return answer as T;
}

function told(answer: unknown): string | null {
  return answer !== null && typeof answer === "object" && "error" in answer ? String(answer.error) : null;
}
