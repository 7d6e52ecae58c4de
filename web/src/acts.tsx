// Parts of a page that something can be done about: how it stands, buttons that act, and what came of it.

import { useEffect, useRef, useState, type ReactNode } from "react";
import { post, type ActOutcome } from "./api";

export type Tone = "ok" | "busy" | "bad" | "idle";
export interface Standing {
  tone: Tone;
  text: string;
}

export interface Said {
  text: string;
  isBad: boolean;
}

export interface Acts {
  busy: string | null;
  said: Said | null;
  act: (name: string, path: string, body: unknown, tell: (outcome: ActOutcome) => Said, method?: "POST" | "DELETE") => void;
}

/** One act at a time; what came of it is said, and the page asks again. room: the page whose acts they are */
export function useActs(room: "health" | "context" | "artifacts" | "queries", again: () => void): Acts {
  const [busy, setBusy] = useState<string | null>(null);
  const [said, setSaid] = useState<Said | null>(null);
  function act(name: string, path: string, body: unknown, tell: (outcome: ActOutcome) => Said, method: "POST" | "DELETE" = "POST"): void {
    if (busy !== null) return;
    setBusy(name);
    setSaid(null);
    post<ActOutcome>(`${room}/${path}`, body, undefined, method)
      .then((outcome) => setSaid(tell(outcome)))
      .catch((error: unknown) => setSaid({ text: error instanceof Error ? error.message : String(error), isBad: true }))
      .finally(() => {
        setBusy(null);
        again();
      });
  }
  return { busy, said, act };
}

export const done = (text: string): Said => ({ text, isBad: false });

/** aria-disabled, not disabled: who acts by keyboard does not lose the place. */
export function Act({ acts, name, children, isOff = false, title, onAct }: {
  acts: Acts; name: string; children: string; isOff?: boolean; title?: string; onAct: () => void;
}) {
  const isBusy = acts.busy === name;
  const isStill = isOff || acts.busy !== null;
  return (
    <button type="button" className="button act" aria-disabled={isStill || undefined} aria-busy={isBusy || undefined} aria-label={title} title={title}
      onClick={() => !isStill && onAct()}>
      {isBusy ? "…" : children}
    </button>
  );
}

/** Asks once more before what cannot be taken back. */
export function Confirmed({ acts, name, children, question, yes, title, onAct }: {
  acts: Acts; name: string; children: string; question: string; yes: string; title?: string; onAct: () => void;
}) {
  const [isAsking, setAsking] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  const wasAsking = useRef(false);
  useEffect(() => {
    if (isAsking !== wasAsking.current) box.current?.querySelector("button")?.focus();
    wasAsking.current = isAsking;
  }, [isAsking]);
  if (!isAsking) {
    return (
      <span className="acts" ref={box}>
        <Act acts={acts} name={name} title={title ?? children} onAct={() => setAsking(true)}>{children}</Act>
      </span>
    );
  }
  return (
    <span className="acts confirm" role="group" aria-label={question} ref={box}
      onKeyDown={(event) => event.key === "Escape" && setAsking(false)}>
      <span>{question}</span>
      <button type="button" className="button act" onClick={() => setAsking(false)}>Keep</button>
      <button type="button" className="button act danger" onClick={() => { setAsking(false); onAct(); }}>{yes}</button>
    </span>
  );
}

/** What the last act came to. Takes the focus when the button that had it is gone. */
export function Outcome({ said }: { said: Said | null }) {
  const place = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (said === null) return;
    const timer = setTimeout(() => document.activeElement === document.body && place.current?.focus(), 600);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <p className={said === null ? "unseen" : `outcome-line ${said.isBad ? "bad" : ""}`} role="status" tabIndex={-1} ref={place}>
      {said?.text}
    </p>
  );
}

export function Dot({ tone }: { tone: Tone }) {
  return <span className={`mark ${tone}`} aria-hidden="true" />;
}

export function Part({ id, title, standing, side, children }: { id: string; title: string; standing: Standing; side?: ReactNode; children: ReactNode }) {
  return (
    <section className="card part" id={id} aria-labelledby={`${id}-title`}>
      <header className="card-head">
        <h2 id={`${id}-title`}>{title}</h2>
        <span className={standing.tone === "bad" ? "bad" : "faint"}>
          <Dot tone={standing.tone} /> {standing.text}
        </span>
        <span className="gap" />
        {side}
      </header>
      {children}
    </section>
  );
}
