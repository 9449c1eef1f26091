"use client";

import { useInfiniteQuery } from "@tanstack/react-query";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/components/ui/table";
import { rejectionsQuery } from "@/lib/api/queries";
import type { Job, Route } from "@/lib/api/types";
import { conflictName } from "@/lib/conflicts";
import { count } from "@/lib/format";
import { ROUTE_NAMES } from "@/lib/labels";

/** What a job says of its outcome: rows taken and rejected, routes taken, errors met. */
export function JobReport({ job }: { job: Job }) {
  const { created, existing, rejected, routes, errors, notices, found } = job.result;
  const figures = { "New items": created, "There already": existing, "Not taken": rejected };
  const known = Object.entries(figures).filter((pair): pair is [string, number] => typeof pair[1] === "number");
  return (
    <>
      {known.length > 0 && <Counts title="Rows" counts={known} />}
      {isCounts(routes) && (
        <Counts
          title="Who drafted"
          counts={Object.entries(routes).map(([route, times]) => [ROUTE_NAMES[route as Route] ?? route, times])}
        />
      )}
      {job.kind === "quality_scan" && isCounts(found) && (
        <Counts
          title="Conflicts that stand"
          counts={Object.entries(found)
            .filter(([, times]) => times > 0)
            .map(([kind, times]) => [conflictName(kind), times])}
        />
      )}
      {isCounts(errors) && <Counts title="Without a draft, by error" counts={Object.entries(errors)} />}
      {Array.isArray(notices) && notices.length > 0 && (
        <ul className="grid gap-1 text-sm text-muted-foreground">
          {notices.map((notice) => (
            <li key={String(notice)}>{String(notice)}</li>
          ))}
        </ul>
      )}
      {job.kind === "import" && job.failed > 0 && <Rejections job={job} />}
    </>
  );
}

function isCounts(value: unknown): value is Record<string, number> {
  return value !== null && typeof value === "object" && Object.keys(value).length > 0;
}

function Counts({ title, counts }: { title: string; counts: [string, number][] }) {
  return (
    <section aria-label={title} className="grid gap-2 border-t pt-5">
      <h2 className="eyebrow">{title}</h2>
      <dl className="grid max-w-md gap-1.5 text-sm">
        {counts.map(([name, times]) => (
          <div key={name} className="flex justify-between gap-4">
            <dt>{name}</dt>
            <dd className="tabular font-medium">{count(times)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Rejections({ job }: { job: Job }) {
  const page = useInfiniteQuery(rejectionsQuery(job.id));
  const rows = page.data?.pages.flatMap((part) => part.rejections) ?? [];
  if (page.error) return <ProblemNotice error={page.error} onRetry={() => void page.refetch()} />;
  if (rows.length === 0) return null;
  return (
    <section aria-label="Rows not taken" className="grid gap-3 border-t pt-5">
      <h2 className="eyebrow">Rows not taken</h2>
      <div className="panel overflow-hidden">
        <Table>
          <TableHeader>
            <TableRow>
              <TableHead className="w-20 pl-4">Line</TableHead>
              <TableHead>Why</TableHead>
              <TableHead className="w-44 max-sm:hidden">Code</TableHead>
            </TableRow>
          </TableHeader>
          <TableBody>
            {rows.map((row) => (
              <TableRow key={row.line}>
                <TableCell className="tabular pl-4">{count(row.line)}</TableCell>
                <TableCell className="break-words">{row.reason}</TableCell>
                <TableCell className="font-mono text-[0.8125rem] text-muted-foreground max-sm:hidden">
                  {row.code}
                </TableCell>
              </TableRow>
            ))}
          </TableBody>
        </Table>
      </div>
      {page.hasNextPage && (
        <div>
          <Button variant="outline" size="sm" disabled={page.isFetching} onClick={() => void page.fetchNextPage()}>
            Show more
          </Button>
        </div>
      )}
    </section>
  );
}
