import { jobColor, jobName, jobShare } from "@/components/jobs/job-words";
import type { Job } from "@/lib/api/types";
import { cn } from "@/lib/utils";

/** A job's progress as a length; without a known total it only shows that it lives. */
export function JobBar({ job, className }: { job: Job; className?: string }) {
  const share = jobShare(job);
  const waiting = share === null && (job.state === "running" || job.state === "queued");
  return (
    <div
      role="progressbar"
      aria-label={jobName(job)}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share === null ? undefined : Math.round(share * 100)}
      className={cn("h-2 overflow-hidden rounded-full bg-foreground/10", className)}
    >
      <div
        className={cn("h-full rounded-full transition-[width] duration-500", waiting && "animate-pulse")}
        style={{
          width: `${(waiting ? 1 : (share ?? 0)) * 100}%`,
          background: jobColor(job),
          opacity: waiting ? 0.35 : 1,
        }}
      />
    </div>
  );
}
