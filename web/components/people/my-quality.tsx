"use client";

import { useQuery } from "@tanstack/react-query";
import { RateBar } from "@/components/people/rate-bar";
import { ProblemNotice } from "@/components/shell/problem";
import { Skeleton } from "@/components/ui/skeleton";
import { scorecardQuery } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";
import { count, duration, money, quantity } from "@/lib/format";
import { RATES, type RateName } from "@/lib/people";

/** How the answers of whoever looks stand up, for themselves. Nothing for those who are not here to answer. */
export function MyQuality({ dataset }: { dataset: Dataset }) {
  const { data, error } = useQuery(scorecardQuery(dataset.id));
  if (error) return <ProblemNotice error={error} />;
  if (!data) return dataset.role === "annotator" ? <Skeleton className="h-28" /> : null;
  if (dataset.role !== "annotator" && data.answers + data.gold.of === 0) return null;
  const pace = data.median_ms === null ? "" : `, ${duration(data.median_ms / 1000)} each as a rule`;
  return (
    <section aria-label="Your quality" className="panel grid gap-4 px-4 py-4">
      <div className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-1">
        <h2 className="text-base font-semibold">Your quality</h2>
        <p className="tabular text-sm text-muted-foreground">
          {quantity(data.answers, "answer")}
          {data.answers > 0 && `, ${count(data.answers_week)} in the last week${pace}`}
          {data.earned !== null && data.currency !== null && ` · ${money(data.earned, data.currency)} earned`}
        </p>
      </div>
      <dl className="grid gap-x-8 gap-y-4 text-sm sm:grid-cols-3">
        {(Object.keys(RATES) as RateName[]).map((name) => (
          <div key={name} className="grid content-start gap-1.5">
            <dt>{RATES[name].name}</dt>
            <dd className="grid gap-1">
              <RateBar rate={data[name]} label={RATES[name].name} />
              <span className="text-[0.8125rem] text-pretty text-muted-foreground">
                {data[name].of === 0 ? "Not measured yet: " : ""}
                {RATES[name].words}
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
