// The one chart: cost or tokens over time, stacked by model or project; and the same as a table.

import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import type { Overview, Series } from "./api";
import type { Engine } from "./chart-engine";
import { basename, bucket, compact, cost, day, dollars, model, percent, plural } from "./format";
import { Segmented } from "./parts";
import { useChoice } from "./route";

const sum = (values: number[]): number => values.reduce((all, value) => all + value, 0);

export function nameOf(series: Series, by: Overview["by"]): string {
  if (series.others) return `${plural(series.others, by === "model" ? "other model" : "other project")}`;
  return by === "model" ? model(series.name) : basename(series.name);
}

export function ChartCard({ overview, isStale }: { overview: Overview; isStale: boolean }) {
  const [by, setBy] = useChoice("by", "model");
  const [of, setOf] = useChoice("of", "cost");
  const [grain, setGrain] = useChoice("grain", overview.period.days === 1 ? "hour" : "day");
  const [as, setAs] = useChoice("as", "chart");
  const amount = of === "cost" ? dollars : compact;
  const totals = overview.series.map((one) => sum(of === "cost" ? one.cost : one.tokens));
  const all = sum(totals);
  return (
    <section className="card chart-card" aria-labelledby="chart-title" data-stale={isStale || undefined}>
      <header className="card-head">
        <h2 id="chart-title">
          {of === "cost" ? "Cost" : "Tokens"} by {overview.by}
        </h2>
        <span className="gap" />
        <Segmented label="Stacked by" value={by} onChange={setBy} choices={[["model", "Model"], ["project", "Project"]]} />
        <Segmented label="Amount" value={of} onChange={setOf} choices={[["cost", "Cost"], ["tokens", "Tokens"]]} />
        {overview.period.days <= 7 && (
          <Segmented label="Grain" value={grain} onChange={setGrain} choices={[["day", "Day"], ["hour", "Hour"]]} />
        )}
        <Segmented label="Shown as" value={as} onChange={setAs} choices={[["chart", "Chart"], ["table", "Table"]]} />
      </header>
      {all <= 0 ? (
        <p className="empty">
          {of === "cost" && overview.tokens.value ? "Nothing in these days has a price yet." : `Nothing was asked in these days.${overview.data_as_of ? ` The newest activity is from ${day(overview.data_as_of)}.` : ""}`}
        </p>
      ) : as === "table" ? (
        <Table overview={overview} of={of} amount={amount} />
      ) : (
        <Chart overview={overview} of={of} amount={amount} />
      )}
      <ol className="legend" aria-label={`Totals by ${overview.by}`}>
        {overview.series.map((one, i) => (
          <li key={`${one.name}-${one.others}`} title={one.name ?? undefined}>
            <span className={`swatch ${one.others ? "others" : `s${i}`}`} aria-hidden="true" />
            <span className="name">{nameOf(one, overview.by)}</span>
            <span className="num">{of === "cost" ? cost(all || !one.unpriced ? totals[i]! : null, one.unpriced) : compact(totals[i]!)}</span>
            <span className="num faint share">{percent(all ? totals[i]! / all : null)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

interface Shown {
  overview: Overview;
  of: string;
  amount: (value: number) => string;
}

function Chart({ overview, of, amount }: Shown) {
  const place = useRef<HTMLDivElement>(null);
  const engine = useRef<Engine | null>(null);
  const [isReady, setReady] = useState(false);
  const [theme, setTheme] = useState(0);
  const [pointed, setPointed] = useState<number | null>(null);
  const { buckets } = overview.period;
  const names = useMemo(() => buckets.map((name) => bucket(name, false)), [buckets]);

  useEffect(() => {
    let isGone = false;
    void import("./chart-engine").then(({ start }) => {
      if (isGone || !place.current) return;
      engine.current = start(place.current);
      setReady(true);
    });
    const sized = new ResizeObserver(() => engine.current?.resize());
    if (place.current) sized.observe(place.current);
    const system = matchMedia("(prefers-color-scheme: dark)");
    const repaint = (): void => setTheme((known) => known + 1);
    system.addEventListener("change", repaint);
    window.addEventListener("cdesk-theme", repaint);
    return () => {
      isGone = true;
      sized.disconnect();
      system.removeEventListener("change", repaint);
      window.removeEventListener("cdesk-theme", repaint);
      engine.current?.close();
      engine.current = null;
    };
  }, []);

  useEffect(() => {
    if (!isReady || !place.current) return;
    const style = getComputedStyle(place.current);
    engine.current?.draw({
      buckets,
      names,
      amount,
      series: overview.series.map((one, i) => ({
        name: nameOf(one, overview.by),
        values: of === "cost" ? one.cost : one.tokens,
        color: style.getPropertyValue(one.others ? "--s-others" : `--s${i}`).trim(),
      })),
    });
  }, [isReady, overview, of, amount, theme, buckets, names]);

  useEffect(() => {
    if (isReady) engine.current?.point(pointed);
  }, [isReady, pointed]);

  function follow(event: PointerEvent<HTMLDivElement>): void {
    const box = event.currentTarget.getBoundingClientRect();
    setPointed(engine.current?.at(event.clientX - box.left, event.clientY - box.top) ?? null);
  }

  function step(event: KeyboardEvent): void {
    const last = buckets.length - 1;
    const known = pointed ?? (event.key === "ArrowLeft" ? buckets.length : -1);
    const next = { ArrowLeft: known - 1, ArrowRight: known + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") setPointed(null);
    if (next === undefined) return;
    event.preventDefault();
    setPointed(Math.max(0, Math.min(last, next)));
  }

  const total = sum(overview.series.map((one) => sum(of === "cost" ? one.cost : one.tokens)));
  return (
    <div
      className="chart"
      role="group"
      tabIndex={0}
      aria-label={`${of === "cost" ? "Cost" : "Tokens"} by ${overview.by} over ${buckets.length} ${overview.period.grain}s, ${amount(total)} in all. Arrow keys go through it; as a table it is one button further up.`}
      onPointerMove={follow}
      onPointerLeave={() => setPointed(null)}
      onBlur={() => setPointed(null)}
      onKeyDown={step}
    >
      <div ref={place} className="canvas" aria-hidden="true" />
      {pointed !== null && isReady && (
        <Tip overview={overview} of={of} amount={amount} pointed={pointed} x={engine.current?.x(pointed) ?? 0} width={place.current?.clientWidth ?? 0} />
      )}
    </div>
  );
}

function Tip({ overview, of, amount, pointed, x, width }: Shown & { pointed: number; x: number; width: number }) {
  const values = overview.series.map((one, i) => ({ one, i, value: (of === "cost" ? one.cost : one.tokens)[pointed] ?? 0 }));
  const isRight = x > width / 2;
  return (
    <div className={`tip ${isRight ? "right" : ""}`} style={isRight ? { right: width - x + 14 } : { left: x + 14 }} role="status">
      <div className="tip-head">
        <span>{bucket(overview.period.buckets[pointed] ?? "", true)}</span>
        <span className="num">{amount(sum(values.map((each) => each.value)))}</span>
      </div>
      {values
        .filter((each) => each.value > 0)
        .map(({ one, i, value }) => (
          <div key={i} className="tip-row">
            <span className={`swatch ${one.others ? "others" : `s${i}`}`} aria-hidden="true" />
            <span className="name">{nameOf(one, overview.by)}</span>
            <span className="num">{amount(value)}</span>
          </div>
        ))}
    </div>
  );
}

function Table({ overview, of, amount }: Shown) {
  return (
    <div className="scroll chart-table" tabIndex={0} role="region" aria-label="The chart as a table">
      <table>
        <thead>
          <tr>
            <th scope="col">{overview.period.grain === "day" ? "Day" : "Hour"}</th>
            {overview.series.map((one) => (
              <th scope="col" className="num" key={`${one.name}-${one.others}`}>
                {nameOf(one, overview.by)}
              </th>
            ))}
            <th scope="col" className="num">All</th>
          </tr>
        </thead>
        <tbody>
          {overview.period.buckets.map((name, at) => {
            const values = overview.series.map((one) => (of === "cost" ? one.cost : one.tokens)[at] ?? 0);
            return (
              <tr key={name}>
                <th scope="row">{bucket(name, true)}</th>
                {values.map((value, i) => (
                  <td className="num" key={i}>
                    {value ? amount(value) : <span className="faint">–</span>}
                  </td>
                ))}
                <td className="num strong">{amount(sum(values))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
