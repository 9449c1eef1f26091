"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Pause, Play, Square } from "lucide-react";
import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { type ReactNode, useEffect } from "react";
import { JobBar } from "@/components/jobs/job-bar";
import { JobReport } from "@/components/jobs/job-report";
import { jobColor, jobName, jobShare } from "@/components/jobs/job-words";
import { useLiveJob } from "@/components/jobs/use-live-job";
import { Page } from "@/components/shell/page";
import { ProblemNotice } from "@/components/shell/problem";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { api, unwrap } from "@/lib/api/client";
import { ApiError } from "@/lib/api/errors";
import { datasetQuery, keys, terminal } from "@/lib/api/queries";
import type { Dataset, Job } from "@/lib/api/types";
import { count, duration, moment, percent, usd } from "@/lib/format";
import { JOB_STATE_NAMES } from "@/lib/labels";

export function JobPage() {
  const id = useSearchParams().get("id") ?? "";
  const { job, error, lost } = useLiveJob(id);
  const { data: dataset } = useQuery(datasetQuery(job?.dataset_id ?? ""));
  const crumbs = dataset
    ? [{ name: dataset.name, href: `/dataset?id=${dataset.id}` }, { name: job ? jobName(job) : "Job" }]
    : [];
  return (
    <Page title={job ? jobName(job) : "Job"} crumbs={crumbs}>
      {error !== null && error !== undefined && <ProblemNotice error={error} />}
      {!job && !error && <Skeleton className="h-52" />}
      {job && <Details job={job} dataset={dataset} lost={lost} />}
    </Page>
  );
}

function Details({ job, dataset, lost }: { job: Job; dataset: Dataset | undefined; lost: boolean }) {
  const queries = useQueryClient();
  const ended = terminal(job);
  const share = jobShare(job);
  useEffect(() => {
    if (ended) void queries.invalidateQueries({ queryKey: keys.dataset(job.dataset_id) });
  }, [ended, job.dataset_id, queries]);
  return (
    <div className="grid max-w-4xl grid-cols-1 gap-7">
      <div className="flex flex-wrap items-start justify-between gap-4">
        <div>
          <h1 className="text-2xl font-semibold">{jobName(job)}</h1>
          <p className="mt-1 flex items-center gap-2 text-sm text-muted-foreground" aria-live="polite">
            <span aria-hidden className="size-2 rounded-full" style={{ background: jobColor(job) }} />
            <span className="text-foreground" data-testid="job-state">
              {JOB_STATE_NAMES[job.state]}
            </span>
            {ended && job.finished_at ? <>· {moment(job.finished_at)}</> : <>· ordered {moment(job.created_at)}</>}
          </p>
        </div>
        {dataset?.role === "admin" && <Controls job={job} />}
        {job.state === "done" && dataset && <WhatNext job={job} dataset={dataset} />}
      </div>

      <section aria-label="Progress" className="grid gap-3">
        <div className="tabular flex items-baseline justify-between gap-4">
          <span className="text-3xl font-semibold tracking-tight">{share === null ? "…" : percent(share)}</span>
          <span className="text-sm text-muted-foreground">
            {count(job.done)}
            {job.total !== null && ` of ${count(job.total)}`} done
            {job.failed > 0 && `, ${count(job.failed)} not`}
          </span>
        </div>
        <JobBar job={job} className="h-2.5" />
        <dl className="grid grid-cols-2 gap-x-6 gap-y-4 pt-3 sm:grid-cols-4">
          <Figure name="Speed">{speed(job)}</Figure>
          <Figure name={ended ? "Took" : "Time left"}>{time(job)}</Figure>
          <Figure name="Cost">{usd(job.cost_usd)}</Figure>
          <Figure name="Budget">{job.budget_usd === null ? "no limit" : usd(job.budget_usd)}</Figure>
        </dl>
      </section>

      {lost && (
        <Alert variant="warning">The connection to the server is lost; trying again. The job goes on without us.</Alert>
      )}
      {job.error && <ProblemNotice error={new ApiError(job.error)} />}
      {job.note && !job.error && <Alert>{job.note}</Alert>}
      <JobReport job={job} />
    </div>
  );
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-[0.8125rem] text-muted-foreground">{name}</dt>
      <dd className="tabular mt-0.5 font-semibold">{children}</dd>
    </div>
  );
}

function elapsed(job: Job): number | null {
  if (!job.started_at || !job.finished_at) return null;
  return (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000;
}

function speed(job: Job): string {
  const took = elapsed(job);
  const rate = job.rate ?? (took && took > 0 ? (job.done + job.failed) / took : null);
  if (rate === null) return "–";
  return rate >= 10 ? `${count(Math.round(rate))} items/s` : `${rate.toFixed(1)} items/s`;
}

function time(job: Job): string {
  const took = elapsed(job);
  if (terminal(job)) return took === null ? "–" : took < 10 ? `${took.toFixed(1)} s` : duration(took);
  return job.eta_seconds === null ? "–" : duration(job.eta_seconds);
}

type Action = "pause" | "resume" | "cancel";

function Controls({ job }: { job: Job }) {
  const queries = useQueryClient();
  const control = useMutation({
    mutationFn: (action: Action) => {
      const params = { params: { path: { job_id: job.id } } };
      if (action === "pause") return unwrap(api.POST("/v1/jobs/{job_id}/pause", params));
      if (action === "resume") return unwrap(api.POST("/v1/jobs/{job_id}/resume", params));
      return unwrap(api.POST("/v1/jobs/{job_id}/cancel", params));
    },
    onSuccess: (changed) => queries.setQueryData(keys.job(job.id), changed),
  });
  if (terminal(job)) return null;
  return (
    <div className="grid justify-items-end gap-2">
      <div className="flex gap-2">
        {job.state === "paused" ? (
          <Button disabled={control.isPending} onClick={() => control.mutate("resume")}>
            <Play aria-hidden /> Resume
          </Button>
        ) : (
          <Button variant="outline" disabled={control.isPending} onClick={() => control.mutate("pause")}>
            <Pause aria-hidden /> Pause
          </Button>
        )}
        <Button variant="outline" disabled={control.isPending} onClick={() => control.mutate("cancel")}>
          <Square aria-hidden /> Cancel
        </Button>
      </div>
      {control.error && <ProblemNotice error={control.error} />}
    </div>
  );
}

/** Where people want to go once it is done. */
function WhatNext({ job, dataset }: { job: Job; dataset: Dataset }) {
  return (
    <div className="flex gap-2">
      <Button asChild variant="outline">
        <Link href={`/dataset?id=${dataset.id}`}>To the dataset</Link>
      </Button>
      {job.kind === "prelabel" && (
        <Button asChild>
          <Link href={`/annotate?dataset=${dataset.id}`}>Annotate</Link>
        </Button>
      )}
    </div>
  );
}
