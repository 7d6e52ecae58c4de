// How a column's values look. Questions name their types in words, artifacts as SQL does.

import type { Column, Value } from "./api";
import { basename, bytes, compact, count, dollars, full } from "./format";

const NUMBER = /^(integer|number)$|INT|DOUBLE|DECIMAL|FLOAT|NUMBER|REAL/;
const TIME = /^time$|^TIMESTAMP/;
const DAY = /^(day|DATE)$/;
const UNITS_IN_CELLS = new Set(["USD", "percent", "bytes"]);
const decimals = new Intl.NumberFormat("en-US", { maximumFractionDigits: 3 });
const amounts = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

export const isNumber = (column: Column): boolean => NUMBER.test(column.type);
export const isMoment = (column: Column): boolean => TIME.test(column.type) || DAY.test(column.type);
export const isDay = (column: Column): boolean => DAY.test(column.type);

/** What the cells say themselves is left out. */
export const heading = (column: Column): string => (column.name === "ts" ? "when" : column.name.replace(/(.)_(usd|pct)$/, "$1").replaceAll("_", " "));
/** The unit, where neither the cells nor the name say it. */
export const unitOf = (column: Column): string | null =>
  column.unit && !UNITS_IN_CELLS.has(column.unit) && !column.name.includes(column.unit) ? column.unit : null;

export function numeric(value: Value | undefined): number | null {
  const found = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof found === "number" && Number.isFinite(found) ? found : null;
}

/** To the last digit that matters; null is for the caller. */
export function shown(column: Column, value: Value): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value !== null && typeof value === "object") return JSON.stringify(value);
  const number = isNumber(column) || typeof value === "number" ? numeric(value) : null;
  if (number !== null && (typeof value === "number" || Number.isSafeInteger(number) || !/^-?\d+$/.test(String(value)))) return figure(column, number);
  const text = String(value ?? "");
  return TIME.test(column.type) && !Number.isNaN(Date.parse(text)) ? full(utc(text)) : text;
}

function figure(column: Column, value: number): string {
  if (column.unit === "USD") return value < 0 ? `−${dollars(-value)}` : dollars(value);
  if (column.unit === "percent") return `${decimals.format(value)} %`;
  if (column.unit === "bytes" && value >= 0) return bytes(Math.round(value));
  return Number.isInteger(value) ? count(value) : decimals.format(value);
}

/** In the room of a chart. */
export function amountOf(column: Column): (value: number) => string {
  const short = (value: number): string => (Number.isInteger(value) || value >= 1000 ? compact(value) : amounts.format(value));
  if (UNITS_IN_CELLS.has(column.unit ?? "")) return (value) => figure(column, value);
  return column.unit && /^(ms|s|min|h)$/.test(column.unit) ? (value) => `${short(value)} ${column.unit}` : short;
}

/** A name for what a bar or line stands for. */
export function label(column: Column | undefined, value: Value | undefined): string {
  if (value === null || value === undefined) return "not known";
  const text = column ? shown(column, value) : String(value);
  return /^([A-Za-z]:)?[\\/]/.test(text) ? basename(text) : text;
}

/** The service's times are UTC, with or without saying so. */
export const utc = (text: string): string => (/(Z|[+-]\d\d:?\d\d)$/.test(text) || text.length <= 10 ? text : `${text.replace(" ", "T")}Z`);
