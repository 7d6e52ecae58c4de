// Projects side by side, sorted by what one wants to know.

import { useMemo } from "react";
import { TIMEZONE, type Project, type Projects } from "./api";
import { useAnswer, useNow } from "./data";
import { ago, basename, compact, cost, count, percent } from "./format";
import { Command, Lines, Segmented, Spark, Time, Trouble, Waiting } from "./parts";
import { Link, useChoice, useTitle } from "./route";

const RANGES = [["1", "Today"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"]] as const;

interface Column {
  id: string;
  name: string;
  value: (project: Project) => number | string;
}

const COLUMNS: Column[] = [
  { id: "project", name: "Project", value: (p) => basename(p.project).toLowerCase() },
  { id: "cost", name: "Cost", value: (p) => p.cost ?? -1 },
  { id: "share", name: "Share", value: (p) => p.cost ?? -1 },
  { id: "sessions", name: "Sessions", value: (p) => p.sessions },
  { id: "tokens", name: "Tokens", value: (p) => p.tokens },
  { id: "tools", name: "Tools", value: (p) => p.tools },
  { id: "failed", name: "Failed", value: (p) => (p.tools ? p.failed / p.tools : 0) },
  { id: "files", name: "Files", value: (p) => p.files },
  { id: "lines", name: "Lines", value: (p) => p.added + p.removed },
  { id: "last", name: "Last", value: (p) => p.newest },
];

export function ProjectsPage() {
  const [days, setDays] = useChoice("days", "30");
  const [sort, setSort] = useChoice("sort", "-cost");
  const asked = useAnswer<Projects>("projects", { days, tz: TIMEZONE });
  const now = useNow();
  useTitle("Projects");
  const isDown = sort.startsWith("-");
  const column = COLUMNS.find((each) => each.id === sort.replace("-", "")) ?? COLUMNS[1]!;
  const rows = useMemo(() => {
    const sorted = [...(asked.data?.projects ?? [])].sort((a, b) => {
      const [x, y] = [column.value(a), column.value(b)];
      return x < y ? -1 : x > y ? 1 : 0;
    });
    return isDown ? sorted.reverse() : sorted;
  }, [asked.data, column, isDown]);
  const all = rows.reduce((sum, project) => sum + (project.cost ?? 0), 0);
  const most = Math.max(...rows.map((project) => project.cost ?? 0), 0);

  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Projects</h1>
        {asked.data && <span className="faint">{count(asked.data.total)} with activity</span>}
        <span className="gap" />
        <Segmented label="Days shown" choices={RANGES} value={days} onChange={setDays} />
      </div>
      {asked.error && <Trouble error={asked.error} again={asked.again} />}
      {!asked.data && !asked.error && <Waiting rows={8} />}
      {asked.data && rows.length === 0 && (
        <section className="card notice">
          <h2>No project in these days</h2>
          <p>
            Choose more days, or start <Command>claude</Command> in a project.
          </p>
        </section>
      )}
      {rows.length > 0 && (
        <div className="card scroll" tabIndex={0} role="region" aria-label="Projects">
          <table className="projects-table">
            <thead>
              <tr>
                {COLUMNS.map((each) => (
                  <th
                    key={each.id}
                    scope="col"
                    className={each.id === "project" || each.id === "share" ? undefined : "num"}
                    aria-sort={each.id === column.id ? (isDown ? "descending" : "ascending") : undefined}
                  >
                    {each.id === "share" ? (
                      "Share"
                    ) : (
                      <button type="button" className="sort" onClick={() => setSort(each.id === column.id && isDown ? each.id : `-${each.id}`)}>
                        {each.name}
                        <span aria-hidden="true">{each.id === column.id ? (isDown ? " ↓" : " ↑") : ""}</span>
                      </button>
                    )}
                  </th>
                ))}
                <th scope="col">Trend</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((project) => (
                <tr key={project.project ?? ""}>
                  <th scope="row" className="wide">
                    <Link href={`/sessions?project=${encodeURIComponent(project.project ?? "")}`} className="clip strong" title={project.project ?? undefined}>
                      {basename(project.project)}
                    </Link>
                    <span className="faint clip path-under">{project.project ?? "answers that name no folder"}</span>
                  </th>
                  <td className="num strong">{cost(project.cost, project.unpriced)}</td>
                  <td className="share-cell">
                    <svg className="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                      <rect width={most ? ((project.cost ?? 0) / most) * 100 : 0} height="8" />
                    </svg>
                    <span className="num faint">{percent(all ? (project.cost ?? 0) / all : null)}</span>
                  </td>
                  <td className="num">{count(project.sessions)}</td>
                  <td className="num">{compact(project.tokens)}</td>
                  <td className="num">{count(project.tools)}</td>
                  <td className={`num ${project.failed ? "" : "faint"}`}>{project.failed ? percent(project.failed / Math.max(1, project.tools), 1) : "–"}</td>
                  <td className="num">{project.files ? count(project.files) : <span className="faint">–</span>}</td>
                  <td className="num"><Lines added={project.added} removed={project.removed} /></td>
                  <td className="num"><Time at={project.newest}>{ago(project.newest, now)}</Time></td>
                  <td className="trend"><Spark values={project.spark} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
