// Data as the page needs it: asked for again when it changes, kept on screen until the new one is there.

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { ApiError, get, type Flow } from "./api";

export interface Asked<T> {
  data: T | null;
  error: ApiError | null;
  isLoading: boolean;
  again: () => void;
}

export function useAnswer<T>(path: string, given: Record<string, string | number | null>): Asked<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isLoading, setLoading] = useState(true);
  const [turn, setTurn] = useState(0);
  const question = JSON.stringify([path, given]);
  useEffect(() => {
    const stop = new AbortController();
    setLoading(true);
    const [where, values] = JSON.parse(question) as [string, Record<string, string | number | null>];
    get<T>(where, values, stop.signal)
      .then((answer) => {
        setData(answer);
        setError(null);
        setLoading(false);
      })
      .catch((failure: unknown) => {
        if (stop.signal.aborted) return;
        setError(failure instanceof ApiError ? failure : new ApiError(0, String(failure)));
        setLoading(false);
      });
    return () => stop.abort();
  }, [question, turn]);
  const again = useCallback(() => setTurn((known) => known + 1), []);
  return { data, error, isLoading, again };
}

/** What happens now, as the service tells it. null until it first does. */
export function useFlow(isWanted: boolean): { flow: Flow | null; isConnected: boolean } {
  const [flow, setFlow] = useState<Flow | null>(null);
  const [isConnected, setConnected] = useState(false);
  useEffect(() => {
    if (!isWanted) return;
    const stream = new EventSource("/v1/page/events");
    stream.addEventListener("open", () => setConnected(true));
    stream.addEventListener("error", () => setConnected(false));
    stream.addEventListener("flow", (event) => {
      setFlow(JSON.parse((event as MessageEvent<string>).data) as Flow);
      setConnected(true);
    });
    return () => stream.close();
  }, [isWanted]);
  return { flow, isConnected };
}

/** Calls `act` when `value` changed, but not more often than every `ms`. */
export function useSettled(value: unknown, act: () => void, ms: number): void {
  const first = useRef(true);
  const last = useRef(0);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      last.current = Date.now();
      return;
    }
    const wait = Math.max(0, ms - (Date.now() - last.current));
    const timer = setTimeout(() => {
      last.current = Date.now();
      act();
    }, wait);
    return () => clearTimeout(timer);
  }, [value, act, ms]);
}

/** Calls `act` every `ms` while somebody can see the page, and when they come back to it. */
export function usePulse(act: () => void, ms: number): void {
  useEffect(() => {
    const beat = (): void => {
      if (document.visibilityState === "visible") act();
    };
    const timer = setInterval(beat, ms);
    document.addEventListener("visibilitychange", beat);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", beat);
    };
  }, [act, ms]);
}

let now = Date.now();
const listeners = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;

function subscribe(told: () => void): () => void {
  listeners.add(told);
  ticking ??= setInterval(() => {
    now = Date.now();
    listeners.forEach((tell) => tell());
  }, 5000);
  return () => {
    listeners.delete(told);
    if (!listeners.size) {
      clearInterval(ticking);
      ticking = undefined;
    }
  };
}

/** The time, to the last five seconds. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
