"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { useEffect, useEffectEvent, useRef, useState } from "react";
import { ClassList } from "@/components/annotate/class-list";
import { ItemText } from "@/components/annotate/item-text";
import { DraftPanel } from "@/components/labels/draft-panel";
import { WhatWasSaid } from "@/components/review/what-was-said";
import { Header } from "@/components/shell/page";
import { Empty, ProblemNotice } from "@/components/shell/problem";
import { RequireSession } from "@/components/shell/require-session";
import { Button } from "@/components/ui/button";
import { Kbd } from "@/components/ui/kbd";
import { Skeleton } from "@/components/ui/skeleton";
import { openEntry } from "@/lib/annotate/entries";
import { hotkeysOf } from "@/lib/annotate/hotkeys";
import { asApiError } from "@/lib/api/errors";
import { datasetQuery, keys } from "@/lib/api/queries";
import { claimReviews, type Decision, sendReview } from "@/lib/api/reviews";
import type { Dataset, Labelset, Payload, ReviewClaim } from "@/lib/api/types";
import { count } from "@/lib/format";
import { activeClasses, samePayload } from "@/lib/labels";
import { useTitle } from "@/lib/use-title";
import { cn } from "@/lib/utils";

type Level = 2 | 3;

export function ReviewPage() {
  const params = useSearchParams();
  const dataset = useQuery({ ...datasetQuery(params.get("dataset") ?? ""), refetchOnWindowFocus: false });
  const level: Level = params.get("level") === "3" ? 3 : 2;
  const labelset = dataset.data?.labelset ?? null;
  return (
    <RequireSession>
      {(session) => (
        <div className="flex min-h-dvh flex-col lg:h-dvh">
          <Header
            session={session}
            crumbs={
              dataset.data
                ? [{ name: dataset.data.name, href: `/dataset?id=${dataset.data.id}` }, { name: "Review" }]
                : []
            }
          />
          {dataset.error && (
            <main className="mx-auto max-w-2xl px-4 py-10">
              <ProblemNotice error={dataset.error} onRetry={() => void dataset.refetch()} />
            </main>
          )}
          {dataset.data && labelset && (
            <Sitting key={`${dataset.data.id} ${level}`} dataset={dataset.data} labelset={labelset} level={level} />
          )}
        </div>
      )}
    </RequireSession>
  );
}

