// Bars or lines over time, by pointer and by keyboard. The engine that draws them comes after the first paint.

import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import type { Engine } from "./chart-engine";

export const sum = (values: (number | null)[]): number => values.reduce<number>((all, value) => all + (value ?? 0), 0);

export interface PlotSeries {
  name: string;
  /** One for each name; null where nothing is known. */
  values: (number | null)[];
  /** How far off each may be, where only a part was read; null where that is not known. */
  errors?: (number | null)[] | undefined;
  /** s0 to s7, or others. */
  swatch: string;
}

interface Plotted {
  /** Bars are stacked. */
  kind: "bars" | "line";
  names: string[];
  longNames: string[];
  series: PlotSeries[];
  amount: (value: number) => string;
}

/** label: what somebody hears who does not see it */
export function Plot({ kind, names, longNames, series, amount, label }: Plotted & { label: string }) {
  const place = useRef<HTMLDivElement>(null);
  const engine = useRef<Engine | null>(null);
  const [isReady, setReady] = useState(false);
  const [theme, setTheme] = useState(0);
  const [pointed, setPointed] = useState<number | null>(null);

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
    const color = (swatch: string): string => style.getPropertyValue(swatch === "others" ? "--s-others" : `--${swatch}`).trim();
    engine.current?.draw({ kind, names, amount, series: series.map((one) => ({ name: one.name, values: one.values, color: color(one.swatch) })), spans: spans(kind, series) });
  }, [isReady, kind, names, series, amount, theme]);

  useEffect(() => {
    if (isReady) engine.current?.point(pointed);
  }, [isReady, pointed]);

  function follow(event: PointerEvent<HTMLDivElement>): void {
    const box = event.currentTarget.getBoundingClientRect();
    setPointed(engine.current?.at(event.clientX - box.left, event.clientY - box.top) ?? null);
  }

  function step(event: KeyboardEvent): void {
    const last = names.length - 1;
    const known = pointed ?? (event.key === "ArrowLeft" ? names.length : -1);
    const next = { ArrowLeft: known - 1, ArrowRight: known + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") setPointed(null);
    if (next === undefined) return;
    event.preventDefault();
    setPointed(Math.max(0, Math.min(last, next)));
  }

  return (
    <div className="chart" role="group" tabIndex={0} aria-label={label} onPointerMove={follow} onPointerLeave={() => setPointed(null)}
      onBlur={() => setPointed(null)} onKeyDown={step}>
      <div ref={place} className="canvas" aria-hidden="true" />
      {pointed !== null && pointed < names.length && isReady && (
        <Tip plotted={{ kind, names, longNames, series, amount }} pointed={pointed} x={engine.current?.x(pointed) ?? 0} width={place.current?.clientWidth ?? 0} />
      )}
    </div>
  );
}

/** [bucket, from, to]: of each figure of a line; of bars, which stand on each other, of the whole: no more than that. */
function spans(kind: "bars" | "line", series: PlotSeries[]): [number, number, number][] {
  const around = (values: (number | null)[], errors: (number | null)[] = []): [number, number, number][] =>
    values.flatMap((value, i) => (value !== null && typeof errors[i] === "number" ? [[i, value - errors[i], value + errors[i]] as [number, number, number]] : []));
  if (kind === "line") return series.flatMap((one) => around(one.values, one.errors));
  const [values, errors] = [(series[0]?.values ?? []).map((_, i) => sum(series.map((one) => one.values[i] ?? null))), together(series)];
  return around(values, errors);
}

/** No more than this, where each is off by its own. */
export function together(series: PlotSeries[]): (number | null)[] {
  return (series[0]?.values ?? []).map((_, i) => {
    const known = series.filter((one) => (one.values[i] ?? null) !== null);
    return known.length && known.every((one) => typeof one.errors?.[i] === "number") ? sum(known.map((one) => one.errors![i]!)) : null;
  });
}

export const plusMinus = (amount: (value: number) => string, error: number | null | undefined): string => (typeof error === "number" ? ` ± ${amount(error)}` : "");

function Tip({ plotted: { kind, longNames, series, amount }, pointed, x, width }: { plotted: Plotted; pointed: number; x: number; width: number }) {
  const values = series.map((one) => ({ one, value: one.values[pointed] ?? null }));
  const isRight = x > width / 2;
  return (
    <div className={`tip ${isRight ? "right" : ""}`} style={isRight ? { right: width - x + 14 } : { left: x + 14 }} role="status">
      <div className="tip-head">
        <span>{longNames[pointed]}</span>
        {kind === "bars" && <span className="num">{amount(sum(values.map((each) => each.value)))}{plusMinus(amount, together(series)[pointed])}</span>}
      </div>
      {values
        .filter(({ value }) => (kind === "bars" ? (value ?? 0) > 0 : value !== null))
        .map(({ one, value }, i) => (
          <div key={i} className="tip-row">
            <span className={`swatch ${one.swatch}`} aria-hidden="true" />
            <span className="name">{one.name}</span>
            <span className="num">{amount(value ?? 0)}{plusMinus(amount, one.errors?.[pointed])}</span>
          </div>
        ))}
    </div>
  );
}
