// Small things that several pages are made of.

import { useEffect, useId, useState, type ReactNode } from "react";
import type { ApiError, State } from "./api";
import { count, full } from "./format";

export function Segmented({ label, choices, value, onChange }: {
  label: string;
  choices: readonly (readonly [value: string, name: string])[];
  value: string;
  onChange: (value: string) => void;
}) {
  const group = useId();
  return (
    <fieldset className="segmented">
      <legend className="unseen">{label}</legend>
      {choices.map(([choice, name]) => (
        <label key={choice} className={choice === value ? "on" : undefined}>
          <input type="radio" name={group} value={choice} checked={choice === value} onChange={() => onChange(choice)} />
          {name}
        </label>
      ))}
    </fieldset>
  );
}

/** A line as wide as the text it stands beside. It repeats what the figure says, so it is not read out. */
export function Spark({ values, tone = "plain" }: { values: number[]; tone?: "plain" | "bad" }) {
  const most = Math.max(...values, 0);
  if (values.length < 2 || most <= 0) return <svg className="spark" viewBox="0 0 100 24" aria-hidden="true" />;
  const step = 100 / (values.length - 1);
  const points = values.map((value, i) => `${(i * step).toFixed(2)},${(22 - (value / most) * 20).toFixed(2)}`);
  return (
    <svg className={`spark ${tone}`} viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
      <polygon points={`0,24 ${points.join(" ")} 100,24`} />
      <polyline points={points.join(" ")} />
    </svg>
  );
}

export function Time({ at, children }: { at: string; children: ReactNode }) {
  return (
    <time dateTime={at} title={full(at)}>
      {children}
    </time>
  );
}

const STATES: Record<State, string> = { working: "working", waiting: "waits for you", quiet: "quiet", ended: "ended" };

export function StateDot({ state }: { state: State }) {
  return (
    <span className={`state ${state}`} title={STATES[state]}>
      <span className="unseen">{STATES[state]}</span>
    </span>
  );
}

export function Lines({ added, removed }: { added: number; removed: number }) {
  if (!added && !removed) return <span className="faint">–</span>;
  return (
    <span className="lines">
      <span className="plus">+{count(added)}</span> <span className="minus">−{count(removed)}</span>
    </span>
  );
}

export function Trouble({ error, again }: { error: ApiError; again: () => void }) {
  return (
    <section className="card notice" role="alert">
      <h2>That did not work</h2>
      <p>{error.message}</p>
      <button type="button" className="button" onClick={again}>
        Try again
      </button>
    </section>
  );
}

export function Waiting({ rows = 6 }: { rows?: number }) {
  return (
    <div className="waiting" aria-busy="true">
      <span className="unseen">Loading</span>
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} />
      ))}
    </div>
  );
}

export function Command({ children }: { children: string }) {
  return <code className="command">{children}</code>;
}

const COPIED_MS = 2_000;

/** Puts a text where it can be pasted. name: what it is, for who does not see the page */
export function Copy({ text, name, children }: { text: string; name: string; children: string }) {
  const [said, setSaid] = useState<"" | "Copied" | "Not copied">("");
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), COPIED_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <button type="button" className="button act" aria-label={`${children}: ${name}`}
      onClick={() => void navigator.clipboard.writeText(text).then(() => setSaid("Copied"), () => setSaid("Not copied"))}>
      <span role="status">{said || children}</span>
    </button>
  );
}
