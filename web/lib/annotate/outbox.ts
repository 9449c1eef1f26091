import { asApiError, type ApiError } from "@/lib/api/errors";
import { isLive, getSession, onSession } from "@/lib/api/session";
import type { Payload } from "@/lib/api/types";

/** A lease as a write needs it. */
export interface Hold {
  id: string;
  token: number;
}

export type Write =
  | {
      kind: "submit";
      key: string;
      itemId: string;
      hold: Hold | null;
      payload: Payload;
      labelsetVersion: number;
      leadTimeMs: number;
    }
  | { kind: "skip"; key: string; itemId: string; hold: Hold | null; reason: string }
  | { kind: "undo"; key: string; itemId: string };

/** How the saving goes: `offline` tries again by itself, `signed-out` waits for a sign-in. */
export type SyncState = "saved" | "saving" | "offline" | "signed-out";

interface Handlers {
  /** Sends one write. Throws an ApiError. */
  send: (write: Write) => Promise<void>;
  /** A write was refused for good. */
  refused: (write: Write, error: ApiError) => void;
  changed: () => void;
}

/**
 * Writes on their way to the server: one after the other, in order, tried again until the server has said yes or no.
 *
 * What has not been sent survives a reload or a crash in the browser's storage, and each write has an idempotency key,
 * so sending it once too often is harmless.
 */
export class Outbox {
  #writes: Write[] = [];
  #state: SyncState = "saved";
  #draining: Promise<void> | null = null;
  #failures = 0;
  readonly #store: string;

  constructor(
    scope: string,
    private readonly handlers: Handlers,
  ) {
    const prefix = `labelcrew.outbox.${scope}.`;
    this.#store = prefix + randomKey();
    this.#writes = adopt(prefix);
    this.#persist();
  }

  get state(): SyncState {
    return this.#state;
  }

  get size(): number {
    return this.#writes.length;
  }

  holds(itemId: string): boolean {
    return this.#writes.some((write) => write.itemId === itemId);
  }

  add(write: Write) {
    this.#writes = [...this.#writes, write];
    this.#persist();
    void this.start();
  }

  /** Takes back a write that was never tried. One that was may have arrived, whatever we heard. */
  withdraw(key: string): boolean {
    const index = this.#writes.findIndex((write) => write.key === key);
    if (index < 0 || (index === 0 && this.#draining)) return false;
    this.#writes = this.#writes.filter((write) => write.key !== key);
    this.#persist();
    this.handlers.changed();
    return true;
  }

  dropUndo(itemId: string) {
    this.#writes = this.#writes.filter((write) => write.kind !== "undo" || write.itemId !== itemId);
  }

  /** Sends all there is; resolves when nothing is left. */
  start(): Promise<void> {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = null;
    });
    return this.#draining;
  }

  async #drain(): Promise<void> {
    for (let write = this.#writes[0]; write; write = this.#writes[0]) {
      if (!isLive(getSession())) {
        await this.#pause("signed-out", null);
        continue;
      }
      this.#become("saving");
      try {
        await this.handlers.send(write);
        this.#done(write);
      } catch (caught) {
        const error = asApiError(caught);
        if (error.status === 401) continue;
        // Whether an undo that got no answer was done is not known, and a second one would take back one more.
        if (error.passing && (write.kind !== "undo" || error.status === 429)) {
          this.#failures += 1;
          await this.#pause("offline", (error.retryAfter ?? Math.min(15, 2 ** (this.#failures - 1))) * 1000);
          continue;
        }
        this.#done(write);
        this.handlers.refused(write, error);
      }
    }
    this.#become("saved");
  }

  #done(write: Write) {
    this.#failures = 0;
    this.#writes = this.#writes.filter((other) => other !== write);
    this.#persist();
  }

  #become(state: SyncState) {
    this.#state = state;
    this.handlers.changed();
  }

  /** Waits for time to pass, for the network to come back, or for somebody to sign in. */
  async #pause(state: SyncState, milliseconds: number | null) {
    this.#become(state);
    const woken = new AbortController();
    await new Promise<void>((resolve) => {
      const timer = milliseconds === null ? undefined : setTimeout(resolve, milliseconds);
      const stop = onSession(resolve);
      window.addEventListener("online", () => resolve(), { signal: woken.signal });
      woken.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        stop();
      });
    });
    woken.abort();
  }

  #persist() {
    try {
      const kept = this.#writes.filter((write) => write.kind !== "undo");
      if (kept.length === 0) localStorage.removeItem(this.#store);
      else localStorage.setItem(this.#store, JSON.stringify(kept));
    } catch {
      // A full or forbidden storage costs only the safety net.
    }
  }
}

/** Writes that an earlier visit could not send. */
function adopt(prefix: string): Write[] {
  const found: Write[] = [];
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(prefix)) continue;
    try {
      found.push(...(JSON.parse(localStorage.getItem(key) ?? "[]") as Write[]));
    } catch {
      // Not ours to read.
    }
    localStorage.removeItem(key);
  }
  return found;
}

/** 128 random bits; `crypto.randomUUID` is missing on plain http addresses other than localhost. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
