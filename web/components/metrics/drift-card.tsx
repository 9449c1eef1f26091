"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ItemSheet } from "@/components/dataset/item-sheet";
import { Chart, DriftLine } from "@/components/metrics/charts";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { api, unwrap } from "@/lib/api/client";
import { type DriftReport, driftQuery } from "@/lib/api/metrics";
import { keys } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";
import { moment, percent, quantity } from "@/lib/format";

const FIRST = 1000;

/** Whether what comes in is still what came in before. */
export function DriftCard({ dataset }: { dataset: Dataset }) {
  const { data, error } = useQuery(driftQuery(dataset.id));
  const client = useQueryClient();
  const watch = useMutation({
    mutationFn: () =>
      unwrap(
        api.PUT("/v1/datasets/{dataset_id}/drift", {
          params: { path: { dataset_id: dataset.id } },
          body: { reference: { first: Math.min(FIRST, Math.max(20, Math.floor(dataset.items / 2))) }, newest: FIRST, alpha: 0.05 },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.dataset(dataset.id) }),
  });
  return (
    <section aria-label="Drift" className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <h2 className="text-base font-semibold">Drift</h2>
      {error && <ProblemNotice error={error} />}
      {!data && !error && <Skeleton className="h-24" />}
      {data && !data.watching && (
        <div className="grid justify-items-start gap-3">
          <p className="max-w-[65ch] text-sm text-pretty text-muted-foreground">
            Nobody watches this dataset for drift. Later items would be compared with the first ones, and an alarm raised
            when their texts or labels change more than chance allows.
          </p>
          {dataset.role === "admin" && (
            <Button variant="outline" disabled={watch.isPending || dataset.items < 40} onClick={() => watch.mutate()}>
              Watch for drift
            </Button>
          )}
          {watch.error && <ProblemNotice error={watch.error} />}
        </div>
      )}
      {data?.watching && <Findings report={data} dataset={dataset} />}
    </section>
  );
}

function Findings({ report, dataset }: { report: DriftReport; dataset: Dataset }) {
  const [open, setOpen] = useState<string | null>(null);
  const people = [...report.people, ...report.models].filter((one) => one.alarm);
  return (
    <>
      <p className={report.alarm ? "text-sm text-destructive" : "text-sm text-muted-foreground"}>
        {report.alarm && report.alarmed_at && <strong>Alarm on {moment(report.alarmed_at)}. </strong>}
        {report.note} {quantity(report.reference_items, "item")} are the reference.
      </p>
      {report.history.length > 1 && (
        <Chart title="Score; an alarm from 1 on" words={`${quantity(report.history.length, "look")}, last ${report.score?.toFixed(2)}`}>
          <DriftLine looks={report.history.toReversed()} />
        </Chart>
      )}
      {report.latest && report.latest.shifts.length > 0 && report.alarm && (
        <ul className="grid gap-1 text-sm">
          {report.latest.shifts.slice(0, 5).map((one) => (
            <li key={one.label} className="tabular">
              <span className="font-medium">{one.label}</span>: {percent(one.before)} → {percent(one.now)}
            </li>
          ))}
        </ul>
      )}
      {report.latest && report.latest.drivers.length > 0 && report.alarm && (
        <p className="text-sm">
          Least like the reference:{" "}
          {report.latest.drivers.slice(0, 5).map((item, at) => (
            <Button key={item} variant="ghost" size="sm" onClick={() => setOpen(item)}>
              item {at + 1}
            </Button>
          ))}
        </p>
      )}
      {people.map((one) => (
        <p key={`${one.about}:${one.who}`} className="text-sm text-destructive">
          {one.about === "annotator" ? "An annotator" : one.who}: {one.reason}
        </p>
      ))}
      <ItemSheet dataset={dataset} itemId={open} onClose={() => setOpen(null)} />
    </>
  );
}
