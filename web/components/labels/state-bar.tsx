import { count } from "@/lib/format";
import { STATE_NAMES, STATES } from "@/lib/labels";
import type { ItemState, StateCounts } from "@/lib/api/types";
import { cn } from "@/lib/utils";

export const stateColor = (state: ItemState): string => `var(--state-${state})`;

/** How far a dataset is: one bar, a stretch for each state that has items. */
export function StateBar({ states, className }: { states: StateCounts; className?: string }) {
  const total = STATES.reduce((sum, state) => sum + states[state], 0);
  const present = STATES.filter((state) => states[state] > 0);
  const words = present.map((state) => `${count(states[state])} ${STATE_NAMES[state].toLowerCase()}`).join(", ");
  return (
    <div
      role="img"
      aria-label={words || "no items"}
      title={words}
      className={cn("flex h-2 w-full gap-0.5 overflow-hidden rounded-full bg-muted", className)}
    >
      {present.map((state) => (
        <span
          key={state}
          className="h-full min-w-1"
          style={{ flexGrow: states[state] / Math.max(1, total), flexBasis: 0, background: stateColor(state) }}
        />
      ))}
    </div>
  );
}

export function StateName({ state, className }: { state: ItemState; className?: string }) {
  return (
    <span className={cn("inline-flex items-center gap-1.5 whitespace-nowrap", className)}>
      <span aria-hidden className="size-2 shrink-0 rounded-full" style={{ background: stateColor(state) }} />
      {STATE_NAMES[state]}
    </span>
  );
}
