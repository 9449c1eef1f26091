"use client";

import { useQuery } from "@tanstack/react-query";
import { Download, FileUp, Sparkles } from "lucide-react";
import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { lazy, Suspense, useState } from "react";
import { ConflictsTab } from "@/components/dataset/conflicts-tab";
import { ExportDialog } from "@/components/dataset/export-dialog";
import { GuidelinesTab } from "@/components/dataset/guidelines-tab";
import { ImportDialog } from "@/components/dataset/import-dialog";
import { ItemsTab } from "@/components/dataset/items-tab";
import { LabelsTab } from "@/components/dataset/labels-tab";
import { PeopleTab } from "@/components/dataset/people-tab";
import { PrelabelDialog } from "@/components/dataset/prelabel-dialog";
import { StateBar, stateColor } from "@/components/labels/state-bar";
import { JobsTab, RunningJobs } from "@/components/jobs/jobs-list";
import { Page } from "@/components/shell/page";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { Tabs, TabsContent, TabsList, TabsTrigger } from "@/components/ui/tabs";
import { datasetQuery, jobsQuery, terminal } from "@/lib/api/queries";
import type { Dataset, ItemState } from "@/lib/api/types";
import { count, quantity } from "@/lib/format";
import { activeClasses, STATE_NAMES, STATES } from "@/lib/labels";
import { cn } from "@/lib/utils";

export function DatasetPage() {
  const id = useSearchParams().get("id") ?? "";
  const { data, error, refetch } = useQuery(datasetQuery(id));
  return (
    <Page title={data?.name ?? "Dataset"} crumbs={data ? [{ name: data.name }] : []}>
      {error && <ProblemNotice error={error} onRetry={() => void refetch()} />}
      {!data && !error && <Skeleton className="h-40" />}
      {data && <Overview key={data.id} dataset={data} />}
    </Page>
  );
}

// Charts are a third of a megabyte that only those who look at them should wait for.
const MetricsTab = lazy(() => import("@/components/metrics/metrics-tab"));

const KINDS = {
  classification: "classification",
  spans: "spans in text",
  boxes: "boxes",
  polygons: "polygons",
  segments: "segments",
};

