"use client";

import { useSyncExternalStore } from "react";
import type { components } from "@/lib/api/schema";

type Token = components["schemas"]["Token"];

/** Who is signed in here, and until when (milliseconds since 1970). */
export interface Session {
  token: string;
  expiresAt: number;
  user: components["schemas"]["User"];
}

const KEY = "labelcrew.session";
const listeners = new Set<() => void>();
let cached: { raw: string | null; session: Session | null } = { raw: null, session: null };

export function getSession(): Session | null {
  const raw = localStorage.getItem(KEY);
  if (raw !== cached.raw) {
    let session: Session | null = null;
    try {
      session = raw ? (JSON.parse(raw) as Session) : null;
    } catch {
      localStorage.removeItem(KEY);
    }
    cached = { raw, session };
  }
  return cached.session;
}

export function beginSession(token: Token): Session {
  const session = { token: token.access_token, expiresAt: Date.now() + token.expires_in * 1000, user: token.user };
  localStorage.setItem(KEY, JSON.stringify(session));
  notify();
  return session;
}

export function endSession() {
  localStorage.removeItem(KEY);
  notify();
}

/** The server no longer takes the token. What is on the page stays; only the way in has to be opened again. */
export function expireSession(token: string) {
  const session = getSession();
  if (session?.token !== token) return;
  localStorage.setItem(KEY, JSON.stringify({ ...session, expiresAt: 0 }));
  notify();
}

export function isLive(session: Session | null): session is Session {
  return session !== null && session.expiresAt > Date.now();
}

function notify() {
  for (const listener of listeners) listener();
}

/** Called when somebody signs in or out, here or in another tab. */
export function onSession(listener: () => void): () => void {
  const onStorage = (event: StorageEvent) => {
    if (event.key === KEY || event.key === null) listener();
  };
  listeners.add(listener);
  window.addEventListener("storage", onStorage);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("storage", onStorage);
  };
}

/** `undefined` until the page is alive in the browser, then the session or `null`. */
export function useSession(): Session | null | undefined {
  return useSyncExternalStore<Session | null | undefined>(onSession, getSession, () => undefined);
}
