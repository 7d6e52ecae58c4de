// Makes a session's activities a story: turns, what belongs to each, subagents inside the call that started them.

import type { Entry, Value } from "./api";

export interface FileChange {
  path: string;
  operation: string;
  added: number;
  removed: number;
}

export interface Call {
  kind: "tool";
  entry: Entry;
  files: FileChange[];
  agent: Agent | null;
  /** Cost of the answer that made the call; only its first call has it. */
  cost: number | null;
}

export interface Agent {
  kind: "agent";
  id: string;
  type: string | null;
  description: string | null;
  at: string;
  cost: number;
  tools: number;
  ms: number | null;
  items: Item[];
}

export interface Prompt {
  kind: "prompt";
  entry: Entry;
}

export interface Said {
  kind: "said";
  entry: Entry;
}

export interface Note {
  kind: "note";
  entry: Entry;
}

export type Item = Call | Agent | Prompt | Said | Note;

export interface Turn {
  id: string;
  prompt: Entry | null;
  at: string;
  ms: number;
  cost: number;
  tools: number;
  failed: number;
  hooks: number;
  items: Item[];
}

export interface Story {
  turns: Turn[];
  agents: Agent[];
  files: FileChange[];
  tools: { name: string; calls: number; failed: number; ms: number }[];
  models: { name: string; cost: number; tokens: number; unpriced: number }[];
}

const HIDDEN = new Set(["session_totalled", "session_heartbeat", "turn_completed", "subagent_started", "subagent_completed", "line_kept"]);

export const text = (value: Value | undefined): string | null => (typeof value === "string" && value !== "" ? value : null);
export const number = (value: Value | undefined): number | null => (typeof value === "number" ? value : null);
export const isFile = (entry: Entry): boolean => entry.activity.startsWith("file_");
export const isCounted = (entry: Entry): boolean => entry.activity === "claude_responded" && entry.features.is_counted !== false;

const isQuietHook = (entry: Entry): boolean => entry.activity === "hook_ran" && entry.features.outcome === "success";

export function tell(entries: Entry[]): Story {
  const agents = agentsOf(entries);
  const calls = new Map<string, Call>();
  const paid = new Set<string>();
  const costs = new Map<string, number>();
  for (const entry of entries) {
    const message = text(entry.features.message_id);
    if (isCounted(entry) && message && entry.cost !== null) costs.set(message, entry.cost);
    if (message && text(entry.features.response_text)) paid.add(message); // its text is shown, and the cost beside it
  }
  const main: Item[] = [];
  const placed = new Set<string>();
  for (const entry of entries) {
    const home = agents.get(text(entry.features.agent_id) ?? "")?.items ?? main;
    const use = text(entry.features.tool_use_id);
    if (entry.activity === "tool_called") {
      const message = text(entry.features.message_id);
      const isFirst = message !== null && !paid.has(message);
      if (message) paid.add(message);
      const call: Call = { kind: "tool", entry, files: [], agent: null, cost: isFirst ? (costs.get(message) ?? null) : null };
      if (use) calls.set(use, call);
      home.push(call);
    } else if (entry.activity === "user_asked") home.push({ kind: "prompt", entry });
    else if (entry.activity === "claude_responded") {
      if (text(entry.features.response_text)) home.push({ kind: "said", entry });
    } else if (isQuietHook(entry)) continue;
    else if (!isFile(entry) && entry.activity !== "mcp_called" && !HIDDEN.has(entry.activity)) home.push({ kind: "note", entry });
    else if (entry.activity === "mcp_called" && !use) home.push({ kind: "note", entry });
  }
  for (const entry of entries) if (isFile(entry)) attach(entry, calls, agents, main);
  for (const agent of agents.values()) place(agent, entries, calls, agents, main, placed);
  return { turns: turnsOf(main, entries), agents: [...agents.values()], files: filesOf(entries), tools: toolsOf(entries), models: modelsOf(entries) };
}

function change(entry: Entry): FileChange {
  const { file_path, operation, lines_added, lines_removed } = entry.features;
  return { path: text(file_path) ?? "", operation: text(operation) ?? "", added: number(lines_added) ?? 0, removed: number(lines_removed) ?? 0 };
}

function attach(entry: Entry, calls: Map<string, Call>, agents: Map<string, Agent>, main: Item[]): void {
  const call = calls.get(text(entry.features.tool_use_id) ?? "");
  if (call) call.files.push(change(entry));
  else insert(agents.get(text(entry.features.agent_id) ?? "")?.items ?? main, { kind: "note", entry });
}

function agentsOf(entries: Entry[]): Map<string, Agent> {
  const found = new Map<string, Agent>();
  for (const entry of entries) {
    const f = entry.features;
    const id = text(f.agent_id) ?? (entry.activity.startsWith("subagent_") ? text(f.subagent_id) : null);
    if (!id) continue;
    const agent: Agent = found.get(id) ?? { kind: "agent", id, type: null, description: null, at: entry.ts, cost: 0, tools: 0, ms: null, items: [] };
    found.set(id, agent);
    if (entry.activity.startsWith("subagent_")) {
      agent.type ??= text(f.agent_type);
      agent.description ??= text(f.description);
      agent.ms ??= number(f.duration_ms);
    }
    if (isCounted(entry)) agent.cost += entry.cost ?? 0;
    if (entry.activity === "tool_called") agent.tools += 1;
  }
  return found;
}

