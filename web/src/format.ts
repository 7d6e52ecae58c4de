// How values look to a person. One place, so that a dollar looks the same everywhere.

const whole = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

export function count(value: number): string {
  return whole.format(Math.round(value));
}

/** 1.99M, 43.7K; small ones whole. */
export function compact(value: number): string {
  return value < 10_000 ? count(value) : short.format(value);
}

export function dollars(value: number | null): string {
  if (value === null) return "unpriced";
  if (value === 0) return "$0";
  if (value < 0.001) return "<$0.001";
  if (value < 0.01) return `$${value.toFixed(3)}`;
  return value >= 10_000 ? `$${short.format(value)}` : `$${value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** A cost beside answers that have no price: at least that much. */
export function cost(value: number | null, unpriced: number): string {
  if (value === null) return unpriced ? "unpriced" : "–";
  return unpriced ? `≥ ${dollars(value)}` : dollars(value);
}

export function percent(share: number | null, digits = 0): string {
  return share === null ? "–" : `${(share * 100).toFixed(digits)} %`;
}

export function bytes(size: number): string {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min${minutes < 10 ? ` ${Math.floor(seconds % 60)} s` : ""}`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export function ago(at: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(at)) / 1000);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? "yesterday" : days < 45 ? `${days} days ago` : day(at);
}

const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const yearFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const timeFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const secondFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const fullFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const weekdayFormat = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });

export function day(at: string): string {
  const date = new Date(at);
  return (date.getFullYear() === new Date().getFullYear() ? dayFormat : yearFormat).format(date);
}

export const time = (at: string): string => timeFormat.format(new Date(at));
export const clock = (at: string): string => secondFormat.format(new Date(at));
export const full = (at: string): string => fullFormat.format(new Date(at));

/** A bucket's name: a day without a time zone is that day anywhere. */
export function bucket(name: string, isLong: boolean): string {
  if (!name.includes("T")) {
    const date = new Date(`${name}T12:00:00`);
    return (isLong ? weekdayFormat : dayFormat).format(date);
  }
  // The text holds the asker's own wall clock.
  const hour = name.slice(11, 16);
  return isLong ? `${weekdayFormat.format(new Date(`${name.slice(0, 10)}T12:00:00`))}, ${hour}` : hour;
}

/** The folder's own name. */
export function basename(path: string | null): string {
  if (!path) return "no project";
  const parts = path.split(/[\\/]/).filter(Boolean);
  return parts[parts.length - 1] ?? path;
}

/** claude-haiku-4-5-20251001 → Haiku 4.5; others stay as they are. */
export function model(name: string | null): string {
  if (!name) return "no model";
  const found = /^claude-(?:(opus|sonnet|haiku)-)?(\d+)(?:[-.](\d{1,2}))?(?:-(opus|sonnet|haiku))?(?:-(\d{8}|latest))?$/.exec(name);
  const family = found?.[1] ?? found?.[4];
  if (!found || !family) return name;
  return `${family[0]!.toUpperCase()}${family.slice(1)} ${found[2]}${found[3] ? `.${found[3]}` : ""}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
