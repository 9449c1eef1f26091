import type { ReactNode } from "react";
import { Swatch } from "@/components/labels/class-chip";
import { ProbabilityBar } from "@/components/labels/probability";
import { PayloadView } from "@/components/labels/payload-view";
import type { Labelset, Prediction } from "@/lib/api/types";
import { percent, usd } from "@/lib/format";
import { classOf, labelsOf, ROUTE_NAMES } from "@/lib/labels";
import { cn } from "@/lib/utils";

/** What a model says about an item: the answer, how likely it is right, why, who said it, and what else it weighed. */
export function DraftPanel({
  draft,
  labelset,
  rejected = false,
  action,
}: {
  draft: Prediction;
  labelset: Labelset | null;
  rejected?: boolean;
  action?: ReactNode;
}) {
  const labels = labelsOf(draft.payload);
  const single = labels.length === 1 && draft.payload !== null && "labels" in draft.payload;
  const first = single ? classOf(labelset, labels[0] ?? "") : null;
  const others = draft.alternatives.filter((other) => !(single && other.label === labels[0])).slice(0, 3);
  const likely = draft.probability ?? draft.confidence;
  return (
    <section aria-label="Draft" className="grid gap-3.5" data-testid="draft">
      <div className={cn("grid gap-2.5", rejected && "opacity-55")}>
        <div className="flex items-start justify-between gap-3">
          <div className="min-w-0">
            <h2 className="eyebrow mb-1">{rejected ? "Draft, set aside" : "Draft"}</h2>
            {first ? (
              <p className={cn("flex items-center gap-2 text-lg leading-snug font-semibold", rejected && "line-through")}>
                <Swatch color={first.color} className="size-3" />
                <span className="min-w-0 break-words">{first.name}</span>
              </p>
            ) : (
              <div className="font-semibold">
                <PayloadView payload={draft.payload} labelset={labelset} />
              </div>
            )}
          </div>
          {action}
        </div>
        {likely !== null && (
          <div className="grid grid-cols-[1fr_auto] items-center gap-x-3">
            <ProbabilityBar value={likely} color={first?.color ?? "var(--foreground)"} className="h-2" />
            <span className="tabular text-lg leading-none font-semibold" data-testid="probability">
              {percent(likely)}
            </span>
            <span className="col-span-2 mt-1 text-[0.8125rem] text-muted-foreground">
              {draft.probability !== null ? "likely to be right" : "the model's own confidence, not calibrated"}
            </span>
          </div>
        )}
      </div>
      {draft.rationale && <p className="text-sm text-pretty">{draft.rationale}</p>}
      {others.length > 0 && (
        <dl aria-label="Alternatives" className="grid gap-1.5">
          {others.map((other) => {
            const labelClass = classOf(labelset, other.label);
            return (
              <div
                key={other.label}
                className="grid grid-cols-[minmax(0,1fr)_4.5rem_2.75rem] items-center gap-2 text-[0.8125rem] text-muted-foreground"
              >
                <dt className="flex min-w-0 items-center gap-2">
                  <Swatch color={labelClass.color} className="size-2" />
                  <span className="truncate">{labelClass.name}</span>
                </dt>
                <dd className="contents">
                  <ProbabilityBar value={other.probability} color={labelClass.color} className="h-1" />
                  <span className="tabular text-right">{percent(other.probability)}</span>
                </dd>
              </div>
            );
          })}
        </dl>
      )}
      <p className="text-[0.8125rem] leading-snug text-pretty text-muted-foreground" data-testid="route">
        <span className="text-foreground">{ROUTE_NAMES[draft.route]}</span>
        {draft.model && <> · {draft.model}</>}
        {draft.usage.cost_usd > 0 && <> · {usd(draft.usage.cost_usd)}</>}
        {draft.route_reason && <span className="block">{draft.route_reason}</span>}
      </p>
    </section>
  );
}
