"use client";

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Label } from "@/components/ui/label";
import { NativeSelect } from "@/components/ui/native-select";
import { activityQuery } from "@/lib/api/metrics";
import { membersQuery } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";
import { ago, moment } from "@/lib/format";

const KINDS = [
  "item_submitted",
  "item_verified",
  "item_returned",
  "predictions_saved",
  "items_created",
  "conflict_opened",
  "drift_alarm",
  "labelset_created",
  "dataset_updated",
];
const words = (kind: string) => kind.replaceAll("_", " ");

/** What happened, newest first. */
export function ActivityList({ dataset }: { dataset: Dataset }) {
  const [kind, setKind] = useState("");
  const { data, error, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(activityQuery(dataset.id, kind));
  const members = useQuery(membersQuery(dataset.id));
  const events = data?.pages.flat() ?? [];
  const who = (id: string | null) => {
    const found = members.data?.find((member) => member.user_id === id);
    return found ? found.name || found.email : id ? "somebody" : "LabelCrew";
  };
  return (
    <section aria-label="What happened" className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h2 className="text-base font-semibold">What happened</h2>
        <Label className="font-normal">
          Show
          <NativeSelect value={kind} onChange={(event) => setKind(event.target.value)}>
            <option value="">everything</option>
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {words(one)}
              </option>
            ))}
          </NativeSelect>
        </Label>
      </div>
      {error && <ProblemNotice error={error} />}
      {data && events.length === 0 && <p className="text-sm text-muted-foreground">Nothing of this kind happened.</p>}
      <ol className="panel divide-y">
        {events.map((event) => (
          <li key={event.id} className="flex flex-wrap items-baseline justify-between gap-x-4 px-3 py-2 text-sm">
            <span>
              <span className="font-medium">{words(event.kind)}</span>
              <span className="text-muted-foreground"> by {who(event.actor_id)}</span>
            </span>
            <time dateTime={event.created_at} title={moment(event.created_at)} className="text-muted-foreground">
              {ago(event.created_at)}
            </time>
          </li>
        ))}
      </ol>
      {hasNextPage && (
        <Button variant="outline" className="justify-self-start" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Older
        </Button>
      )}
    </section>
  );
}
