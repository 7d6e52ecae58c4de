// Which page is shown. Addresses are plain paths, so that they can be copied, reloaded and gone back to.

import { useEffect, useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";

const CHANGED = "cdesk-route";

export function go(address: string, isReplaced = false): void {
  if (isReplaced) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  window.dispatchEvent(new Event(CHANGED));
}

function subscribe(told: () => void): () => void {
  window.addEventListener("popstate", told);
  window.addEventListener(CHANGED, told);
  return () => {
    window.removeEventListener("popstate", told);
    window.removeEventListener(CHANGED, told);
  };
}

export function useAddress(): { path: string; query: URLSearchParams } {
  const address = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  const [path = "/", search = ""] = address.split("?", 2);
  return { path, query: new URLSearchParams(search) };
}

/** A value kept in the address. */
export function useChoice(name: string, fallback: string): [string, (value: string) => void] {
  const { query } = useAddress();
  return [
    query.get(name) ?? fallback,
    (value) => {
      const next = new URLSearchParams(location.search);
      if (value === fallback) next.delete(name);
      else next.set(name, value);
      go(`${location.pathname}${next.size ? `?${next}` : ""}`, true);
    },
  ];
}

export function Link({ href, onClick, ...more }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  function follow(event: MouseEvent<HTMLAnchorElement>): void {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(href);
    window.scrollTo(0, 0);
  }
  return <a href={href} onClick={follow} {...more} />;
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · cdesk` : "cdesk";
  }, [title]);
}

export const sessionAddress = (id: string): string => `/sessions/${encodeURIComponent(id)}`;
/** What stands behind a citation: activity:…, atom:… or cdesk:…. */
export const explainAddress = (citation: string): string => `/explain?cite=${encodeURIComponent(citation)}`;

/** A question, asked with these values; what is not said is its default. */
export function questionAddress(name: string, given: Record<string, unknown> = {}): string {
  const said = new URLSearchParams();
  for (const [key, value] of Object.entries(given)) for (const each of Array.isArray(value) ? value : [value]) said.append(key, String(each));
  return `/questions/${encodeURIComponent(name)}${said.size ? `?${said}` : ""}`;
}

export const ticketAddress = (id: string): string => `/tickets/${encodeURIComponent(id)}`;
export const artifactAddress = (id: string): string => `/artifacts/${encodeURIComponent(id)}`;
