"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { useEffect, useState, useSyncExternalStore } from "react";
import { ChatPanel } from "@/components/annotate/chat-panel";
import { ClassList } from "@/components/annotate/class-list";
import { CommandBar } from "@/components/annotate/command-bar";
import { HintPanel } from "@/components/annotate/hint-panel";
import { ItemText } from "@/components/annotate/item-text";
import { GuidelinesSheet, HelpDialog, SkipDialog } from "@/components/annotate/overlays";
import { ReturnedNote } from "@/components/annotate/returned-note";
import { LookAgain, SyncStatus } from "@/components/annotate/sync-status";
import { TypeAhead } from "@/components/annotate/type-ahead";
import { type Overlay, type Panel, useKeyboard } from "@/components/annotate/use-keyboard";
import { ClassName } from "@/components/labels/class-chip";
import { DraftPanel } from "@/components/labels/draft-panel";
import { Header } from "@/components/shell/page";
import { Empty, ProblemNotice } from "@/components/shell/problem";
import { RequireSession } from "@/components/shell/require-session";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { hotkeysOf } from "@/lib/annotate/hotkeys";
import type { Entry, State } from "@/lib/annotate/entries";
import { AnnotateSession } from "@/lib/annotate/session";
import { datasetQuery, itemQuery, keys } from "@/lib/api/queries";
import type { Session } from "@/lib/api/session";
import type { Dataset, Item, Labelset } from "@/lib/api/types";
import { count, duration, quantity } from "@/lib/format";
import { activeClasses, samePayload } from "@/lib/labels";
import { useTitle } from "@/lib/use-title";

export function AnnotatePage() {
  return <RequireSession>{(session) => <Loader session={session} />}</RequireSession>;
}

function Loader({ session }: { session: Session }) {
  const params = useSearchParams();
  const wanted = params.get("item") ?? "";
  const dataset = useQuery({ ...datasetQuery(params.get("dataset") ?? ""), refetchOnWindowFocus: false });
  const item = useQuery({ ...itemQuery(wanted), refetchOnWindowFocus: false });
  const problem = dataset.error ?? item.error;
  if (problem) {
    return (
      <>
        <Header crumbs={[]} session={session} />
        <main className="mx-auto max-w-2xl px-4 py-10">
          <ProblemNotice error={problem} onRetry={() => void (dataset.error ? dataset : item).refetch()} />
        </main>
      </>
    );
  }
  if (!dataset.data || (wanted && !item.data)) return <Header crumbs={[]} session={session} />;
  if (!dataset.data.labelset) return <NoLabelset dataset={dataset.data} session={session} />;
  return (
    <Sitting
      key={`${dataset.data.id} ${wanted}`}
      session={session}
      dataset={dataset.data}
      labelset={dataset.data.labelset}
      opened={item.data ?? null}
    />
  );
}

function NoLabelset({ dataset, session }: { dataset: Dataset; session: Session }) {
  return (
    <>
      <Header crumbs={crumbsOf(dataset)} session={session} />
      <main className="mx-auto max-w-2xl px-4 py-10">
        <Empty
          title="There are no classes to choose from yet"
          action={
            <Button asChild>
              <Link href={`/dataset?id=${dataset.id}&tab=labels`}>Define the classes</Link>
            </Button>
          }
        >
          A dataset needs a labelset before anybody can answer.
        </Empty>
      </main>
    </>
  );
}

const crumbsOf = (dataset: Dataset) => [
  { name: dataset.name, href: `/dataset?id=${dataset.id}` },
  { name: "Annotate" },
];

interface SittingProps {
  session: Session;
  dataset: Dataset;
  labelset: Labelset;
  opened: Item | null;
}

