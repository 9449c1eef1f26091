import type { Rate } from "@/lib/api/types";
import { count, percent } from "@/lib/format";
import { rateInWords } from "@/lib/people";
import { cn } from "@/lib/utils";

/** A rate as a point on its interval, from 0 to 100 %. Nothing counted: says so, and draws no point. */
export function RateBar({ rate, label, className }: { rate: Rate; label: string; className?: string }) {
  if (rate.rate === null) return <span className={cn("text-muted-foreground", className)}>–</span>;
  const share = (value: number) => `${value * 100}%`;
  return (
    <div className={cn("grid min-w-28 gap-1", className)}>
      <span className="tabular flex items-baseline justify-between gap-3">
        <span className="font-medium">{percent(rate.rate)}</span>
        <span className="text-[0.8125rem] text-muted-foreground">
          {count(rate.right)} of {count(rate.of)}
        </span>
      </span>
      <span role="img" aria-label={`${label}: ${rateInWords(rate)}`} className="relative h-2 rounded-full bg-muted">
        <span
          className="absolute inset-y-0 rounded-full bg-brand/35"
          style={{ left: share(rate.low), right: share(1 - rate.high) }}
        />
        <span
          className="absolute top-1/2 size-2 -translate-x-1/2 -translate-y-1/2 rounded-full bg-brand"
          style={{ left: share(rate.rate) }}
        />
      </span>
    </div>
  );
}
