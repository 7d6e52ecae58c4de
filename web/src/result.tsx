// An answer's rows, as a table and as the chart its question asks for.

import { useMemo, useState } from "react";
import type { ChartHint, Column, Value } from "./api";
import { amountOf, heading, isDay, isMoment, isNumber, label, numeric, shown, unitOf, utc } from "./cells";
import { bucket, count, plural } from "./format";
import { Plot, plusMinus, sum, together, type PlotSeries } from "./plot";
import { artifactAddress, explainAddress, Link, sessionAddress } from "./route";

const ROWS_SHOWN = 100;
const BARS_MAX = 30;
const SERIES_MAX = 7;
const DAYS_FILLED_MAX = 400;
const DAY_MS = 86_400_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MOMENT = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)/;

/** behind: where a figure's activities are shown, by row from 1 and column */
export function ResultTable({ columns, rows, name, behind }: { columns: Column[]; rows: Value[][]; name: string; behind?: ((row: number, column: string) => string) | undefined }) {
  const [isAll, setAll] = useState(false);
  const first = columns.findIndex(isNumber);
  const visible = isAll ? rows : rows.slice(0, ROWS_SHOWN);
  return (
    <>
      <div className="scroll result" tabIndex={0} role="region" aria-label={name}>
        <table>
          <thead>
            <tr>
              {columns.map((column, i) => (
                <th key={i} scope="col" className={isNumber(column) ? "num" : undefined} title={column.description}>
                  {heading(column)}
                  {unitOf(column) && <span className="unit">{unitOf(column)}</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {visible.map((row, at) => (
              <tr key={at}>
                {columns.map((column, i) => (
                  <Cell key={i} column={column} value={row[i] ?? null} behind={isNumber(column) ? behind?.(at + 1, column.name) : undefined} isStop={i === first} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {visible.length < rows.length && (
        <footer className="card-foot">
          <button type="button" className="button" onClick={() => setAll(true)}>Show all {count(rows.length)} rows</button>
        </footer>
      )}
    </>
  );
}

/** isStop: Tab stops at its figure; one of a row is enough, the others are a step from there. */
function Cell({ column, value, behind, isStop }: { column: Column; value: Value; behind: string | undefined; isStop: boolean }) {
  if (value === null) return <td className={isNumber(column) ? "num faint" : "faint"}>–</td>;
  const text = shown(column, value);
  if (isNumber(column)) {
    return (
      <td className="num" title={String(value)}>
        {behind ? <Link href={behind} className="cell-link" tabIndex={isStop ? 0 : -1} title="What is behind it">{text}</Link> : text}
      </td>
    );
  }
  const to = leadsTo(column, value);
  const isCode = typeof value === "object" || /(^|_)(id|sql|hash)$/.test(column.name);
  const isUuid = UUID.test(text);
  return (
    <td className={isMoment(column) || isUuid ? "nowrap" : undefined}>
      <span className={`cell-text ${isCode || isUuid ? "mono" : ""}`} title={text.length > 30 ? text : undefined}>
        {to ? <Link href={to} className="link" aria-label={isUuid ? `${heading(column)} ${text}` : undefined}>{isUuid ? text.slice(0, 8) : text}</Link> : isUuid ? text.slice(0, 8) : text}
      </span>
    </td>
  );
}

/** Where a name of something leads, if this page shows such things. */
function leadsTo(column: Column, value: Value): string | null {
  if (typeof value !== "string" || !value) return null;
  if (column.name === "session_id" || column.name === "session") return sessionAddress(value);
  if (column.name === "activity_id") return explainAddress(`activity:${value}`);
  if (column.name === "query_id") return explainAddress(`cdesk:${value.replace(/^cdesk:/, "")}`);
  if (column.name === "atom_id") return explainAddress(`atom:${value}`);
  return column.name === "artifact_id" ? artifactAddress(value) : null;
}

// -- the chart -----------------------------------------------------------------------------------------------------

export interface Sketch {
  x: Column;
  y: Column;
  kind: "bars" | "line";
  keys: string[];
  /** Along time; else one bar below the other. */
  isAlongTime: boolean;
  series: PlotSeries[];
  left: number;
  /** It is drawn how far off figures may be. */
  hasErrors: boolean;
}

/** After the name of a figure: the column that tells how far off it may be. */
const ERROR = "_error";

interface Heights {
  values: (number | null)[];
  errors: (number | null)[];
}

/** What there is to draw; null when the rows have nothing that the hint could show. */
export function sketched(hint: ChartHint | null, columns: Column[], rows: Value[][]): Sketch | null {
  if (!hint || hint.kind === "table") return null;
  const place = (name: string | null): number => columns.findIndex((column) => column.name === name);
  const [x, y, by] = [place(hint.x), place(hint.y), place(hint.series)];
  if (x < 0 || y < 0 || !rows.some((row) => numeric(row[y]))) return null;
  const isAlongTime = isMoment(columns[x]!) || rows.every((row) => typeof row[x] === "string" && MOMENT.test(row[x]));
  const key = (row: Value[]): string => (isAlongTime ? String(row[x]).replace(" ", "T") : JSON.stringify(row[x] ?? null));
  let keys = [...new Set(rows.filter((row) => !isAlongTime || row[x] !== null).map(key))];
  const left = isAlongTime ? 0 : Math.max(0, keys.length - BARS_MAX);
  keys = isAlongTime ? withoutGaps(keys.sort()) : keys.slice(0, BARS_MAX);
  const at = new Map(keys.map((each, i) => [each, i]));
  const off = place(`${hint.y}${ERROR}`);
  const found = new Map<string, Heights>();
  for (const row of rows) {
    const [i, value] = [at.get(key(row)), numeric(row[y])];
    if (i === undefined || value === null) continue;
    const name = by < 0 ? heading(columns[y]!) : label(columns[by], row[by]);
    const { values, errors } = found.get(name) ?? { values: keys.map(() => null), errors: keys.map(() => null) };
    const error = off < 0 ? null : numeric(row[off]);
    errors[i] = error === null || (values[i] !== null && errors[i] === null) ? null : (errors[i] ?? 0) + error;
    values[i] = (values[i] ?? 0) + value;
    found.set(name, { values, errors });
  }
  const series = largest(found, hint.kind);
  const hasErrors = series.some((one) => one.errors?.some((each) => each !== null));
  return { x: columns[x]!, y: columns[y]!, kind: hint.kind, keys, isAlongTime, series, left, hasErrors };
}

/** The largest first; smaller ones together, where adding means something. */
function largest(found: Map<string, Heights>, kind: "bars" | "line"): PlotSeries[] {
  const sorted = [...found].sort(([, a], [, b]) => sum(b.values) - sum(a.values)).map(([name, each]): PlotSeries => ({ name, ...each, swatch: "others" }));
  const few = sorted.slice(0, SERIES_MAX).map((one, i): PlotSeries => ({ ...one, swatch: `s${i}` }));
  const rest = sorted.slice(SERIES_MAX);
  if (!rest.length || kind === "line") return few;
  const values = rest[0]!.values.map((_, i) => sum(rest.map((each) => each.values[i] ?? null)));
  return [...few, { name: plural(rest.length, "other"), values, errors: together(rest), swatch: "others" }];
}

/** Days on which nothing happened have their place, too. */
function withoutGaps(keys: string[]): string[] {
  const [first, last] = [keys[0], keys[keys.length - 1]];
  if (!first || !last || !keys.every((key) => key.length === 10)) return keys;
  const days = (Date.parse(last) - Date.parse(first)) / DAY_MS + 1;
  if (!(days <= DAYS_FILLED_MAX)) return keys;
  return Array.from({ length: days }, (_, i) => new Date(Date.parse(first) + i * DAY_MS).toISOString().slice(0, 10));
}

export function ResultChart({ sketch, watermark }: { sketch: Sketch; watermark?: string | undefined }) {
  return (
    <div className="sketch">
      {sketch.isAlongTime ? <AlongTime sketch={sketch} /> : <OneBelowTheOther sketch={sketch} />}
      {watermark && <span className="watermark" aria-hidden="true">Sample</span>}
      {sketch.hasErrors && (
        <p className="hint error-legend">
          <svg viewBox="0 0 9 14" aria-hidden="true"><path d="M1 1h7M4.5 1v12M1 13h7" /></svg>
          ± (95 %): so far off a figure may be, since a part was read{sketch.kind === "bars" && sketch.series.length > 1 ? "; of a whole bar no more than that" : ""}
        </p>
      )}
      {sketch.series.length > 1 && (
        <ol className="legend" aria-label="Colours">
          {sketch.series.map((one) => (
            <li key={one.name}>
              <span className={`swatch ${one.swatch}`} aria-hidden="true" />
              <span className="name">{one.name}</span>
              {sketch.kind === "bars" && <span className="num">{amountOf(sketch.y)(sum(one.values))}</span>}
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

function AlongTime({ sketch: { x, y, kind, keys, series } }: { sketch: Sketch }) {
  const amount = useMemo(() => amountOf(y), [y]);
  const names = useMemo(() => keys.map((key) => bucket(isDay(x) ? key.slice(0, 10) : local(key), false)), [keys, x]);
  const longNames = useMemo(() => keys.map((key) => bucket(isDay(x) ? key.slice(0, 10) : local(key), true)), [keys, x]);
  return (
    <Plot kind={kind} names={names} longNames={longNames} series={series} amount={amount}
      label={`${heading(y)} by ${heading(x)}, ${count(keys.length)} of them. Arrow keys go through it; as a table it is one button further up.`} />
  );
}

/** The asker's own wall clock, as text. */
function local(key: string): string {
  if (key.length <= 10) return key;
  const at = new Date(utc(key));
  return Number.isNaN(at.getTime()) ? key : new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function whisker(value: number, error: number, most: number): string {
  const [from, to] = [Math.max(0, value - error), value + error].map((each) => (each / most) * 100) as [number, number];
  return `M${from} 1V7M${from} 4H${to}M${to} 1V7`;
}

function OneBelowTheOther({ sketch: { x, y, keys, series, left } }: { sketch: Sketch }) {
  const amount = amountOf(y);
  const totals = keys.map((_, i) => sum(series.map((one) => one.values[i] ?? null)));
  const errors = together(series);
  const most = Math.max(...totals.map((total, i) => total + (errors[i] ?? 0)), 0);
  return (
    <>
      <ol className="bar-list" aria-label={`${heading(y)} by ${heading(x)}`}>
        {keys.map((key, i) => {
          const value = JSON.parse(key) as Value;
          const isKnown = series.some((one) => one.values[i] !== null);
          let from = 0;
          return (
            <li key={key}>
              <span className="name" title={value === null ? undefined : String(value)}>{label(x, value)}</span>
              <svg className="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                {series.map((one) => {
                  const width = most ? (Math.max(0, one.values[i] ?? 0) / most) * 100 : 0;
                  from += width;
                  return <rect key={one.name} className={one.swatch} x={from - width} width={width} height="8" />;
                })}
                {most > 0 && errors[i] != null && <path className="whisker" d={whisker(totals[i]!, errors[i]!, most)} />}
              </svg>
              <span className="num">{isKnown ? amount(totals[i]!) + plusMinus(amount, errors[i]) : "–"}</span>
            </li>
          );
        })}
      </ol>
      {left > 0 && <p className="hint">The first {BARS_MAX} of {count(left + BARS_MAX)}; the table has all of them.</p>}
    </>
  );
}
