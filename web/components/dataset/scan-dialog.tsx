"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { type ReactNode, useState } from "react";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import {
  Dialog,
  DialogContent,
  DialogDescription,
  DialogFooter,
  DialogHeader,
  DialogTitle,
  DialogTrigger,
} from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Input } from "@/components/ui/input";
import { randomKey } from "@/lib/annotate/outbox";
import { api, unwrap } from "@/lib/api/client";
import { keys, scanEstimateQuery } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";
import { count, duration, usd } from "@/lib/format";
import { useDebounced } from "@/lib/use-debounced";

/** Orders a quality scan. */
export function ScanDialog({ dataset, children }: { dataset: Dataset; children: ReactNode }) {
  return (
    <Dialog>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent>
        <DialogHeader>
          <DialogTitle>Scan for conflicts</DialogTitle>
          <DialogDescription>
            Statistics look at every label on this machine, which costs nothing. A language model may judge the worst.
          </DialogDescription>
        </DialogHeader>
        <ScanForm dataset={dataset} />
      </DialogContent>
    </Dialog>
  );
}

function ScanForm({ dataset }: { dataset: Dataset }) {
  const [judged, setJudged] = useState("0");
  const [budget, setBudget] = useState("");
  const [key] = useState(randomKey);
  const router = useRouter();
  const queries = useQueryClient();
  const most = Math.min(1000, Math.max(0, Math.round(Number(judged)) || 0));
  const plan = useQuery(scanEstimateQuery(dataset.id, useDebounced(most)));
  const start = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/v1/datasets/{dataset_id}/jobs", {
          params: { path: { dataset_id: dataset.id } },
          body: {
            kind: "quality_scan",
            params: { adjudicate: most },
            budget_usd: budget === "" ? null : Number(budget),
            key,
          },
        }),
      ),
    onSuccess: (job) => {
      void queries.invalidateQueries({ queryKey: keys.jobs(dataset.id) });
      router.push(`/job?id=${job.id}`);
    },
  });
  const problem = plan.error ?? start.error;
  const estimate = plan.data;
  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        start.mutate();
      }}
    >
      <Field label="Conflicts for the language model" hint="At most so many, the worst first; 0 for none.">
        {(control) => (
          <Input
            {...control}
            type="number"
            min={0}
            max={1000}
            value={judged}
            onChange={(event) => setJudged(event.target.value)}
          />
        )}
      </Field>
      {most > 0 && estimate?.model && (
        <Field label="Budget in USD" hint="Judging ends before it would spend more. Empty: no limit.">
          {(control) => (
            <Input
              {...control}
              type="number"
              inputMode="decimal"
              min={0}
              step="any"
              value={budget}
              onChange={(event) => setBudget(event.target.value)}
            />
          )}
        </Field>
      )}
      {estimate && (
        <p className="tabular text-sm text-muted-foreground">
          {count(estimate.items)} items, about {duration(Math.max(1, estimate.minutes * 60))}
          {estimate.model && (
            <>
              , {estimate.model}: {estimate.cost_usd === null ? "price unknown" : usd(estimate.cost_usd)}
            </>
          )}
          .{most > 0 && !estimate.model && <> {estimate.note}</>}
        </p>
      )}
      {problem && <ProblemNotice error={problem} />}
      <DialogFooter>
        <Button type="submit" disabled={start.isPending}>
          {start.isPending ? "Starting…" : "Start"}
        </Button>
      </DialogFooter>
    </form>
  );
}
