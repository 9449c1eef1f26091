import { ClassName } from "@/components/labels/class-chip";
import type { Labelset, Payload } from "@/lib/api/types";
import { quantity } from "@/lib/format";
import { labelsOf } from "@/lib/labels";
import { cn } from "@/lib/utils";

/** What an answer says, in one line: the classes, or how many marks of which classes. */
export function PayloadView({
  payload,
  labelset,
  className,
}: {
  payload: Payload | null | undefined;
  labelset: Labelset | null;
  className?: string;
}) {
  if (!payload) return <span className="text-muted-foreground">–</span>;
  const labels = labelsOf(payload);
  if ("labels" in payload) {
    if (labels.length === 0) return <span className="text-muted-foreground">none</span>;
    return (
      <span className={cn("flex min-w-0 flex-wrap gap-x-3 gap-y-1", className)}>
        {labels.map((label) => (
          <ClassName key={label} labelset={labelset} label={label} />
        ))}
      </span>
    );
  }
  const marks = Object.values(payload).flat().length;
  return (
    <span className={cn("flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1", className)}>
      <span className="whitespace-nowrap">{marks === 0 ? "none" : quantity(marks, "mark")}</span>
      {labels.map((label) => (
        <ClassName key={label} labelset={labelset} label={label} className="text-muted-foreground" />
      ))}
    </span>
  );
}
