import { Outbox, randomKey, type Hold, type SyncState, type Write } from "@/lib/annotate/outbox";
import { api, unwrap } from "@/lib/api/client";
import { asApiError, type ApiError } from "@/lib/api/errors";
import { getSession } from "@/lib/api/session";
import type { Claim, Dataset, Item, Labelset, Lease, Payload } from "@/lib/api/types";
import { emptyPayload } from "@/lib/labels";

/** Items held in advance, and at how few more are fetched. */
const AHEAD = 5;
const LOW = 2;

export type EntryStatus = "open" | "waiting" | "saved" | "skipped" | "lost";

/** An item of this sitting. */
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
  id: number;
  tone: "info" | "problem";
  text: string;
}

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

/**
 * One person's sitting at one dataset.
 *
 * Every act changes the state here at once and puts its write into the outbox; nothing waits for the network. A few items
 * are claimed ahead, their leases are renewed while the page is open, and given back when it is left.
 */
export class AnnotateSession {
  #state: State;
  #listeners = new Set<() => void>();
  #outbox: Outbox;
  #labelset: Labelset;
  #shownAt: number | null = null;
  /** Answered items in order, for undo. */
  #trail: { itemId: string; leadTimeMs: number }[] = [];
  #leadTimes = { count: 0, sum: 0 };
  #messages = 0;
  #clockSkew = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly dataset: Dataset,
    labelset: Labelset,
    opened: Item | null,
  ) {
    this.#labelset = labelset;
    const scope = `${getSession()?.user.id ?? ""}.${dataset.id}`;
    this.#outbox = new Outbox(scope, {
      send: (write) => this.#send(write),
      refused: (write, error) => this.#refused(write, error),
      changed: () => this.#update({}),
    });
    this.#state = {
      entries: opened ? [this.#entry(opened, null)] : [],
      cursor: 0,
      claiming: false,
      exhausted: false,
      failure: null,
      sync: "saved",
      pending: this.#outbox.size,
      answered: 0,
      skipped: 0,
      pace: null,
      message: null,
    };
  }

  // what the page sees -------------------------------------------------------------------------------------------------

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  getState = (): State => this.#state;

  get current(): Entry | null {
    return this.#state.entries[this.#state.cursor] ?? null;
  }

  start() {
    this.#timer = setInterval(() => void this.#renewLeases(), 5_000);
    document.addEventListener("visibilitychange", this.#onVisibility);
    window.addEventListener("pagehide", this.#release);
    this.#resumeClock();
    void this.#outbox.start();
    void this.claim();
  }

  /** Gives back what is held. What was answered still goes out. */
  stop() {
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    window.removeEventListener("pagehide", this.#release);
    this.#release();
  }

  // what a person does -------------------------------------------------------------------------------------------------

  choose(label: string) {
    const entry = this.current;
    if (!entry || !("labels" in entry.payload)) return;
    const chosen = entry.payload.labels;
    const has = chosen.includes(label);
    let labels: string[];
    if (this.#labelset.multi) labels = has ? chosen.filter((other) => other !== label) : [...chosen, label];
    else labels = has && entry.touched ? [] : [label];
    this.#change(entry.item.id, { payload: { labels }, touched: true });
  }

  /** Sets the draft aside and everything that was chosen. */
  clear() {
    const entry = this.current;
    if (!entry) return;
    this.#change(entry.item.id, { payload: emptyPayload(this.#labelset.kind), touched: true, rejected: true });
  }

  accept() {
    const entry = this.current;
    if (!entry) return;
    if (!entry.item.draft?.payload) {
      this.say("info", "There is no draft to accept. Choose a class.");
      return;
    }
    this.#answer(entry, entry.item.draft.payload);
  }

  submit() {
    const entry = this.current;
    if (!entry) return;
    const payload = entry.payload;
    if ("labels" in payload && payload.labels.length === 0 && !this.#labelset.multi) {
      this.say("info", "Choose a class first, or skip the item with S.");
      return;
    }
    this.#answer(entry, payload);
  }

  skip(reason = "") {
    const entry = this.current;
    if (!entry) return;
    const held = entry.lease !== null || this.#outbox.holds(entry.item.id);
    if (entry.status !== "open" || !held) {
      this.next();
      return;
    }
    this.#pauseClock();
    const key = randomKey();
    this.#change(entry.item.id, { status: "skipped", writeKey: key, notice: reason });
    this.#update({ skipped: this.#state.skipped + 1 });
    this.#outbox.add({
      kind: "skip",
      key,
      itemId: entry.item.id,
      hold: entry.lease,
      reason: reason || "skipped without a reason",
    });
    this.#advance();
  }

  next() {
    const { cursor, entries } = this.#state;
    this.#goTo(Math.min(cursor + 1, entries.length));
    this.#topUp();
  }

  previous() {
    this.#goTo(Math.max(0, this.#state.cursor - 1));
  }

  /** Takes the last answer back: from the outbox if it is still here, else from the server. */
  undo() {
    const last = this.#trail.pop();
    const entry = last && this.#find(last.itemId);
    if (!entry) {
      void this.#undoEarlier();
      return;
    }
    this.#update({ answered: this.#state.answered - 1, exhausted: false });
    this.#forgetLeadTime(last.leadTimeMs);
    if (!(entry.writeKey && this.#outbox.withdraw(entry.writeKey))) {
      this.#outbox.add({ kind: "undo", key: randomKey(), itemId: entry.item.id });
    }
    this.#change(entry.item.id, { status: "open", writeKey: null, notice: "", touched: true });
    this.#goTo(this.#state.entries.findIndex((other) => other.item.id === entry.item.id));
  }

  say(tone: Message["tone"], text: string) {
    this.#messages += 1;
    this.#update({ message: { id: this.#messages, tone, text } });
  }

  // claims and leases --------------------------------------------------------------------------------------------------

  /** Asks for more items. Those that are held already come back too, so they are counted in. */
  async claim(): Promise<void> {
    if (this.#state.claiming) return;
    this.#update({ claiming: true, failure: null });
    const { entries } = this.#state;
    const settled = entries.filter((entry) => !this.#isUnderWay(entry)).map((entry) => entry.item.id);
    const held = entries.length - settled.length;
    try {
      const answer = await api.POST("/v1/datasets/{dataset_id}/claim", {
        params: { path: { dataset_id: this.dataset.id } },
        body: { count: Math.min(100, held + AHEAD) },
      });
      this.#readClock(answer.response);
      const { claims } = await unwrap(Promise.resolve(answer));
      this.#update({ claiming: false, exhausted: this.#take(claims, new Set(settled)) === 0 });
    } catch (error) {
      this.#update({ claiming: false, failure: asApiError(error) });
    }
  }

  /**
   * Puts claims into the list; returns how many were new. `settled` are the items that were done with when we asked: an
   * answer that was on its way then makes what we are told about its item old news.
   */
  #take(claims: Claim[], settled: ReadonlySet<string>): number {
    let added = 0;
    for (const { item, lease } of claims) {
      const known = this.#find(item.id);
      if (this.#outbox.holds(item.id) || (known && known.status !== "open" && !settled.has(item.id))) continue;
      if (known?.status === "open") {
        this.#change(item.id, { lease, renewAt: this.#renewalOf(lease), notice: "" });
        continue;
      }
      added += 1;
      const entry = this.#entry(item, lease);
      if (known?.status === "lost") {
        const notice = "Your hold had ended; the item is yours again. Submit once more.";
        this.#change(item.id, { ...entry, payload: known.payload, touched: known.touched, notice });
      } else if (known) this.#change(item.id, entry);
      else this.#update({ entries: [...this.#state.entries, entry] });
    }
    this.#resumeClock();
    return added;
  }

  #isUnderWay(entry: Entry): boolean {
    return entry.status === "open" || entry.status === "waiting" || this.#outbox.holds(entry.item.id);
  }

  #topUp() {
    const { entries, cursor, exhausted } = this.#state;
    const ahead = entries.filter((entry, index) => index >= cursor && entry.status === "open").length;
    if (ahead === 0 || (ahead <= LOW && !exhausted)) void this.claim();
  }

  async #renewLeases() {
    const now = Date.now();
    const due = this.#state.entries.filter((entry) => entry.status === "open" && entry.lease && entry.renewAt <= now);
    const ended: string[] = [];
    for (const entry of due) {
      if (!entry.lease) continue;
      try {
        const lease = await unwrap(
          api.POST("/v1/leases/{lease_id}/renew", {
            params: { path: { lease_id: entry.lease.id } },
            body: { token: entry.lease.token },
          }),
        );
        this.#change(entry.item.id, { lease, renewAt: this.#renewalOf(lease) });
      } catch (error) {
        if (asApiError(error).status === 409) ended.push(entry.item.id);
      }
    }
    if (ended.length === 0) return;
    for (const id of ended) this.#change(id, { lease: null });
    await this.claim();
    this.#dropLost(ended);
  }

  /** Items whose hold ended and that the server did not give back: the one on screen says so, the others go. */
  #dropLost(ids: string[]) {
    const shown = this.current?.item.id;
    for (const id of ids) {
      const entry = this.#find(id);
      if (!entry || entry.status !== "open" || entry.lease) continue;
      if (id === shown) {
        this.#change(id, { status: "lost", notice: "Your hold on this item ended, and somebody else has it now." });
      } else {
        const index = this.#state.entries.indexOf(entry);
        const { entries, cursor } = this.#state;
        this.#update({
          entries: entries.filter((other) => other !== entry),
          cursor: index < cursor ? cursor - 1 : cursor,
        });
      }
    }
  }

  #release = () => {
    const token = getSession()?.token;
    for (const entry of this.#state.entries) {
      if (entry.status !== "open" || !entry.lease || !token) continue;
      // Plain fetch: `keepalive` lets the request outlive the page.
      void fetch(`/v1/leases/${entry.lease.id}/release`, {
        method: "POST",
        keepalive: true,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify({ token: entry.lease.token }),
      }).catch(() => undefined);
    }
  };

  // writing ------------------------------------------------------------------------------------------------------------

  #answer(entry: Entry, payload: Payload) {
    this.#pauseClock();
    const leadTimeMs = Math.round(this.#find(entry.item.id)?.spentMs ?? 0);
    const key = randomKey();
    this.#change(entry.item.id, { payload, status: "waiting", writeKey: key, spentMs: 0, notice: "", rejected: false });
    this.#trail.push({ itemId: entry.item.id, leadTimeMs });
    this.#leadTimes = { count: this.#leadTimes.count + 1, sum: this.#leadTimes.sum + leadTimeMs };
    this.#update({ answered: this.#state.answered + 1, pace: this.#pace() });
    this.#outbox.add({
      kind: "submit",
      key,
      itemId: entry.item.id,
      hold: entry.lease,
      payload,
      labelsetVersion: this.#labelset.version,
      leadTimeMs,
    });
    this.#advance();
  }

  async #send(write: Write): Promise<void> {
    // The hold of now, not of when the answer was given: an undo on its way may have brought a new one meanwhile.
    const entry = this.#find(write.itemId);
    if (write.kind === "undo") {
      const claim = await this.#sendUndo();
      const undone = this.#find(claim.item.id);
      if (undone) this.#change(claim.item.id, { lease: claim.lease, renewAt: this.#renewalOf(claim.lease), item: claim.item });
      return;
    }
    const hold: Hold | null = entry ? entry.lease : write.hold;
    if (write.kind === "skip") {
      if (hold) {
        await unwrap(
          api.POST("/v1/leases/{lease_id}/release", {
            params: { path: { lease_id: hold.id } },
            body: { token: hold.token, skip_reason: write.reason },
          }),
        );
      }
      if (entry) this.#change(write.itemId, { lease: null });
      return;
    }
    const { item } = await unwrap(
      api.PUT("/v1/items/{item_id}/annotation", {
        params: { path: { item_id: write.itemId } },
        body: {
          payload: write.payload,
          labelset_version: write.labelsetVersion,
          lease_id: hold?.id,
          token: hold?.token,
          lead_time_ms: write.leadTimeMs,
          key: write.key,
        },
      }),
    );
    // The lease is used up; the item may have been answered again or reopened since.
    const newest = this.#find(write.itemId)?.writeKey === write.key;
    this.#change(write.itemId, newest ? { status: "saved", lease: null, item } : { lease: null });
  }

  #sendUndo(): Promise<Claim> {
    return unwrap(
      api.POST("/v1/datasets/{dataset_id}/undo", { params: { path: { dataset_id: this.dataset.id } } }),
    );
  }

  /** The last answer was given before this sitting: only the server knows which it was. */
  async #undoEarlier() {
    await this.#outbox.start();
    try {
      const { item, lease } = await this.#sendUndo();
      const entries = this.#state.entries.filter((entry) => entry.item.id !== item.id);
      const at = Math.min(this.#state.cursor, entries.length);
      const undone = this.#entry(item, lease);
      this.#pauseClock();
      this.#update({ entries: [...entries.slice(0, at), undone, ...entries.slice(at)], cursor: at, exhausted: false });
      this.#resumeClock();
      this.say("info", "Your last answer is taken back.");
    } catch (error) {
      const problem = asApiError(error);
      this.say(problem.code === "nothing-to-undo" ? "info" : "problem", `${problem.detail}. ${problem.hint}`);
    }
  }

  #refused(write: Write, error: ApiError) {
    const entry = this.#find(write.itemId);
    if (!entry) {
      this.say("problem", `An answer from an earlier visit was not stored: ${error.detail}.`);
      return;
    }
    const what = entry.item.external_id ?? `#${entry.item.seq}`;
    if (write.kind === "undo") {
      this.#change(write.itemId, { status: "saved", notice: error.detail });
      this.say("problem", `The answer to ${what} could not be taken back: ${error.detail}.`);
      return;
    }
    // With the answer not stored, taking it back would take back the one before.
    this.#outbox.dropUndo(write.itemId);
    this.#change(write.itemId, { status: "lost", lease: null, notice: `Not stored: ${error.detail}.` });
    const stepped = this.#trail.some((step) => step.itemId === write.itemId);
    this.#trail = this.#trail.filter((step) => step.itemId !== write.itemId);
    if (write.kind === "skip") this.#update({ skipped: Math.max(0, this.#state.skipped - 1) });
    else if (stepped) this.#update({ answered: Math.max(0, this.#state.answered - 1) });
    this.say("problem", `${what} was not stored: ${error.detail}. ${error.hint}`);
    if (error.code === "lease-expired") void this.claim();
  }

  // bookkeeping --------------------------------------------------------------------------------------------------------

  #entry(item: Item, lease: Lease | null): Entry {
    const stood = item.annotation?.payload ?? item.draft?.payload ?? null;
    return {
      item,
      lease,
      status: "open",
      renewAt: lease ? this.#renewalOf(lease) : 0,
      payload: stood ?? emptyPayload(this.#labelset.kind),
      touched: item.annotation !== null,
      rejected: false,
      notice: "",
      writeKey: null,
      spentMs: 0,
    };
  }

  #find(itemId: string): Entry | undefined {
    return this.#state.entries.find((entry) => entry.item.id === itemId);
  }

  #change(itemId: string, change: Partial<Entry>) {
    this.#update({
      entries: this.#state.entries.map((entry) => (entry.item.id === itemId ? { ...entry, ...change } : entry)),
    });
  }

  #update(change: Partial<State>) {
    this.#state = { ...this.#state, ...change, sync: this.#outbox.state, pending: this.#outbox.size };
    for (const listener of this.#listeners) listener();
  }

  /** On to the next open item: after this one, else the first that was left open. */
  #advance() {
    const { entries, cursor } = this.#state;
    const open = (entry: Entry) => entry.status === "open";
    let index = entries.findIndex((entry, at) => at > cursor && open(entry));
    if (index < 0) index = entries.findIndex(open);
    this.#goTo(index < 0 ? entries.length : index);
    this.#topUp();
  }

  #goTo(cursor: number) {
    this.#pauseClock();
    this.#update({ cursor, message: null });
    this.#resumeClock();
  }

  // time ---------------------------------------------------------------------------------------------------------------

  #onVisibility = () => {
    if (document.visibilityState === "hidden") this.#pauseClock();
    else {
      this.#resumeClock();
      void this.#renewLeases();
    }
  };

  #resumeClock() {
    if (this.#shownAt === null && this.current && document.visibilityState === "visible") {
      this.#shownAt = performance.now();
    }
  }

  #pauseClock() {
    const entry = this.current;
    if (entry && this.#shownAt !== null) {
      this.#change(entry.item.id, { spentMs: entry.spentMs + performance.now() - this.#shownAt });
    }
    this.#shownAt = null;
  }

  #forgetLeadTime(leadTimeMs: number) {
    this.#leadTimes = { count: this.#leadTimes.count - 1, sum: this.#leadTimes.sum - leadTimeMs };
    this.#update({ pace: this.#pace() });
  }

  #pace(): number | null {
    return this.#leadTimes.count > 0 ? this.#leadTimes.sum / this.#leadTimes.count / 1000 : null;
  }

  #readClock(response: Response) {
    const date = Date.parse(response.headers.get("Date") ?? "");
    if (Number.isFinite(date)) this.#clockSkew = date - Date.now();
  }

  #renewalOf(lease: Lease): number {
    const full = this.dataset.settings.lease_seconds ?? 600;
    const left = Date.parse(lease.expires_at) - (Date.now() + this.#clockSkew);
    return Date.now() + Math.min(full * 1000, Math.max(0, left)) / 2;
  }
}
