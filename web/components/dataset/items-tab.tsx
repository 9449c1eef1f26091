"use client";

import { useInfiniteQuery } from "@tanstack/react-query";
import { Check, Search } from "lucide-react";
import { useState } from "react";
import { ItemSheet } from "@/components/dataset/item-sheet";
import { PayloadView } from "@/components/labels/payload-view";
import { ProbabilityCell } from "@/components/labels/probability";
import { StateName } from "@/components/labels/state-bar";
import { Empty, ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Input } from "@/components/ui/input";
import { NativeSelect } from "@/components/ui/native-select";
import { Skeleton } from "@/components/ui/skeleton";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/components/ui/table";
import { type ItemFilters, itemsQuery } from "@/lib/api/queries";
import type { Dataset, Item, ItemState } from "@/lib/api/types";
import { count } from "@/lib/format";
import { samePayload } from "@/lib/labels";
import { useDebounced } from "@/lib/use-debounced";
import { cn } from "@/lib/utils";

const SORTS: Record<ItemFilters["sort"], string> = {
  seq: "Oldest first",
  "-seq": "Newest first",
  priority: "Queue order",
  probability: "Least certain first",
  "-probability": "Most certain first",
  "-updated": "Changed last first",
};

export function ItemsTab({ dataset, states }: { dataset: Dataset; states: ItemState[] }) {
  const [label, setLabel] = useState("");
  const [q, setQ] = useState("");
  const [sort, setSort] = useState<ItemFilters["sort"]>("seq");
  const [openItem, setOpenItem] = useState<string | null>(null);
  const filters: ItemFilters = { states, label, sort, q: useDebounced(q) };
  const page = useInfiniteQuery(itemsQuery(dataset.id, filters));
  const items = page.data?.pages.flatMap((part) => part.items) ?? [];
  const filtered = states.length > 0 || label !== "" || filters.q.trim() !== "";

  if (dataset.items === 0) {
    return (
      <Empty title="No items yet">
        Import a file: CSV, TSV, JSON lines, Parquet, CoNLL or plain text, one item a row.
      </Empty>
    );
  }
  return (
    <div className="grid gap-4">
      <div className="flex flex-wrap gap-2">
        <div className="relative min-w-56 flex-1 max-sm:basis-full">
          <Search
            aria-hidden
            className="pointer-events-none absolute top-1/2 left-3 size-4 -translate-y-1/2 text-muted-foreground"
          />
          <Input
            type="search"
            aria-label="Search in the texts"
            placeholder="Search in the texts"
            className="pl-9"
            value={q}
            onChange={(event) => setQ(event.target.value)}
          />
        </div>
        <NativeSelect
          aria-label="Label"
          className="max-sm:flex-1 [&_select]:max-sm:w-full [&_select]:sm:max-w-60"
          value={label}
          onChange={(event) => setLabel(event.target.value)}
        >
          <option value="">Every label</option>
          {dataset.labelset?.classes.map((labelClass) => (
            <option key={labelClass.key} value={labelClass.key}>
              {labelClass.name}
            </option>
          ))}
        </NativeSelect>
        <NativeSelect
          aria-label="Order"
          className="max-sm:flex-1 [&_select]:max-sm:w-full"
          value={sort}
          onChange={(event) => setSort(event.target.value as ItemFilters["sort"])}
        >
          {Object.entries(SORTS).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </NativeSelect>
      </div>

      {page.error && <ProblemNotice error={page.error} onRetry={() => void page.refetch()} />}
      {page.isPending && <Skeleton className="h-64" />}
      {page.data && items.length === 0 && <Empty title="No item fits">{filtered && "Loosen the filters above."}</Empty>}
      {items.length > 0 && (
        <div className={cn("panel overflow-hidden", page.isPlaceholderData && "opacity-60")}>
          <Table aria-label="Items" className="table-fixed">
            <TableHeader>
              <TableRow>
                <TableHead className="w-auto pl-4">Text</TableHead>
                <TableHead className="w-48 max-md:hidden">Draft</TableHead>
                <TableHead className="w-36 max-sm:w-28">Probability</TableHead>
                <TableHead className="w-48 max-lg:hidden">Answer</TableHead>
                <TableHead className="w-32 max-sm:hidden">State</TableHead>
              </TableRow>
            </TableHeader>
            <TableBody>
              {items.map((item) => (
                <ItemRow key={item.id} item={item} dataset={dataset} onOpen={() => setOpenItem(item.id)} />
              ))}
            </TableBody>
          </Table>
        </div>
      )}
      {items.length > 0 && (
        <div className="flex items-center justify-between gap-4 text-[0.8125rem] text-muted-foreground">
          <span className="tabular">{count(items.length)} shown</span>
          {page.hasNextPage && (
            <Button variant="outline" size="sm" disabled={page.isFetching} onClick={() => void page.fetchNextPage()}>
              {page.isFetchingNextPage ? "Loading…" : "Show more"}
            </Button>
          )}
        </div>
      )}
      <ItemSheet dataset={dataset} itemId={openItem} onClose={() => setOpenItem(null)} />
    </div>
  );
}

function ItemRow({ item, dataset, onOpen }: { item: Item; dataset: Dataset; onOpen: () => void }) {
  const answer = item.annotation?.payload ?? null;
  const draft = item.draft?.payload ?? null;
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
          {item.text}
        </button>
        <span className="mt-1 block text-[0.8125rem] text-muted-foreground md:hidden">
          <PayloadView payload={answer ?? draft} labelset={dataset.labelset} />
        </span>
      </TableCell>
      <TableCell className="text-muted-foreground max-md:hidden">
        <PayloadView payload={draft} labelset={dataset.labelset} />
      </TableCell>
      <TableCell>
        <ProbabilityCell value={item.draft?.probability ?? null} />
      </TableCell>
      <TableCell className="max-lg:hidden">
        {answer && draft && samePayload(answer, draft) ? (
          <span className="inline-flex items-center gap-1.5 text-muted-foreground">
            <Check aria-hidden className="size-3.5" /> as drafted
          </span>
        ) : (
          answer && <PayloadView payload={answer} labelset={dataset.labelset} className="font-medium" />
        )}
      </TableCell>
      <TableCell className="max-sm:hidden">
        <StateName state={item.state} />
      </TableCell>
    </TableRow>
  );
}