/** Inside the call that started it, else where it began. */
function place(agent: Agent, entries: Entry[], calls: Map<string, Call>, agents: Map<string, Agent>, main: Item[], placed: Set<string>): void {
  if (placed.has(agent.id)) return;
  placed.add(agent.id);
  const told = entries.filter((entry) => entry.activity.startsWith("subagent_") && text(entry.features.subagent_id) === agent.id);
  const use = told.map((entry) => text(entry.features.tool_use_id)).find((known) => known !== null) ?? null;
  const call = (use ? calls.get(use) : undefined) ?? [...calls.values()].find((known) => text(known.entry.features.subagent_id) === agent.id);
  if (call && !call.agent && !isWithin(call, agent)) {
    const given = call.entry.features.parameters;
    if (given !== null && typeof given === "object" && !Array.isArray(given)) agent.description ??= text(given.description);
    call.agent = agent;
    return;
  }
  if (!agent.items.length) return;
  const parent = told.map((entry) => text(entry.features.parent_agent_id)).find((known) => known !== null);
  const above = parent && parent !== agent.id ? agents.get(parent) : undefined;
  insert(above && !holds(agent, above) ? above.items : main, agent);
}

function isWithin(call: Call, agent: Agent): boolean {
  return agent.items.includes(call) || agent.items.some((item) => item.kind === "tool" && item.agent !== null && isWithin(call, item.agent));
}

function holds(outer: Agent, inner: Agent): boolean {
  return outer.items.some((item) => item === inner || (item.kind === "agent" && holds(item, inner)) || (item.kind === "tool" && item.agent !== null && (item.agent === inner || holds(item.agent, inner))));
}

export const at = (item: Item): string => (item.kind === "agent" ? item.at : item.entry.ts);

function insert(items: Item[], item: Item): void {
  let i = items.length;
  while (i > 0 && at(items[i - 1]!) > at(item)) i -= 1;
  items.splice(i, 0, item);
}

function turnsOf(items: Item[], entries: Entry[]): Turn[] {
  const turns: Turn[] = [];
  for (const item of items) {
    const isPrompt = item.kind === "prompt";
    if (isPrompt || !turns.length) {
      turns.push({ id: isPrompt ? item.entry.id : "start", prompt: isPrompt ? item.entry : null, at: at(item), ms: 0, cost: 0, tools: 0, failed: 0, hooks: 0, items: [] });
    }
    if (!isPrompt) turns[turns.length - 1]!.items.push(item);
  }
  let i = -1;
  for (const entry of entries) {
    while (i + 1 < turns.length && turns[i + 1]!.at <= entry.ts) i += 1;
    const turn = turns[Math.max(0, i)];
    if (!turn) continue;
    turn.ms = Math.max(turn.ms, Date.parse(entry.ts) - Date.parse(turn.at));
    if (isCounted(entry)) turn.cost += entry.cost ?? 0;
    if (isQuietHook(entry)) turn.hooks += 1;
    if (entry.activity === "tool_called") {
      turn.tools += 1;
      if (entry.features.success === false) turn.failed += 1;
    }
  }
  return turns;
}

function grouped<T>(entries: Entry[], key: (entry: Entry) => string | null, start: (name: string) => T, add: (known: T, entry: Entry) => void): T[] {
  const found = new Map<string, T>();
  for (const entry of entries) {
    const name = key(entry);
    if (name === null) continue;
    const known = found.get(name) ?? start(name);
    found.set(name, known);
    add(known, entry);
  }
  return [...found.values()];
}

function filesOf(entries: Entry[]): FileChange[] {
  const isChange = (entry: Entry): boolean => isFile(entry) && entry.activity !== "file_read" && entry.features.success !== false;
  return grouped<FileChange>(
    entries,
    (entry) => (isChange(entry) ? text(entry.features.file_path) : null),
    (path) => ({ path, operation: "", added: 0, removed: 0 }),
    (known, entry) => {
      const more = change(entry);
      known.added += more.added;
      known.removed += more.removed;
    },
  ).sort((a, b) => b.added + b.removed - a.added - a.removed);
}

function toolsOf(entries: Entry[]): Story["tools"] {
  return grouped<Story["tools"][number]>(
    entries,
    (entry) => (entry.activity === "tool_called" ? (text(entry.features.tool_name) ?? "tool") : null),
    (name) => ({ name, calls: 0, failed: 0, ms: 0 }),
    (known, entry) => {
      known.calls += 1;
      if (entry.features.success === false) known.failed += 1;
      known.ms += Math.max(0, number(entry.features.latency_ms) ?? 0);
    },
  ).sort((a, b) => b.calls - a.calls);
}

function modelsOf(entries: Entry[]): Story["models"] {
  return grouped<Story["models"][number]>(
    entries,
    (entry) => (isCounted(entry) && text(entry.features.model) !== "<synthetic>" ? (text(entry.features.model) ?? "no model") : null),
    (name) => ({ name, cost: 0, tokens: 0, unpriced: 0 }),
    (known, entry) => {
      known.cost += entry.cost ?? 0;
      known.tokens += number(entry.features.total_tokens) ?? 0;
      if (entry.cost === null && number(entry.features.total_tokens)) known.unpriced += 1;
    },
  ).sort((a, b) => b.cost - a.cost || b.tokens - a.tokens);
}
