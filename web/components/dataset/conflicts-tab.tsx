"use client";

import { useInfiniteQuery } from "@tanstack/react-query";
import { ScanSearch } from "lucide-react";
import { useState } from "react";
import { ConflictSheet } from "@/components/dataset/conflict-sheet";
import { ScanDialog } from "@/components/dataset/scan-dialog";
import { PayloadView } from "@/components/labels/payload-view";
import { ProbabilityBar } from "@/components/labels/probability";
import { Empty, ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { NativeSelect } from "@/components/ui/native-select";
import { Skeleton } from "@/components/ui/skeleton";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/components/ui/table";
import { type ConflictFilters, conflictsQuery } from "@/lib/api/queries";
import type { ConflictRow, Dataset } from "@/lib/api/types";
import { conflictName, givenIn, proposedBy, summaryOf } from "@/lib/conflicts";
import { count, percent } from "@/lib/format";

const STATES: Record<ConflictFilters["state"], string> = { open: "Open", resolved: "Resolved", dismissed: "Dismissed" };

/** What is doubtful about the labels, the worst first. */
export function ConflictsTab({ dataset }: { dataset: Dataset }) {
  const [kind, setKind] = useState<ConflictFilters["kind"]>("");
  const [state, setState] = useState<ConflictFilters["state"]>("open");
  const [chosen, setChosen] = useState<string | null>(null);
  const page = useInfiniteQuery(conflictsQuery(dataset.id, { kind, state }));
  const conflicts = page.data?.pages.flatMap((part) => part.conflicts) ?? [];
  const counts = page.data?.pages[0]?.counts ?? {};
  const kinds = Object.keys(counts).sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0));
  if (kind !== "" && !kinds.includes(kind)) kinds.push(kind);
  return (
    <div className="grid gap-4">
      <div className="flex flex-wrap gap-2">
        <NativeSelect
          aria-label="Kind"
          value={kind}
          onChange={(event) => setKind(event.target.value as ConflictFilters["kind"])}
        >
          <option value="">Every kind</option>
          {kinds.map((one) => (
            <option key={one} value={one}>
              {conflictName(one)} ({count(counts[one] ?? 0)})
            </option>
          ))}
        </NativeSelect>
        <NativeSelect
          aria-label="State"
          value={state}
          onChange={(event) => setState(event.target.value as ConflictFilters["state"])}
        >
          {Object.entries(STATES).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </NativeSelect>
        {dataset.role === "admin" && (
          <ScanDialog dataset={dataset}>
            <Button variant="outline" className="ml-auto" disabled={!dataset.labelset}>
              <ScanSearch aria-hidden /> Scan for conflicts
            </Button>
          </ScanDialog>
        )}
      </div>
      {page.error && <ProblemNotice error={page.error} onRetry={() => void page.refetch()} />}
      {page.isPending && <Skeleton className="h-64" />}
      {page.data && conflicts.length === 0 && (
        <Empty title={state === "open" ? "No open conflict" : "None here"}>
          {state === "open" && "Answers are looked at as they arrive; a scan looks at the whole dataset."}
        </Empty>
      )}
      {conflicts.length > 0 && (
        <div className="panel overflow-hidden">
          <Table aria-label="Conflicts" className="table-fixed">
            <TableHeader>
              <TableRow>
                <TableHead className="w-auto pl-4">What is doubtful</TableHead>
                <TableHead className="w-44 max-md:hidden">Label</TableHead>
                <TableHead className="w-44 max-lg:hidden">Proposed</TableHead>
                <TableHead className="w-32 max-sm:w-24">Severity</TableHead>
              </TableRow>
            </TableHeader>
            <TableBody>
              {conflicts.map((conflict) => (
                <Row key={conflict.id} conflict={conflict} dataset={dataset} onOpen={() => setChosen(conflict.id)} />
              ))}
            </TableBody>
          </Table>
        </div>
      )}
      {page.hasNextPage && (
        <div className="flex justify-end">
          <Button variant="outline" size="sm" disabled={page.isFetching} onClick={() => void page.fetchNextPage()}>
            {page.isFetchingNextPage ? "Loading…" : "Show more"}
          </Button>
        </div>
      )}
      <ConflictSheet dataset={dataset} conflictId={chosen} onClose={() => setChosen(null)} />
    </div>
  );
}

function Row({ conflict, dataset, onOpen }: { conflict: ConflictRow; dataset: Dataset; onOpen: () => void }) {
  return (
    <TableRow className="cursor-pointer hover:bg-accent/60" onClick={onOpen}>
      <TableCell className="py-2.5 pl-4">
        <button
          type="button"
          className="line-clamp-2 w-full rounded-sm text-left break-words"
          onClick={(event) => {
            event.stopPropagation();
            onOpen();
          }}
        >
          {conflict.person && <span className="font-medium">{conflict.person.name || conflict.person.email}: </span>}
          {conflict.item?.text ?? summaryOf(conflict)}
        </button>
        <span className="mt-0.5 block text-[0.8125rem] text-muted-foreground">{conflictName(conflict.kind)}</span>
      </TableCell>
      <TableCell className="max-md:hidden">
        <PayloadView payload={givenIn(conflict)} labelset={dataset.labelset} />
      </TableCell>
      <TableCell className="max-lg:hidden">
        <PayloadView payload={proposedBy(conflict)} labelset={dataset.labelset} />
      </TableCell>
      <TableCell>
        <span className="flex items-center gap-2">
          <ProbabilityBar value={conflict.severity} color="var(--warning)" className="w-12 max-sm:hidden" />
          <span className="tabular w-11 text-right">{percent(conflict.severity)}</span>
        </span>
      </TableCell>
    </TableRow>
  );
}
