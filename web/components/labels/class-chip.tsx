import type { CSSProperties } from "react";
import { classOf } from "@/lib/labels";
import type { Labelset } from "@/lib/api/types";
import { cn } from "@/lib/utils";

export const classColor = (color: string): CSSProperties => ({ "--class": color }) as CSSProperties;

/** The colour of a class: a small square, so that it is not taken for a state. */
export function Swatch({ color, className }: { color: string; className?: string }) {
  return (
    <span
      aria-hidden
      style={classColor(color)}
      className={cn("inline-block size-2.5 shrink-0 rounded-[3px] bg-(--class)", className)}
    />
  );
}

/** The name of a class beside its colour. */
export function ClassName({
  labelset,
  label,
  className,
}: {
  labelset: Labelset | null;
  label: string;
  className?: string;
}) {
  const found = classOf(labelset, label);
  return (
    <span className={cn("inline-flex min-w-0 items-center gap-1.5", className)} title={found.description || undefined}>
      <Swatch color={found.color} />
      <span className="truncate">{found.name}</span>
    </span>
  );
}
