"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { MarkedText } from "@/components/labels/marked-text";
import { PayloadView } from "@/components/labels/payload-view";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Dialog, DialogTitle, SheetContent } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Input } from "@/components/ui/input";
import { NativeSelect } from "@/components/ui/native-select";
import { Skeleton } from "@/components/ui/skeleton";
import { api, unwrap } from "@/lib/api/client";
import { conflictQuery, keys } from "@/lib/api/queries";
import type { Dataset, Payload, WholeConflict } from "@/lib/api/types";
import { conflictName, givenIn, proposedBy, summaryOf, VERDICTS } from "@/lib/conflicts";
import { moment, percent } from "@/lib/format";
import { activeClasses, samePayload } from "@/lib/labels";

/** One conflict with its evidence, beside the list, and how to settle it. */
export function ConflictSheet({
  dataset,
  conflictId,
  onClose,
}: {
  dataset: Dataset;
  conflictId: string | null;
  onClose: () => void;
}) {
  return (
    <Dialog open={conflictId !== null} onOpenChange={(open) => !open && onClose()}>
      <SheetContent aria-describedby={undefined}>
        {conflictId && <Details key={conflictId} dataset={dataset} conflictId={conflictId} onDone={onClose} />}
      </SheetContent>
    </Dialog>
  );
}

function Details({ dataset, conflictId, onDone }: { dataset: Dataset; conflictId: string; onDone: () => void }) {
  const { data: conflict, error, refetch } = useQuery(conflictQuery(conflictId));
  if (!conflict) {
    return (
      <div className="p-6 pr-14">
        <DialogTitle className="sr-only">Conflict</DialogTitle>
        {error ? <ProblemNotice error={error} onRetry={() => void refetch()} /> : <Skeleton className="h-32" />}
      </div>
    );
  }
  const { item, others } = conflict;
  const given = givenIn(conflict);
  return (
    <div className="grid grid-cols-1 gap-6 px-5 py-5 sm:px-7">
      <header className="grid gap-2 pr-10">
        <DialogTitle>{conflictName(conflict.kind)}</DialogTitle>
        <p className="text-sm text-pretty">
          {conflict.person && <span className="font-medium">{conflict.person.name || conflict.person.email}: </span>}
          {summaryOf(conflict)}
        </p>
      </header>
      {item && (
        <section aria-label="Item" className="grid gap-2 border-t pt-5">
          <p className="text-[1.0625rem] leading-relaxed break-words whitespace-pre-wrap">
            <MarkedText text={item.text ?? ""} payload={given} labelset={dataset.labelset} />
          </p>
          <div className="flex flex-wrap items-center gap-x-2 text-sm text-muted-foreground">
            {conflict.evidence.source === "draft" ? "Drafted" : "Labelled"}
            <PayloadView payload={given} labelset={dataset.labelset} className="font-medium text-foreground" />
          </div>
        </section>
      )}
      <Verdict conflict={conflict} dataset={dataset} />
      {conflict.state === "open" ? (
        <Settle conflict={conflict} dataset={dataset} onDone={onDone} />
      ) : (
        <p className="border-t pt-5 text-sm">
          {conflict.resolution === "gone" ? "No longer found" : `Settled: ${conflict.resolution}`},{" "}
          {moment(conflict.updated_at)}.{conflict.comment && <> “{conflict.comment}”</>}
        </p>
      )}
      {others.length > 0 && (
        <section aria-label="Evidence" className="grid gap-2.5 border-t pt-5">
          <h2 className="eyebrow">Evidence</h2>
          <ul className="grid gap-2.5 text-sm">
            {others.map((other) => (
              <li key={other.id} className="grid gap-0.5">
                <span className="line-clamp-3">{other.text}</span>
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
    </div>
  );
}

/** What the language model thinks; without one, whose words these are. */
function Verdict({ conflict, dataset }: { conflict: WholeConflict; dataset: Dataset }) {
  const { verdict } = conflict;
  if (!verdict) {
    return (
      <p className="text-[0.8125rem] text-muted-foreground">
        Found by statistics and put in words by a template; no language model has judged it.
      </p>
    );
  }
  return (
    <section aria-label="Verdict" className="grid gap-2 border-t pt-5 text-sm">
      <h2 className="eyebrow">
        {verdict.by} {VERDICTS[verdict.verdict]}
        {verdict.confidence !== null && <>, {percent(verdict.confidence)} sure</>}
      </h2>
      {verdict.payload && <PayloadView payload={verdict.payload} labelset={dataset.labelset} className="font-medium" />}
      <p className="text-pretty">{verdict.reason}</p>
      {verdict.quotes.map((quote, index) => (
        <blockquote key={index} className="border-l-2 pl-3 text-muted-foreground">
          “{quote.text}”{" "}
          <span className="text-[0.8125rem]">
            {quote.source === "guideline" ? "from the guidelines" : "an example"}
          </span>
        </blockquote>
      ))}
      {!verdict.grounded && (
        <p className="text-[0.8125rem] text-muted-foreground">It quoted nothing that exists.</p>
      )}
    </section>
  );
}

function Settle({ conflict, dataset, onDone }: { conflict: WholeConflict; dataset: Dataset; onDone: () => void }) {
  const queries = useQueryClient();
  const proposed = proposedBy(conflict);
  const [other, setOther] = useState("");
  const [comment, setComment] = useState("");
  const settle = useMutation({
    mutationFn: ({ action, payload }: { action: "relabel" | "keep" | "dismiss"; payload?: Payload }) =>
      unwrap(
        api.POST("/v1/conflicts/{conflict_id}/resolve", {
          params: { path: { conflict_id: conflict.id } },
          body: { action, payload: payload ?? null, comment },
        }),
      ),
    onSuccess: onDone,
    onSettled: () => queries.invalidateQueries({ queryKey: keys.dataset(dataset.id) }),
  });
  const single = dataset.labelset?.kind === "classification" && !dataset.labelset.multi;
  const choice: Payload | null = other === "" ? proposed : { labels: [other] };
  const given = givenIn(conflict);
  return (
    <section aria-label="Settle" className="grid gap-4 border-t pt-5">
      {conflict.item && single && (
        <Field label="Right label">
          {(control) => (
            <NativeSelect {...control} className="w-full" value={other} onChange={(event) => setOther(event.target.value)}>
              <option value="">{proposed ? "As proposed" : "Choose…"}</option>
              {activeClasses(dataset.labelset).map((labelClass) => (
                <option key={labelClass.key} value={labelClass.key}>
                  {labelClass.name}
                </option>
              ))}
            </NativeSelect>
          )}
        </Field>
      )}
      <Field label="Comment">
        {(control) => (
          <Input {...control} maxLength={2000} value={comment} onChange={(event) => setComment(event.target.value)} />
        )}
      </Field>
      <div className="flex flex-wrap gap-2">
        {conflict.item && (
          <Button
            disabled={choice === null || samePayload(choice, given) || settle.isPending}
            onClick={() => choice && settle.mutate({ action: "relabel", payload: choice })}
          >
            Relabel
            {choice && "labels" in choice && <PayloadView payload={choice} labelset={dataset.labelset} />}
          </Button>
        )}
        <Button variant="outline" disabled={settle.isPending} onClick={() => settle.mutate({ action: "keep" })}>
          {conflict.item ? "Keep the label" : "Done"}
        </Button>
        <Button variant="ghost" disabled={settle.isPending} onClick={() => settle.mutate({ action: "dismiss" })}>
          No conflict
        </Button>
      </div>
      {settle.error && <ProblemNotice error={settle.error} />}
    </section>
  );
}
