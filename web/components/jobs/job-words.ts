import type { Job } from "@/lib/api/types";

const KIND_NAMES: Record<string, string> = {
  import: "Import",
  export: "Export",
  embed: "Embed the texts",
  prelabel: "Pre-label",
  train: "Train the student",
  rank: "Order the queue",
  quality_scan: "Quality scan",
  auto_accept: "Auto-accept",
  bulk: "Bulk change",
  consensus: "Settle several people's answers",
};

/** "Import of reviews.csv", "Pre-label with gpt-4.1-mini". */
export function jobName(job: Job): string {
  const { filename, model } = job.params;
  if (job.kind === "import" && typeof filename === "string") return `Import of ${filename}`;
  if (job.kind === "prelabel" && typeof model === "string") return `Pre-label with ${model}`;
  return KIND_NAMES[job.kind] ?? job.kind;
}

/** How much is handled, 0 to 1; null while the total is not known. */
export function jobShare(job: Job): number | null {
  if (job.state === "done") return 1;
  if (job.total === null) return null;
  return job.total === 0 ? 1 : Math.min(1, (job.done + job.failed) / job.total);
}

export const jobColor = (job: Job): string =>
  ({
    queued: "var(--muted-foreground)",
    running: "var(--brand)",
    paused: "var(--warning)",
    done: "var(--success)",
    failed: "var(--destructive)",
    cancelled: "var(--muted-foreground)",
  })[job.state];
