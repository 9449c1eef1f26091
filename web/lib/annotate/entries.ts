import type { SyncState } from "@/lib/annotate/outbox";
import type { ApiError } from "@/lib/api/errors";
import type { Item, Labelset, Lease, Payload } from "@/lib/api/types";
import { emptyPayload } from "@/lib/labels";

export type EntryStatus = "open" | "waiting" | "saved" | "skipped" | "lost";

/** An item of a sitting. */
export interface Entry {
  item: Item;
  status: EntryStatus;
  lease: Lease | null;
  /** When half of the lease's time has gone (milliseconds since 1970). */
  renewAt: number;
  /** What is chosen now; starts as the draft. */
  payload: Payload;
  /** Whether the person has chosen, or the draft merely stands. */
  touched: boolean;
  rejected: boolean;
  /** Why it was not stored, or what became of it. */
  notice: string;
  /** The write that carries its answer. */
  writeKey: string | null;
  spentMs: number;
}

export interface Message {
  at: number;
  tone: "info" | "problem";
  text: string;
}

/** All that the page shows of a sitting. */
export interface State {
  entries: readonly Entry[];
  cursor: number;
  claiming: boolean;
  /** The server has nothing more for this person now. */
  exhausted: boolean;
  /** Why the last claim failed. */
  failure: ApiError | null;
  sync: SyncState;
  pending: number;
  answered: number;
  skipped: number;
  /** Mean seconds an answer took, of this sitting. */
  pace: number | null;
  message: Message | null;
}

export const EMPTY: State = {
  entries: [],
  cursor: 0,
  claiming: false,
  exhausted: false,
  failure: null,
  sync: "saved",
  pending: 0,
  answered: 0,
  skipped: 0,
  pace: null,
  message: null,
};

/** An item as it comes: with the answer that it has, or else its draft, as the choice. */
export function openEntry(item: Item, lease: Lease | null, renewAt: number, kind: Labelset["kind"]): Entry {
  return {
    item,
    lease,
    renewAt,
    status: "open",
    payload: item.annotation?.payload ?? item.draft?.payload ?? emptyPayload(kind),
    touched: item.annotation !== null,
    rejected: false,
    notice: "",
    writeKey: null,
    spentMs: 0,
  };
}

/** How people call the item. */
export const nameOf = (item: Item): string => item.external_id ?? `#${item.seq}`;
