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
import { NativeSelect } from "@/components/ui/native-select";
import { randomKey } from "@/lib/annotate/outbox";
import { api, unwrap } from "@/lib/api/client";
import { estimateQuery, keys, modelsQuery } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";
import { compact, count, duration, usd } from "@/lib/format";

export function PrelabelDialog({ dataset, children }: { dataset: Dataset; children: ReactNode }) {
  return (
    <Dialog>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent>
        <DialogHeader>
          <DialogTitle>Pre-label</DialogTitle>
          <DialogDescription>A model drafts a label for every item that nobody has answered yet.</DialogDescription>
        </DialogHeader>
        <PrelabelForm dataset={dataset} />
      </DialogContent>
    </Dialog>
  );
}

function PrelabelForm({ dataset }: { dataset: Dataset }) {
  const [chosen, setChosen] = useState("");
  const [budget, setBudget] = useState("");
  const [key] = useState(randomKey);
  const router = useRouter();
  const queries = useQueryClient();
  const models = useQuery(modelsQuery());
  const usual = models.data?.find((model) => model.name === dataset.settings.model);
  const model = chosen || (usual ?? models.data?.find((one) => one.default))?.name || "";
  const price = models.data?.find((one) => one.name === model)?.price;
  const free = price?.input === 0 && price.output === 0;
  const estimate = useQuery(estimateQuery(dataset.id, model));
  const start = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/v1/datasets/{dataset_id}/jobs", {
          params: { path: { dataset_id: dataset.id } },
          body: { kind: "prelabel", params: { model }, budget_usd: budget === "" ? null : Number(budget), key },
        }),
      ),
    onSuccess: (job) => {
      void queries.invalidateQueries({ queryKey: keys.jobs(dataset.id) });
      router.push(`/job?id=${job.id}`);
    },
  });
  const problem = models.error ?? estimate.error ?? start.error;
  const plan = estimate.data;
  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        start.mutate();
      }}
    >
      <Field label="Model" hint={free ? "Runs on this machine and costs nothing." : undefined}>
        {(control) => (
          <NativeSelect
            {...control}
            className="w-full"
            value={model}
            onChange={(event) => setChosen(event.target.value)}
          >
            {models.data?.map((one) => (
              <option key={one.name} value={one.name}>
                {one.name}
              </option>
            ))}
          </NativeSelect>
        )}
      </Field>
      <dl
        className="grid grid-cols-2 gap-px overflow-hidden rounded-md border bg-border sm:grid-cols-4"
        aria-busy={!plan}
      >
        <Figure name="Items">{plan ? count(plan.items) : "…"}</Figure>
        <Figure name="Tokens">{plan ? compact(plan.input_tokens + plan.output_tokens) : "…"}</Figure>
        <Figure name="Cost">{plan ? (plan.cost_usd === null ? "unknown" : usd(plan.cost_usd)) : "…"}</Figure>
        <Figure name="Time">{plan ? duration(Math.max(1, plan.minutes * 60)) : "…"}</Figure>
      </dl>
      {!free && (
        <Field label="Budget in USD" hint="The job pauses before it would spend more. Empty: no limit.">
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
      {problem && <ProblemNotice error={problem} />}
      <DialogFooter>
        <Button type="submit" disabled={!model || start.isPending || plan?.items === 0}>
          {start.isPending ? "Starting…" : "Start"}
        </Button>
      </DialogFooter>
    </form>
  );
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="grid gap-0.5 bg-surface px-3.5 py-3">
      <dt className="text-[0.8125rem] text-muted-foreground">{name}</dt>
      <dd className="tabular text-lg leading-tight font-semibold">{children}</dd>
    </div>
  );
}
