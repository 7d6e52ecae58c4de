// The first page's chart: cost or tokens over time, stacked by model or project; and the same as a table.

import { useMemo } from "react";
import type { Overview, Series } from "./api";
import { basename, bucket, compact, cost, day, dollars, model, percent, plural } from "./format";
import { Segmented } from "./parts";
import { Plot, sum } from "./plot";
import { useChoice } from "./route";

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
  const { buckets, grain } = overview.period;
  const names = useMemo(() => buckets.map((name) => bucket(name, false)), [buckets]);
  const longNames = useMemo(() => buckets.map((name) => bucket(name, true)), [buckets]);
  const series = useMemo(
    () => overview.series.map((one, i) => ({
      name: nameOf(one, overview.by), values: of === "cost" ? one.cost : one.tokens, swatch: one.others ? "others" : `s${i}`,
    })),
    [overview, of],
  );
  const total = sum(series.map((one) => sum(one.values)));
  return (
    <Plot kind="bars" names={names} longNames={longNames} series={series} amount={amount}
      label={`${of === "cost" ? "Cost" : "Tokens"} by ${overview.by} over ${buckets.length} ${grain}s, ${amount(total)} in all. Arrow keys go through it; as a table it is one button further up.`} />
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
