"use client";

import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import Link from "next/link";
import { CreateDatasetDialog } from "@/components/datasets/create-dataset-dialog";
import { StateBar, stateColor } from "@/components/labels/state-bar";
import { Page } from "@/components/shell/page";
import { Empty, ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { datasetsQuery } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";
import { count, percent, quantity } from "@/lib/format";
import { activeClasses, STATE_NAMES, STATES } from "@/lib/labels";

export function DatasetsPage() {
  return (
    <Page title="Datasets">
      <Datasets />
    </Page>
  );
}

function Datasets() {
  const { data, error, refetch } = useQuery(datasetsQuery());
  const create = (
    <CreateDatasetDialog>
      <Button>
        <Plus aria-hidden /> New dataset
      </Button>
    </CreateDatasetDialog>
  );
  return (
    <>
      <div className="mb-6 flex items-center justify-between gap-4">
        <h1 className="text-2xl font-semibold">Datasets</h1>
        {data && data.length > 0 && create}
      </div>
      {error && <ProblemNotice error={error} onRetry={() => void refetch()} />}
      {!data && !error && (
        <div role="status" className="grid gap-3" aria-busy aria-label="Loading datasets">
          <Skeleton className="h-24" />
          <Skeleton className="h-24" />
        </div>
      )}
      {data?.length === 0 && (
        <Empty title="No datasets yet" action={create}>
          A dataset is a collection of items with one set of classes. Make one, import a file into it, and let a model
          draft the labels.
        </Empty>
      )}
      {data && data.length > 0 && (
        <ul className="panel divide-y">
          {data.map((dataset) => (
            <DatasetRow key={dataset.id} dataset={dataset} />
          ))}
        </ul>
      )}
    </>
  );
}

function DatasetRow({ dataset }: { dataset: Dataset }) {
  const { states } = dataset;
  const open = states.new + states.drafted + states.returned;
  const done = dataset.items - open;
  const classes = activeClasses(dataset.labelset).length;
  return (
    <li className="relative grid items-center gap-x-8 gap-y-3 px-4 py-4 transition-colors hover:bg-accent/50 sm:grid-cols-[minmax(0,1.2fr)_minmax(0,1fr)_auto] sm:px-5">
      <div className="min-w-0">
        <h2 className="truncate text-[1.0625rem] font-semibold">
          <Link href={`/dataset?id=${dataset.id}`} className="rounded-sm after:absolute after:inset-0">
            {dataset.name}
          </Link>
        </h2>
        <p className="tabular mt-0.5 text-[0.8125rem] text-muted-foreground">
          {quantity(dataset.items, "item")}
          {classes > 0 ? ` · ${quantity(classes, "class", "classes")}` : " · no classes yet"}
        </p>
      </div>
      <div className="grid gap-2">
        <StateBar states={states} />
        <p className="tabular flex flex-wrap justify-between gap-x-4 text-[0.8125rem] text-muted-foreground">
          <span className="text-foreground">
            {dataset.items > 0 ? `${percent(done / dataset.items)} done` : "nothing imported"}
          </span>
          <span className="flex flex-wrap gap-x-3">
            {STATES.filter((state) => states[state] > 0).map((state) => (
              <span key={state} className="inline-flex items-center gap-1.5">
                <span aria-hidden className="size-2 rounded-full" style={{ background: stateColor(state) }} />
                {count(states[state])} {STATE_NAMES[state].toLowerCase()}
              </span>
            ))}
          </span>
        </p>
      </div>
      <Button asChild variant="outline" className="relative justify-self-start">
        <Link href={`/annotate?dataset=${dataset.id}`} aria-label={`Annotate ${dataset.name}`}>
          Annotate
        </Link>
      </Button>
    </li>
  );
}
