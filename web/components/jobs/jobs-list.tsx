"use client";

import { useQueryClient } from "@tanstack/react-query";
import Link from "next/link";
import { useEffect } from "react";
import { JobBar } from "@/components/jobs/job-bar";
import { jobColor, jobName, jobShare } from "@/components/jobs/job-words";
import { Empty, ProblemNotice } from "@/components/shell/problem";
import { Skeleton } from "@/components/ui/skeleton";
import { keys } from "@/lib/api/queries";
import type { Job } from "@/lib/api/types";
import { ago, count, duration, percent, usd } from "@/lib/format";
import { JOB_STATE_NAMES } from "@/lib/labels";
import { cn } from "@/lib/utils";

export function JobsTab({ jobs, error }: { jobs: Job[] | undefined; error: unknown }) {
  if (error) return <ProblemNotice error={error} />;
  if (!jobs) return <Skeleton className="h-40" />;
  if (jobs.length === 0) {
    return (
      <Empty title="No jobs yet">
        Imports, pre-label runs and training appear here, with their progress and their cost.
      </Empty>
    );
  }
  return (
    <ul className="panel divide-y">
      {jobs.map((job) => (
        <li
          key={job.id}
          className="relative grid items-center gap-x-6 gap-y-2 px-4 py-3 text-sm hover:bg-accent/50 sm:grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)_10rem]"
        >
          <div className="min-w-0">
            <Link
              href={`/job?id=${job.id}`}
              className="block truncate rounded-sm font-medium after:absolute after:inset-0"
            >
              {jobName(job)}
            </Link>
            <span className="text-[0.8125rem] text-muted-foreground">{ago(job.created_at)}</span>
          </div>
          <div className="grid gap-1.5">
            <JobBar job={job} className="h-1.5" />
            <span className="tabular flex justify-between text-[0.8125rem] text-muted-foreground">
              <span>
                {count(job.done)}
                {job.total !== null && ` of ${count(job.total)}`}
                {job.failed > 0 && `, ${count(job.failed)} failed`}
              </span>
              {job.cost_usd > 0 && <span>{usd(job.cost_usd)}</span>}
            </span>
          </div>
          <span className="flex items-center gap-2 sm:justify-self-end">
            <span aria-hidden className="size-2 rounded-full" style={{ background: jobColor(job) }} />
            {JOB_STATE_NAMES[job.state]}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** What is under way, where it matters: on the dataset that it changes. */
export function RunningJobs({ jobs, dataset, className }: { jobs: Job[]; dataset: string; className?: string }) {
  const queries = useQueryClient();
  const handled = jobs.reduce((sum, job) => sum + job.done + job.failed, 0);
  useEffect(() => {
    const refresh = () => {
      void queries.invalidateQueries({ queryKey: keys.dataset(dataset), exact: true });
      void queries.invalidateQueries({ queryKey: keys.items(dataset) });
    };
    refresh();
    return refresh; // once more when the last one has ended
  }, [handled, dataset, queries]);
  return (
    <ul className={cn("grid gap-3", className)}>
      {jobs.map((job) => {
        const share = jobShare(job);
        return (
          <li key={job.id} className="panel relative grid gap-2 px-4 py-3 text-sm">
            <div className="flex flex-wrap items-baseline justify-between gap-x-4">
              <Link href={`/job?id=${job.id}`} className="rounded-sm font-medium after:absolute after:inset-0">
                {jobName(job)}
              </Link>
              <span className="tabular text-[0.8125rem] text-muted-foreground">
                {JOB_STATE_NAMES[job.state]}
                {share !== null && `, ${percent(share)}`}
                {job.state === "running" && job.eta_seconds !== null && `, ${duration(job.eta_seconds)} left`}
              </span>
            </div>
            <JobBar job={job} className="h-1.5" />
          </li>
        );
      })}
    </ul>
  );
}
