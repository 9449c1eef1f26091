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
}: {
  draft: Prediction;
  labelset: Labelset | null;
  rejected?: boolean;
}) {
  const labels = labelsOf(draft.payload);
  const single = labels.length === 1 && draft.payload !== null && "labels" in draft.payload;
  const first = single ? classOf(labelset, labels[0] ?? "") : null;
  const others = draft.alternatives.filter((other) => !(single && other.label === labels[0])).slice(0, 3);
  const likely = draft.probability ?? draft.confidence;
  return (
    <section aria-label="Draft" className="grid gap-3.5" data-testid="draft">
      <div className={cn("grid gap-2", rejected && "opacity-55")}>
        <h2 className="eyebrow">{rejected ? "Draft, set aside" : "Draft"}</h2>
        <div className="flex items-baseline justify-between gap-4">
          {first ? (
            <p
              className={cn(
                "flex min-w-0 items-baseline gap-2 text-lg leading-snug font-semibold",
                rejected && "line-through",
              )}
            >
              <Swatch color={first.color} className="size-3" />
              <span className="min-w-0 break-words">{first.name}</span>
            </p>
          ) : (
            <div className="font-semibold">
              <PayloadView payload={draft.payload} labelset={labelset} />
            </div>
          )}
          {likely !== null && (
            <span className="tabular shrink-0 text-lg leading-snug font-semibold" data-testid="probability">
              {percent(likely)}
            </span>
          )}
        </div>
        {likely !== null && (
          <>
            <ProbabilityBar value={likely} color={first?.color ?? "var(--foreground)"} className="h-2" />
            <p className="text-right text-[0.8125rem] leading-none text-muted-foreground">
              {draft.probability !== null ? "likely to be right" : "the model's own confidence, not calibrated"}
            </p>
          </>
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