function Overview({ dataset }: { dataset: Dataset }) {
  const params = useSearchParams();
  const [states, setStates] = useState<ItemState[]>([]);
  const jobs = useQuery(jobsQuery(dataset.id));
  const running = jobs.data?.filter((job) => !terminal(job)) ?? [];
  const admin = dataset.role === "admin";
  const classes = activeClasses(dataset.labelset);
  const open = dataset.states.new + dataset.states.drafted + dataset.states.returned;
  const showTab = (tab: string) => window.history.replaceState(null, "", `?id=${dataset.id}&tab=${tab}`);
  return (
    <>
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-4">
        <div className="min-w-0">
          <h1 className="text-2xl font-semibold">{dataset.name}</h1>
          <p className="tabular mt-1 text-sm text-muted-foreground">
            {quantity(dataset.items, "item")}
            {dataset.labelset && (
              <>
                {" · "}
                {KINDS[dataset.labelset.kind]}
                {dataset.labelset.multi && ", several labels"} · {quantity(classes.length, "class", "classes")}
              </>
            )}
          </p>
        </div>
        <div className="flex flex-wrap gap-2">
          {admin && (
            <ImportDialog dataset={dataset}>
              <Button variant="outline">
                <FileUp aria-hidden /> Import
              </Button>
            </ImportDialog>
          )}
          {admin && (
            <PrelabelDialog dataset={dataset}>
              <Button variant="outline" disabled={!dataset.labelset || dataset.items === 0}>
                <Sparkles aria-hidden /> Pre-label
              </Button>
            </PrelabelDialog>
          )}
          {dataset.role !== "annotator" && (
            <ExportDialog dataset={dataset}>
              <Button variant="outline" disabled={dataset.items === 0}>
                <Download aria-hidden /> Export
              </Button>
            </ExportDialog>
          )}
          {dataset.role !== "annotator" && dataset.states.annotated + dataset.states.reviewed > 0 && (
            <Button asChild variant="outline">
              <Link href={`/review?dataset=${dataset.id}`}>Review</Link>
            </Button>
          )}
          <Button asChild variant={open > 0 && dataset.labelset ? "default" : "outline"}>
            <Link href={`/annotate?dataset=${dataset.id}`}>Annotate</Link>
          </Button>
        </div>
      </div>

      <section aria-label="States" className="mt-6 grid gap-3">
        <StateBar states={dataset.states} className="h-2.5" />
        <StateFilter
          dataset={dataset}
          chosen={states}
          onChange={(next) => {
            setStates(next);
            showTab("items");
          }}
        />
      </section>

      {running.length > 0 && <RunningJobs jobs={running} dataset={dataset.id} className="mt-6" />}

      <Tabs value={params.get("tab") ?? "items"} onValueChange={showTab} className="mt-7">
        <TabsList>
          <TabsTrigger value="items">Items</TabsTrigger>
          <TabsTrigger value="labels">Labels</TabsTrigger>
          <TabsTrigger value="guidelines">Guidelines</TabsTrigger>
          {dataset.role !== "annotator" && <TabsTrigger value="conflicts">Conflicts</TabsTrigger>}
          <TabsTrigger value="metrics">Metrics</TabsTrigger>
          <TabsTrigger value="people">People</TabsTrigger>
          <TabsTrigger value="jobs">Jobs{running.length > 0 && ` (${running.length} running)`}</TabsTrigger>
        </TabsList>
        <TabsContent value="items">
          <ItemsTab dataset={dataset} states={states} />
        </TabsContent>
        <TabsContent value="labels">
          <LabelsTab dataset={dataset} />
        </TabsContent>
        <TabsContent value="guidelines">
          <GuidelinesTab dataset={dataset} />
        </TabsContent>
        {dataset.role !== "annotator" && (
          <TabsContent value="conflicts">
            <ConflictsTab dataset={dataset} />
          </TabsContent>
        )}
        <TabsContent value="metrics">
          <Suspense fallback={<Skeleton className="h-64" />}>
            <MetricsTab dataset={dataset} />
          </Suspense>
        </TabsContent>
        <TabsContent value="people">
          <PeopleTab dataset={dataset} />
        </TabsContent>
        <TabsContent value="jobs">
          <JobsTab jobs={jobs.data} error={jobs.error} />
        </TabsContent>
      </Tabs>
    </>
  );
}

/** The legend of the bar, and the filter of the items by state. */
function StateFilter({
  dataset,
  chosen,
  onChange,
}: {
  dataset: Dataset;
  chosen: ItemState[];
  onChange: (states: ItemState[]) => void;
}) {
  const present = STATES.filter((state) => dataset.states[state] > 0 || chosen.includes(state));
  return (
    <div role="group" aria-label="Show items by state" className="flex flex-wrap gap-1.5">
      {present.map((state) => {
        const on = chosen.includes(state);
        return (
          <button
            key={state}
            type="button"
            aria-pressed={on}
            onClick={() => onChange(on ? chosen.filter((other) => other !== state) : [...chosen, state])}
            className={cn(
              "flex h-8 items-center gap-2 rounded-full border px-3 text-[0.8125rem] transition-colors",
              on ? "border-foreground bg-surface" : "border-border bg-surface hover:bg-accent",
            )}
          >
            <span aria-hidden className="size-2 rounded-full" style={{ background: stateColor(state) }} />
            {STATE_NAMES[state]}
            <span className="tabular font-semibold">{count(dataset.states[state])}</span>
          </button>
        );
      })}
      {chosen.length > 0 && (
        <Button variant="ghost" size="sm" onClick={() => onChange([])}>
          Show all
        </Button>
      )}
    </div>
  );
}
