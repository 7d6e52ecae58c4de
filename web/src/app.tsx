// The frame around every page: where one is, whether it is live, light or dark; and the door for who is not let in yet.

import { useEffect, useRef, useState, type ReactNode } from "react";
import { ACCESS, type Flow } from "./api";
import { ArtifactPage, ArtifactsPage } from "./artifacts";
import { ContextPage } from "./context";
import { CostPage } from "./cost";
import { useFlow } from "./data";
import { ExplainPage } from "./explain";
import { HealthPage, needing, toneOf } from "./health";
import { OverviewPage } from "./overview";
import { Command } from "./parts";
import { ProjectsPage } from "./projects";
import { QuestionPage, QuestionsPage } from "./questions";
import { Link, useAddress, useTitle } from "./route";
import { SessionPage } from "./session";
import { SessionsPage } from "./sessions";
import { TicketPage, TicketsPage } from "./tickets";

export function App() {
  const { path, query } = useAddress();
  const [access, setAccess] = useState<"asking" | "in" | "locked">("asking");
  const { flow, isConnected } = useFlow(access === "in");
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);

  useEffect(() => {
    const told = (event: Event): void => setAccess((event as CustomEvent<"in" | "locked">).detail);
    window.addEventListener(ACCESS, told);
    return () => window.removeEventListener(ACCESS, told);
  }, []);

  useEffect(() => {
    if (shown.current === path) return;
    shown.current = path;
    main.current?.querySelector<HTMLElement>("h1")?.focus();
  }, [path]);

  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <Link href="/" className="brand" aria-label="cdesk, first page">
          <img src="/mark.svg" alt="" width="18" height="18" />
          cdesk
        </Link>
        <nav aria-label="Pages">
          <Tab href="/" path={path}>Overview</Tab>
          <Tab href="/sessions" path={path}>Sessions</Tab>
          <Tab href="/projects" path={path}>Projects</Tab>
          <Tab href="/questions" path={path}>Questions</Tab>
          <Tab href="/tickets" path={path}>Tickets</Tab>
          <Tab href="/artifacts" path={path}>Artifacts</Tab>
          <Tab href="/context" path={path}>Context</Tab>
          <Tab href="/cost" path={path}>Cost</Tab>
          <Tab href="/health" path={path}>
            Health
            {flow !== null && flow.needs.length > 0 && (
              <span className={`mark ${toneOf(flow.needs)}`}>
                <span className="unseen">({needing(flow.needs)})</span>
              </span>
            )}
          </Tab>
        </nav>
        <span className="gap" />
        {flow?.status.sample && <span className="badge" title="Sample data: nobody's history">Sample<span className="wide-only"> data</span></span>}
        {access === "in" && <Connection isConnected={isConnected} />}
        <Theme />
      </header>
      <main id="main" className="page" ref={main} tabIndex={-1}>
        {access === "locked" ? <Door hasFailed={query.get("login") === "failed"} /> : <Page path={path} flow={flow} />}
      </main>
    </>
  );
}

function Page({ path, flow }: { path: string; flow: Flow | null }) {
  if (path === "/") return <OverviewPage flow={flow} />;
  if (path === "/sessions") return <SessionsPage flow={flow} />;
  if (path === "/projects") return <ProjectsPage />;
  if (path === "/context") return <ContextPage flow={flow} />;
  if (path === "/explain") return <ExplainPage />;
  if (path === "/questions") return <QuestionsPage />;
  if (path === "/tickets") return <TicketsPage />;
  if (path === "/artifacts") return <ArtifactsPage />;
  if (path === "/cost") return <CostPage flow={flow} />;
  if (path === "/health") return <HealthPage flow={flow} />;
  const [, room, name] = /^\/(sessions|questions|tickets|artifacts)\/(.+)$/.exec(path) ?? [];
  const id = decodeURIComponent(name ?? "");
  if (room === "sessions") return <SessionPage key={id} id={id} flow={flow} />;
  if (room === "questions") return <QuestionPage key={id} name={id} />;
  if (room === "tickets") return <TicketPage key={id} id={id} />;
  if (room === "artifacts") return <ArtifactPage key={id} id={id} />;
  return (
    <section className="card notice">
      <h1 tabIndex={-1}>There is nothing here</h1>
      <p>
        The <Link href="/">first page</Link> is a good place to start.
      </p>
    </section>
  );
}

function Tab({ href, path, children }: { href: string; path: string; children: ReactNode }) {
  const isHere = href === "/" ? path === "/" : path.startsWith(href);
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (isHere) place.current?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [isHere]);
  return (
    <Link href={href} className="tab" aria-current={isHere ? "page" : undefined}>
      <span ref={place} />
      {children}
    </Link>
  );
}

function Connection({ isConnected }: { isConnected: boolean }) {
  return (
    <span className={`connection ${isConnected ? "live" : ""}`} role="status">
      {isConnected ? "Live" : "Connecting…"}
    </span>
  );
}

type Chosen = "system" | "light" | "dark";
const NEXT: Record<Chosen, Chosen> = { system: "light", light: "dark", dark: "system" };

function Theme() {
  const [chosen, setChosen] = useState<Chosen>(() => (document.documentElement.dataset.theme as Chosen | undefined) ?? "system");
  function change(): void {
    const next = NEXT[chosen];
    setChosen(next);
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      if (next === "system") localStorage.removeItem("cdesk-theme");
      else localStorage.setItem("cdesk-theme", next);
    } catch {
      // without storage the choice lasts as long as the page
    }
    window.dispatchEvent(new Event("cdesk-theme"));
  }
  return (
    <button type="button" className="theme" onClick={change} aria-label={`Theme: ${chosen}. Change to ${NEXT[chosen]}`} title={`Theme: ${chosen}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {chosen === "light" && (
          <>
            <circle cx="8" cy="8" r="3" fill="currentColor" />
            <path d="M8 1v2M8 13v2M1 8h2M13 8h2M3.1 3.1l1.4 1.4M11.5 11.5l1.4 1.4M12.9 3.1l-1.4 1.4M4.5 11.5l-1.4 1.4" stroke="currentColor" strokeWidth="1.3" />
          </>
        )}
        {chosen === "dark" && <path d="M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1Z" fill="currentColor" />}
        {chosen === "system" && (
          <>
            <circle cx="8" cy="8" r="5.3" fill="none" stroke="currentColor" strokeWidth="1.3" />
            <path d="M8 2.7a5.3 5.3 0 0 1 0 10.6Z" fill="currentColor" />
          </>
        )}
      </svg>
    </button>
  );
}

function Door({ hasFailed }: { hasFailed: boolean }) {
  useTitle("Locked");
  return (
    <section className="card notice door">
      <h1 tabIndex={-1}>{hasFailed ? "This link is used up" : "This page is locked"}</h1>
      <p>
        {hasFailed
          ? "A link lets one browser in, once, within ten minutes. Ask for a new one in a terminal:"
          : "What Claude Code did here is shown to you only. Ask for a link in a terminal:"}
      </p>
      <Command>cdesk open</Command>
      <p className="faint">The browser then stays welcome for thirty days. Nothing leaves this machine.</p>
    </section>
  );
}
