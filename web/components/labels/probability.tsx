import type { CSSProperties } from "react";
import { percent } from "@/lib/format";
import { cn } from "@/lib/utils";

/** A probability as a length; the figure stands beside it. */
export function ProbabilityBar({
  value,
  color = "var(--foreground)",
  className,
}: {
  value: number;
  color?: string;
  className?: string;
}) {
  return (
    <span aria-hidden className={cn("block h-1.5 overflow-hidden rounded-full bg-foreground/10", className)}>
      <span
        className="block h-full rounded-full bg-(--fill)"
        style={{ "--fill": color, width: `${Math.max(2, value * 100)}%` } as CSSProperties}
      />
    </span>
  );
}

export function ProbabilityCell({ value }: { value: number | null }) {
  if (value === null) return <span className="text-muted-foreground">–</span>;
  return (
    <span className="flex items-center gap-2">
      <ProbabilityBar value={value} className="w-12 max-sm:hidden" />
      <span className="tabular w-11 text-right">{percent(value)}</span>
    </span>
  );
}