/** One reviewer at work: the first of the claimed items is the one to judge. */
function Sitting({ dataset, labelset, level }: { dataset: Dataset; labelset: Labelset; level: Level }) {
  const [claims, setClaims] = useState<ReviewClaim[] | null>(null);
  const [chosen, setChosen] = useState<Payload | null>(null);
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(0);
  const [problem, setProblem] = useState<Error | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const queries = useQueryClient();
  useTitle(`Review ${dataset.name}`);
  const classes = activeClasses(labelset);
  const [hotkeys] = useState(() => new Map([...hotkeysOf(classes)].filter(([key]) => key !== "r")));
  const current = claims?.[0] ?? null;
  const answer = current?.item.annotation?.payload ?? null;

  const claim = async () => {
    try {
      setClaims(await claimReviews(dataset.id, level));
      setProblem(null);
    } catch (error) {
      setProblem(asApiError(error));
    }
  };
  const begin = useEffectEvent(() => void claim());
  useEffect(() => {
    begin();
    return () => {
      void queries.invalidateQueries({ queryKey: keys.dataset(dataset.id) });
    };
  }, [queries, dataset.id]);

  const decide = async (decision: Decision) => {
    if (!current || busy) return;
    if (decision === "rejected" && comment.trim() === "") {
      field.current?.focus();
      return;
    }
    if (decision === "corrected" && (!chosen || samePayload(chosen, answer))) return;
    setBusy(true);
    try {
      await sendReview(current, decision, decision === "corrected" ? chosen : null, comment);
      setDone(done + 1);
      setProblem(null);
    } catch (error) {
      setProblem(asApiError(error));
      if (asApiError(error).passing) {
        setBusy(false);
        return;
      }
    }
    setChosen(null);
    setComment("");
    field.current?.blur();
    const rest = claims?.slice(1) ?? [];
    setClaims(rest);
    if (rest.length < 2) await claim();
    setBusy(false);
  };

  const choose = (label: string) => {
    if (!current || labelset.kind !== "classification") return;
    const before = chosen ?? answer;
    const labels = before && "labels" in before ? before.labels : [];
    const next = labelset.multi
      ? labels.includes(label)
        ? labels.filter((other) => other !== label)
        : [...labels, label]
      : [label];
    setChosen({ labels: next });
  };

  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const target = event.target instanceof HTMLElement ? event.target : null;
    if (target === field.current) {
      if (event.key === "Escape") field.current?.blur();
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        void decide("rejected");
      }
      return;
    }
    if (target?.closest("input, textarea, select, [role=menu]")) return;
    const key = event.key.toLowerCase();
    const label = hotkeys.get(key);
    if (label === undefined && !["a", "r", "enter"].includes(key)) return;
    if (key === "enter" && target?.closest("button, a") && !target.closest("[data-class-key]")) return;
    event.preventDefault();
    if (label !== undefined) choose(label);
    else void decide(key === "a" ? "approved" : key === "r" ? "rejected" : "corrected");
  });
  useEffect(() => {
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);

  const entry = current && {
    ...openEntry(current.item, null, 0, labelset.kind),
    payload: chosen ?? answer ?? { labels: [] },
    touched: true,
  };
  const corrected = chosen !== null && !samePayload(chosen, answer);
  return (
    <main className="flex min-h-0 flex-1 flex-col lg:grid lg:grid-cols-[minmax(0,1fr)_clamp(23rem,34vw,31rem)]">
      <div className="flex min-h-0 flex-col gap-7 px-4 pt-4 pb-8 sm:px-8 lg:gap-10 lg:overflow-y-auto lg:pt-5">
        <div className="mx-auto flex w-full max-w-[44rem] flex-wrap items-center gap-x-5 gap-y-2">
          <Levels dataset={dataset} level={level} />
          <p className="tabular ml-auto text-[0.8125rem] text-muted-foreground" data-testid="progress">
            <strong className="font-semibold text-foreground">{count(done)}</strong> in this sitting
          </p>
        </div>
        {problem && <ProblemNotice error={problem} onRetry={() => void claim()} />}
        {claims === null && !problem && <Skeleton className="mx-auto h-24 w-full max-w-[44rem]" />}
        {entry && <ItemText entry={entry} labelset={labelset} />}
        {claims !== null && !current && (
          <div data-testid="end">
            <Empty
              title="Nothing waits for a review by you now"
              action={<Button onClick={() => void claim()}>Look again</Button>}
            >
              What you have answered yourself waits for another reviewer.
            </Empty>
          </div>
        )}
      </div>
      <aside
        aria-label="Review"
        className="flex min-h-0 flex-col gap-4.5 border-t bg-surface px-4 py-5 [&>*]:shrink-0 max-lg:flex-1 sm:px-6 lg:overflow-y-auto lg:border-t-0 lg:border-l"
      >
        {current && entry && (
          <>
            <WhatWasSaid claim={current} labelset={labelset} />
            {labelset.kind === "classification" && (
              <section aria-label="What is right" className="grid gap-2 border-t pt-4.5">
                <h2 className="eyebrow">{corrected ? "Your correction" : "What is right"}</h2>
                <ClassList classes={classes} multi={labelset.multi} entry={entry} hotkeys={hotkeys} onChoose={choose} />
              </section>
            )}
            <label className="grid gap-1.5 text-sm">
              <span className="eyebrow">Comment for the author</span>
              <textarea
                ref={field}
                value={comment}
                rows={2}
                maxLength={4000}
                onChange={(event) => setComment(event.target.value)}
                placeholder="A rejection needs one. Enter sends it, Escape leaves."
                className="rounded-md border bg-background px-3 py-2"
              />
            </label>
            <div className="flex flex-wrap gap-2">
              <Button disabled={busy || corrected} onClick={() => void decide("approved")}>
                Approve <Kbd>A</Kbd>
              </Button>
              <Button variant="outline" disabled={busy || !corrected} onClick={() => void decide("corrected")}>
                Correct <Kbd>Enter</Kbd>
              </Button>
              <Button variant="outline" disabled={busy} onClick={() => void decide("rejected")}>
                Reject <Kbd>R</Kbd>
              </Button>
            </div>
            {current.item.draft && <DraftPanel draft={current.item.draft} labelset={labelset} />}
          </>
        )}
      </aside>
    </main>
  );
}

/** What waits at level 2, and for those who may decide it at level 3. */
function Levels({ dataset, level }: { dataset: Dataset; level: Level }) {
  if (dataset.role !== "super_reviewer" && dataset.role !== "admin") return null;
  const tabs: [Level, string, number][] = [
    [2, "Answers", dataset.states.annotated],
    [3, "Disagreements and appeals", dataset.states.reviewed],
  ];
  return (
    <nav aria-label="Level" className="flex gap-1.5">
      {tabs.map(([value, name, waiting]) => (
        <Link
          key={value}
          href={`/review?dataset=${dataset.id}&level=${value}`}
          aria-current={value === level ? "page" : undefined}
          className={cn(
            "flex h-8 items-center gap-2 rounded-full border px-3 text-[0.8125rem]",
            value === level ? "border-foreground bg-surface" : "border-border hover:bg-accent",
          )}
        >
          {name} <span className="tabular font-semibold">{count(waiting)}</span>
        </Link>
      ))}
    </nav>
  );
}
