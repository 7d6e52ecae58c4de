// The part of ECharts that the page needs, loaded after the first paint.

import { BarChart, CustomChart, LineChart } from "echarts/charts";
import { AxisPointerComponent, GridComponent } from "echarts/components";
import * as core from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

core.use([BarChart, CustomChart, LineChart, GridComponent, AxisPointerComponent, CanvasRenderer]);

export interface Drawn {
  kind: "bars" | "line";
  names: string[];
  series: { name: string; values: (number | null)[]; color: string }[];
  amount: (value: number) => string;
  /** [bucket, from, to]: what a figure may be in truth. */
  spans: [number, number, number][];
}

export interface Engine {
  draw: (drawn: Drawn) => void;
  /** The bucket under a point of the chart, if any. */
  at: (x: number, y: number) => number | null;
  /** Where a bucket stands, from the left. */
  x: (bucket: number) => number;
  point: (bucket: number | null) => void;
  resize: () => void;
  close: () => void;
}

export function start(place: HTMLElement): Engine {
  const chart = core.init(place, null, { renderer: "canvas" });
  const style = (name: string): string => getComputedStyle(place).getPropertyValue(name).trim();
  let buckets = 0;
  return {
    draw({ kind, names, series, amount, spans }) {
      buckets = names.length;
      const label = { color: style("--muted"), fontFamily: getComputedStyle(place).fontFamily, fontSize: 11 };
      chart.setOption(
        {
          animation: false,
          grid: { left: 8, right: 4, top: 12, bottom: 4, containLabel: true },
          xAxis: {
            type: "category",
            data: names,
            axisLine: { lineStyle: { color: style("--line-strong") } },
            axisTick: { show: false },
            axisLabel: { ...label, hideOverlap: true, margin: 10 },
            axisPointer: {
              show: true,
              type: "shadow",
              triggerTooltip: false,
              label: { show: false },
              shadowStyle: { color: style("--hover") },
            },
          },
          yAxis: {
            type: "value",
            splitNumber: 4,
            axisLabel: { ...label, formatter: (value: number) => (value === 0 ? "" : amount(value)) },
            splitLine: { lineStyle: { color: style("--line"), width: 1 } },
          },
          series: [...series.map((one, i) => ({
            name: one.name,
            data: one.values,
            emphasis: { disabled: true },
            cursor: "default",
            ...(kind === "bars"
              ? {
                  type: "bar",
                  stack: "all",
                  barMaxWidth: 44,
                  barCategoryGap: names.length > 60 ? "15%" : "28%",
                  itemStyle: { color: one.color, borderRadius: i === series.length - 1 ? [2, 2, 0, 0] : 0 },
                }
              : {
                  type: "line",
                  symbol: "circle",
                  symbolSize: 5,
                  showSymbol: names.length < 40,
                  lineStyle: { width: 2 },
                  itemStyle: { color: one.color },
                }),
          })), ...(spans.length ? [whiskers(spans, style("--ink"))] : [])],
        },
        { notMerge: true },
      );
    },
    at(x, y) {
      if (!chart.containPixel({ gridIndex: 0 }, [x, y])) return null;
      const found = Number(chart.convertFromPixel({ xAxisIndex: 0 }, x));
      return found >= 0 && found < buckets ? found : null;
    },
    x: (bucket) => Number(chart.convertToPixel({ xAxisIndex: 0 }, bucket)),
    point(bucket) {
      const x = bucket === null ? -1 : Number(chart.convertToPixel({ xAxisIndex: 0 }, bucket));
      chart.dispatchAction({ type: "updateAxisPointer", currTrigger: bucket === null ? "leave" : "mousemove", x, y: 60 });
    },
    resize: () => chart.resize(),
    close: () => chart.dispose(),
  };
}

const WHISKER = 4;

function whiskers(spans: [number, number, number][], color: string): object {
  return {
    type: "custom", data: spans, encode: { x: 0, y: [1, 2] }, z: 3, silent: true,
    renderItem(_: unknown, api: { value: (at: number) => number; coord: (point: number[]) => number[] }) {
      const [x = 0, foot = 0] = api.coord([api.value(0), api.value(1)]);
      const top = api.coord([api.value(0), api.value(2)])[1] ?? 0;
      const line = (x1: number, y1: number, x2: number, y2: number): object => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 1 } });
      return { type: "group", children: [line(x, foot, x, top), line(x - WHISKER, foot, x + WHISKER, foot), line(x - WHISKER, top, x + WHISKER, top)] };
    },
  };
}
