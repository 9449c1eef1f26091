import { Desk } from "@/lib/annotate/desk";
import { EMPTY, type Entry, type Message, nameOf, openEntry, type State } from "@/lib/annotate/entries";
import { Outbox, randomKey, type Write } from "@/lib/annotate/outbox";
import { type ApiError, asApiError } from "@/lib/api/errors";
import { getSession } from "@/lib/api/session";
import type { Claim, Dataset, Item, Labelset, Lease, Payload } from "@/lib/api/types";
import { emptyPayload } from "@/lib/labels";

/** Items held in advance, and at how few more are fetched. */
const AHEAD = 5;
const LOW = 2;
const RENEW_EVERY_MS = 5_000;
/** A problem stays in sight for a while, however fast the hand goes on. */
const PROBLEM_STAYS_MS = 8_000;

interface Step {
  itemId: string;
  key: string;
  leadTimeMs: number;
  skipped: boolean;
}

/**
 * One person's sitting at one dataset.
 *
 * Every act changes the state here at once and puts its write into the outbox; nothing waits for the network. A few items
 * are claimed ahead, their leases are renewed while the page is open, and given back when it is left.
 */
export class AnnotateSession {
  #state: State = EMPTY;
  #listeners = new Set<() => void>();
  #outbox: Outbox;
  #desk: Desk;
  #shownAt: number | null = null;
  /** What was done, in order, for undo. */
  #trail: Step[] = [];
  /** When the newest write of an item arrived, on the clock of `performance.now`. */
  #writtenAt = new Map<string, number>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    dataset: Dataset,
    private readonly labelset: Labelset,
    opened: Item | null,
  ) {
    this.#desk = new Desk(dataset);
    this.#outbox = new Outbox(`${getSession()?.user.id ?? ""}.${dataset.id}`, {
      send: (write) => this.#send(write).then(() => this.#noteWritten(write)),
      refused: (write, error) => this.#refused(write, error),
      changed: () => this.#update({}),
    });
    this.#update({ entries: opened ? [this.#entry(opened, null)] : [] });
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
    this.#timer = setInterval(() => void this.#renewLeases(), RENEW_EVERY_MS);
    document.addEventListener("visibilitychange", this.#onVisibility);
    window.addEventListener("pagehide", this.#release);
    window.addEventListener("pageshow", this.#onShow);
    this.#resumeClock();
    void this.#outbox.start();
    void this.claim();
  }

  /** Gives back what is held. What was answered still goes out. */
  stop() {
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    window.removeEventListener("pagehide", this.#release);
    window.removeEventListener("pageshow", this.#onShow);
    this.#release();
  }

  // what a person does -------------------------------------------------------------------------------------------------

  choose(label: string) {
    const entry = this.current;
    if (!entry || !("labels" in entry.payload)) return;
    const chosen = entry.payload.labels;
    const has = chosen.includes(label);
    let labels: string[];
    if (this.labelset.multi) labels = has ? chosen.filter((other) => other !== label) : [...chosen, label];
    else labels = has && entry.touched ? [] : [label];
    this.#change(entry.item.id, { payload: { labels }, touched: true });
  }

  /** Sets the draft aside and everything that was chosen. */
  clear() {
    const entry = this.current;
    if (!entry) return;
    this.#change(entry.item.id, { payload: emptyPayload(this.labelset.kind), touched: true, rejected: true });
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
    if ("labels" in payload && payload.labels.length === 0 && !this.labelset.multi) {
      this.say("info", "Choose a class first, or skip the item with S.");
      return;
    }
    this.#answer(entry, payload);
  }

  /** Puts an answer in place of the choice, for the person to look at. */
  put(itemId: string, payload: Payload) {
    if (this.current?.item.id === itemId) this.#change(itemId, { payload, touched: true });
  }

  /** Gives an answer that was proposed for the item on screen, as if the person had chosen it. False for another item. */
  take(itemId: string, payload: Payload): boolean {
    const entry = this.current;
    if (entry?.item.id !== itemId) return false;
    this.#answer(entry, payload);
    return true;
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
    this.#step({ itemId: entry.item.id, key, leadTimeMs: 0, skipped: true });
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
    const last = this.#trail.at(-1);
    const entry = last && this.#find(last.itemId);
    if (!last || !entry) {
      void this.#undoEarlier();
      return;
    }
    this.#unstep(last.key);
    if (!this.#outbox.withdraw(last.key)) {
      if (last.skipped) {
        this.say("info", `${nameOf(entry.item)} is skipped already; a reviewer can bring it back.`);
        return;
      }
      this.#outbox.add({ kind: "undo", key: randomKey(), itemId: entry.item.id });
    }
    this.#change(entry.item.id, { status: "open", writeKey: null, notice: "", touched: true });
    this.#update({ exhausted: false });
    this.#goTo(this.#state.entries.findIndex((other) => other.item.id === entry.item.id));
  }

  say(tone: Message["tone"], text: string) {
    this.#update({ message: { at: Date.now(), tone, text } });
  }

  // claims and leases --------------------------------------------------------------------------------------------------

  /** Asks for more items. Those that are held already come back too, so they are counted in. */
  async claim(): Promise<void> {
    if (this.#state.claiming) return;
    this.#update({ claiming: true, failure: null });
    const open = this.#state.entries.filter((entry) => entry.status === "open").length;
    const askedAt = performance.now();
    try {
      const claims = await this.#desk.claim(open + this.#outbox.size + AHEAD);
      this.#update({ claiming: false, exhausted: this.#take(claims, askedAt) === 0 });
    } catch (error) {
      this.#update({ claiming: false, failure: asApiError(error) });
    }
  }

  /**
   * Puts claims into the list; returns how many were new. What we are told about an item is old news if its answer has
   * arrived since we asked, or is still on its way.
   */
  #take(claims: Claim[], askedAt: number): number {
    let added = 0;
    for (const { item, lease } of claims) {
      const known = this.#find(item.id);
      if (this.#outbox.holds(item.id) || (this.#writtenAt.get(item.id) ?? 0) >= askedAt) continue;
      if (known?.status === "open") {
        this.#change(item.id, { lease, renewAt: this.#desk.renewalOf(lease), notice: "" });
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
        const lease = await this.#desk.renew(entry.lease);
        this.#change(entry.item.id, { lease, renewAt: this.#desk.renewalOf(lease) });
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
      if (entry?.status !== "open" || entry.lease) continue;
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
    for (const entry of this.#state.entries) {
      if (entry.status === "open" && entry.lease) this.#desk.giveBack(entry.lease);
    }
  };

  /** The browser brings a page back as it was left; its leases are long given back. */
  #onShow = (event: PageTransitionEvent) => {
    if (event.persisted) window.location.reload();
  };

  // writing ------------------------------------------------------------------------------------------------------------

  #answer(entry: Entry, payload: Payload) {
    this.#pauseClock();
    const leadTimeMs = Math.round(this.#find(entry.item.id)?.spentMs ?? 0);
    const key = randomKey();
    this.#change(entry.item.id, { payload, status: "waiting", writeKey: key, spentMs: 0, notice: "", rejected: false });
    this.#step({ itemId: entry.item.id, key, leadTimeMs, skipped: false });
    this.#outbox.add({
      kind: "submit",
      key,
      itemId: entry.item.id,
      hold: entry.lease,
      payload,
      labelsetVersion: this.labelset.version,
      leadTimeMs,
    });
    this.#advance();
  }

  async #send(write: Write): Promise<void> {
    if (write.kind === "undo") {
      this.#putBack(await this.#desk.undo(), write.itemId);
      return;
    }
    // The hold of now, not of when the answer was given: an undo on its way may have brought a new one meanwhile.
    const entry = this.#find(write.itemId);
    const hold = entry ? entry.lease : write.hold;
    if (write.kind === "skip") {
      if (hold) await this.#desk.skip(write, hold);
      this.#change(write.itemId, { lease: null });
      return;
    }
    const item = await this.#desk.submit(write, hold);
    // The lease is used up; the item may have been answered again or reopened since.
    const newest = this.#find(write.itemId)?.writeKey === write.key;
    this.#change(write.itemId, newest ? { status: "saved", lease: null, item } : { lease: null });
  }

  #noteWritten(write: Write) {
    if (write.kind === "undo") this.#writtenAt.delete(write.itemId);
    else this.#writtenAt.set(write.itemId, performance.now());
  }

  /** What an undo brought back: the item that was meant, or one that was answered elsewhere since. */
  #putBack({ item, lease }: Claim, meant: string) {
    const renewAt = this.#desk.renewalOf(lease);
    if (item.id === meant) {
      this.#change(item.id, { lease, renewAt, item });
      return;
    }
    if (this.#find(meant)?.status === "open") this.#change(meant, { status: "saved" });
    const entries = this.#state.entries.filter((entry) => entry.item.id !== item.id);
    const at = Math.min(this.#state.cursor, entries.length);
    this.#pauseClock();
    this.#update({
      entries: [...entries.slice(0, at), this.#entry(item, lease), ...entries.slice(at)],
      cursor: at,
      exhausted: false,
    });
    this.#resumeClock();
    this.say("info", `Your last answer, to ${nameOf(item)}, is taken back.`);
  }

  /** The last answer was given before this sitting: only the server knows which it was. */
  async #undoEarlier() {
    await this.#outbox.start();
    try {
      this.#putBack(await this.#desk.undo(), "");
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
    const what = nameOf(entry.item);
    if (write.kind === "undo") {
      if (entry.status === "open") {
        this.#change(write.itemId, { status: "saved", notice: error.detail });
        this.#step({ itemId: write.itemId, key: write.key, leadTimeMs: 0, skipped: false });
      }
      this.say("problem", `The answer to ${what} was not taken back: ${error.detail} Try again.`);
      return;
    }
    // With the answer not stored, taking it back would take back the one before.
    this.#outbox.dropUndo(write.itemId);
    this.#change(write.itemId, { status: "lost", lease: null, notice: `Not stored: ${error.detail}.` });
    this.#unstep(write.key);
    this.say("problem", `${what} was not stored: ${error.detail}. ${error.hint}`);
    if (error.code === "lease-expired") void this.claim();
  }

  // bookkeeping --------------------------------------------------------------------------------------------------------

  #entry(item: Item, lease: Lease | null): Entry {
    return openEntry(item, lease, lease ? this.#desk.renewalOf(lease) : 0, this.labelset.kind);
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

  #step(step: Step) {
    this.#trail = [...this.#trail, step];
    this.#tally();
  }

  #unstep(key: string) {
    this.#trail = this.#trail.filter((step) => step.key !== key);
    this.#tally();
  }

  #tally() {
    const answers = this.#trail.filter((step) => !step.skipped);
    const items = (steps: Step[]) => new Set(steps.map((step) => step.itemId)).size;
    const spent = answers.reduce((sum, step) => sum + step.leadTimeMs, 0);
    this.#update({
      answered: items(answers),
      skipped: items(this.#trail.filter((step) => step.skipped)),
      pace: answers.length > 0 ? spent / answers.length / 1000 : null,
    });
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
    const { message } = this.#state;
    const stays = message?.tone === "problem" && Date.now() - message.at < PROBLEM_STAYS_MS;
    this.#update({ cursor, message: stays ? message : null });
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
}