function Sitting({ session: account, dataset, labelset, opened }: SittingProps) {
  const [session] = useState(() => new AnnotateSession(dataset, labelset, opened));
  const state = useSyncExternalStore(session.subscribe, session.getState);
  const [overlay, setOverlay] = useState<Overlay>(null);
  const [typed, setTyped] = useState("");
  /** The item that a hint is shown for: the next one has none until it is asked for. */
  const [hinted, setHinted] = useState<string | null>(null);
  const [chatting, setChatting] = useState(false);
  const queries = useQueryClient();
  useTitle(`Annotate ${dataset.name}`);
  const classes = activeClasses(labelset);
  const [hotkeys] = useState(() => hotkeysOf(classes));
  const entry = state.entries[state.cursor] ?? null;
  const classified = labelset.kind === "classification";

  useEffect(() => {
    session.start();
    return () => {
      session.stop();
      void queries.invalidateQueries({ queryKey: keys.dataset(dataset.id) });
      void queries.invalidateQueries({ queryKey: keys.datasets });
    };
  }, [session, queries, dataset.id]);

  const pending = state.pending > 0;
  useEffect(() => {
    if (!pending) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [pending]);

  const open = (next: Overlay, letters = "") => {
    if (next === "search" && !classified) return;
    if (next !== null && next !== "help" && next !== "guidelines" && !entry) return;
    setTyped(letters);
    setOverlay(next);
  };
  const close = () => setOverlay(null);
  const shown = entry?.item.id ?? null;
  const toggle = (panel: Panel) => {
    if (panel === "hint") setHinted(hinted === shown ? null : shown);
    else setChatting(!chatting);
  };
  useKeyboard({ session, hotkeys, typeAhead: classified && classes.length > 9, overlay, open, toggle });

  return (
    <div className="flex min-h-dvh flex-col lg:h-dvh">
      <Header crumbs={crumbsOf(dataset)} session={account}>
        <SyncStatus state={state} />
      </Header>
      <main className="flex min-h-0 flex-1 flex-col lg:grid lg:grid-cols-[minmax(0,1fr)_clamp(23rem,34vw,31rem)]">
        <div className="flex min-h-0 flex-col gap-7 px-4 pt-4 pb-8 sm:px-8 lg:gap-10 lg:overflow-y-auto lg:pt-5">
          <Progress dataset={dataset} state={state} />
          {entry && <ReturnedNote item={entry.item} />}
          {entry ? (
            <ItemText entry={entry} labelset={labelset} />
          ) : (
            <End session={session} state={state} dataset={dataset} />
          )}
          {entry && shown !== null && hinted === shown && (
            <HintPanel
              itemId={shown}
              labelset={labelset}
              onChoose={(payload) => session.put(shown, payload)}
              onClose={() => setHinted(null)}
            />
          )}
          {chatting && (
            <ChatPanel
              key={shown}
              dataset={dataset}
              itemId={shown}
              onTake={(id, payload) => session.take(id, payload)}
              onClose={() => setChatting(false)}
            />
          )}
        </div>
        <aside
          aria-label="Answer"
          className="flex min-h-0 flex-col gap-4.5 border-t bg-surface px-4 py-5 [&>*]:shrink-0 max-lg:flex-1 sm:px-6 lg:overflow-y-auto lg:border-t-0 lg:border-l"
        >
          {entry && <Answer session={session} entry={entry} labelset={labelset} hotkeys={hotkeys} />}
        </aside>
      </main>
      <div className="sticky bottom-0 z-20">
        <MessageLine state={state} />
        <CommandBar session={session} entry={entry} searchable={classified} open={open} toggle={toggle} />
      </div>
      <HelpDialog overlay={overlay} onClose={close} />
      <GuidelinesSheet overlay={overlay} onClose={close} dataset={dataset} />
      <SkipDialog
        overlay={overlay}
        onClose={close}
        onSkip={(reason) => {
          close();
          session.skip(reason);
        }}
      />
      <TypeAhead
        classes={classes}
        chosen={entry && "labels" in entry.payload ? entry.payload.labels : []}
        typed={typed}
        open={overlay === "search"}
        onOpenChange={close}
        onPick={(label) => {
          close();
          session.choose(label);
        }}
      />
    </div>
  );
}

function Answer({
  session,
  entry,
  labelset,
  hotkeys,
}: {
  session: AnnotateSession;
  entry: Entry;
  labelset: Labelset;
  hotkeys: ReadonlyMap<string, string>;
}) {
  const { draft } = entry.item;
  return (
    <>
      {/* As high as a usual draft, so that the classes stay where the hand expects them. */}
      <div className={draft && labelset.kind === "classification" ? "lg:min-h-[18.5rem]" : undefined}>
        {draft ? (
          <DraftPanel draft={draft} labelset={labelset} rejected={entry.rejected} />
        ) : (
          <p className="text-sm text-muted-foreground">No model has drafted this item. The answer is all yours.</p>
        )}
      </div>
      {labelset.kind === "classification" ? (
        <section aria-label="Your answer" className="grid gap-2 border-t pt-4.5">
          <h2 className="eyebrow flex justify-between gap-3">
            <span>{labelset.multi ? "Your answer: any number of classes" : "Your answer"}</span>
            {entry.touched && draft && samePayload(entry.payload, draft.payload) && <span>as drafted</span>}
          </h2>
          <ClassList
            classes={activeClasses(labelset)}
            multi={labelset.multi}
            entry={entry}
            hotkeys={hotkeys}
            onChoose={(label) => session.choose(label)}
          />
        </section>
      ) : (
        <section aria-label="Classes" className="grid gap-3 border-t pt-4.5 text-sm">
          <ul className="flex flex-wrap gap-x-4 gap-y-1.5">
            {activeClasses(labelset).map((labelClass) => (
              <li key={labelClass.key}>
                <ClassName labelset={labelset} label={labelClass.key} />
              </li>
            ))}
          </ul>
          <p className="text-pretty text-muted-foreground">
            Accept the draft as it is marked in the text, or clear it with X and submit to say that nothing is there.
          </p>
        </section>
      )}
    </>
  );
}

function Progress({ dataset, state }: { dataset: Dataset; state: State }) {
  const open = dataset.states.new + dataset.states.drafted + dataset.states.returned;
  const left = Math.max(0, open - state.answered - state.skipped);
  const done = Math.min(dataset.items, dataset.items - left);
  const share = dataset.items > 0 ? done / dataset.items : 0;
  return (
    <div className="mx-auto flex w-full max-w-[44rem] flex-wrap items-center gap-x-5 gap-y-2">
      <p className="tabular flex flex-wrap gap-x-4 text-[0.8125rem] text-muted-foreground" data-testid="progress">
        <span>
          <strong className="font-semibold text-foreground">{count(state.answered)}</strong> in this sitting
          {state.pace !== null && <>, {duration(state.pace)} each</>}
        </span>
        <span>{quantity(left, "item")} left</span>
      </p>
      <div
        role="progressbar"
        aria-label="Progress of the dataset"
        aria-valuenow={Math.round(share * 100)}
        aria-valuemin={0}
        aria-valuemax={100}
        className="h-1 min-w-24 flex-1 overflow-hidden rounded-full bg-foreground/10"
      >
        <div
          className="h-full rounded-full bg-brand transition-[width] duration-300"
          style={{ width: `${share * 100}%` }}
        />
      </div>
    </div>
  );
}

function MessageLine({ state }: { state: State }) {
  const text = state.message?.text ?? state.failure?.detail ?? "";
  const problem = state.message ? state.message.tone === "problem" : state.failure !== null;
  return (
    <div aria-live="polite" data-testid="message">
      {text && (
        <p
          className={
            problem
              ? "border-t border-warning/30 bg-warning-soft px-4 py-2 text-sm sm:px-6"
              : "border-t bg-muted px-4 py-2 text-sm sm:px-6"
          }
        >
          {text}
        </p>
      )}
    </div>
  );
}

const LOOK_AGAIN_MS = 30_000;
const TRY_AGAIN_MS = 5_000;

function End({ session, state, dataset }: { session: AnnotateSession; state: State; dataset: Dataset }) {
  const nothing = state.exhausted && !state.claiming;
  const pause = state.failure ? TRY_AGAIN_MS : nothing ? LOOK_AGAIN_MS : null;
  useEffect(() => {
    if (pause === null) return;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") void session.claim();
    }, pause);
    return () => clearInterval(timer);
  }, [pause, session]);
  if (state.failure) return <ProblemNotice error={state.failure} onRetry={() => void session.claim()} />;
  if (!nothing && !state.exhausted) {
    return (
      <div className="mx-auto grid w-full max-w-[44rem] gap-4" role="status" aria-label="Fetching items" aria-busy>
        <Skeleton className="h-4 w-24" />
        <Skeleton className="h-7 w-full" />
        <Skeleton className="h-7 w-4/5" />
      </div>
    );
  }
  return (
    <div data-testid="end">
      <Empty
        title={state.answered > 0 ? "Nothing left to do" : "There is nothing for you to do here now"}
        action={
          <div className="mt-2 flex flex-wrap justify-center gap-2">
            <Button asChild>
              <Link href={`/dataset?id=${dataset.id}`}>Back to {dataset.name}</Link>
            </Button>
            <LookAgain onClick={() => void session.claim()} busy={state.claiming} />
          </div>
        }
      >
        {state.answered > 0
          ? `You answered ${quantity(state.answered, "item")} in this sitting. K goes back to them, U takes the last one back.`
          : "Every item is answered, or in somebody else's hands. This page looks again by itself."}
      </Empty>
    </div>
  );
}
