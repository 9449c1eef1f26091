"use client";

import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { DraftPanel } from "@/components/labels/draft-panel";
import { MarkedText } from "@/components/labels/marked-text";
import { PayloadView } from "@/components/labels/payload-view";
import { StateName } from "@/components/labels/state-bar";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Dialog, DialogDescription, DialogTitle, SheetContent } from "@/components/ui/dialog";
import { Skeleton } from "@/components/ui/skeleton";
import { historyQuery, itemQuery, similarQuery } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";
import { ago, duration, moment } from "@/lib/format";

/** Everything that is known of one item, beside the list. */
export function ItemSheet({
  dataset,
  itemId,
  onClose,
}: {
  dataset: Dataset;
  itemId: string | null;
  onClose: () => void;
}) {
  return (
    <Dialog open={itemId !== null} onOpenChange={(open) => !open && onClose()}>
      <SheetContent aria-describedby={undefined}>
        {itemId && <Details dataset={dataset} itemId={itemId} />}
      </SheetContent>
    </Dialog>
  );
}

function Details({ dataset, itemId }: { dataset: Dataset; itemId: string }) {
  const { data: item, error, refetch } = useQuery(itemQuery(itemId));
  const history = useQuery(historyQuery(itemId));
  const similar = useQuery(similarQuery(itemId));
  if (error || !item) {
    return (
      <div className="p-6 pr-14">
        <DialogTitle className="sr-only">Item</DialogTitle>
        {error ? <ProblemNotice error={error} onRetry={() => void refetch()} /> : <Skeleton className="h-32" />}
      </div>
    );
  }
  const answer = item.annotation;
  return (
    <div className="grid grid-cols-1 gap-6 px-5 py-5 sm:px-7">
      <header className="flex flex-wrap items-center gap-x-4 gap-y-1 pr-10">
        <DialogTitle>{item.external_id ?? `Item #${item.seq}`}</DialogTitle>
        <DialogDescription asChild>
          <span>
            <StateName state={item.state} />
          </span>
        </DialogDescription>
      </header>
      <p className="text-[1.0625rem] leading-relaxed break-words whitespace-pre-wrap">
        <MarkedText
          text={item.text ?? ""}
          payload={answer?.payload ?? item.draft?.payload ?? null}
          labelset={dataset.labelset}
        />
      </p>
      <div>
        <Button asChild size="sm" variant="outline">
          <Link href={`/annotate?dataset=${dataset.id}&item=${item.id}`}>
            {answer ? "Change the answer" : "Answer it"}
          </Link>
        </Button>
      </div>
      {answer && (
        <section aria-label="Answer" className="grid gap-1.5 border-t pt-5">
          <h2 className="eyebrow">Answer</h2>
          <div className="text-lg font-semibold">
            <PayloadView payload={answer.payload} labelset={dataset.labelset} />
          </div>
          <p className="text-[0.8125rem] text-muted-foreground">
            {answer.source === "import" ? "Imported" : "By a person"}
            {answer.lead_time_ms !== null && <> in {duration(answer.lead_time_ms / 1000)}</>}, {ago(answer.created_at)}
            {answer.revision > 1 && <>, revision {answer.revision}</>}
          </p>
        </section>
      )}
      {item.draft && (
        <div className="border-t pt-5">
          <DraftPanel draft={item.draft} labelset={dataset.labelset} />
        </div>
      )}
      {Object.keys(item.metadata).length > 0 && (
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 border-t pt-5 text-sm">
          {Object.entries(item.metadata).map(([name, value]) => (
            <div key={name} className="contents">
              <dt className="text-muted-foreground">{name}</dt>
              <dd className="min-w-0 break-words">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </div>
          ))}
        </dl>
      )}
      {similar.data && similar.data.length > 0 && (
        <section aria-label="Similar items" className="grid gap-2.5 border-t pt-5">
          <h2 className="eyebrow">Similar items</h2>
          <ul className="grid gap-2.5 text-sm">
            {similar.data.map(({ item: other, similarity }) => (
              <li key={other.id} className="grid grid-cols-[minmax(0,1fr)_auto] gap-x-3 gap-y-0.5">
                <span className="line-clamp-2">{other.text}</span>
                <span className="tabular text-muted-foreground" title="cosine">
                  {similarity.toFixed(2)}
                </span>
                <span className="text-[0.8125rem] text-muted-foreground">
                  <PayloadView
                    payload={other.annotation?.payload ?? other.draft?.payload}
                    labelset={dataset.labelset}
                  />
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {history.data && history.data.events.length > 0 && (
        <section aria-label="History" className="grid gap-2.5 border-t pt-5">
          <h2 className="eyebrow">History</h2>
          <ol className="grid gap-1.5 text-[0.8125rem]">
            {history.data.events.map((event) => (
              <li key={event.id} className="flex justify-between gap-4">
                <span>{event.kind.replaceAll("_", " ")}</span>
                <time dateTime={event.created_at} className="shrink-0 text-muted-foreground">
                  {moment(event.created_at)}
                </time>
              </li>
            ))}
          </ol>
        </section>
      )}
    </div>
  );
}
