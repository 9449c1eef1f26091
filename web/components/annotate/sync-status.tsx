import { Check, CloudOff, LoaderCircle, LogIn } from "lucide-react";
import { Button } from "@/components/ui/button";
import type { State } from "@/lib/annotate/entries";
import { quantity } from "@/lib/format";
import { cn } from "@/lib/utils";

/** Whether what was answered has arrived. */
export function SyncStatus({ state }: { state: State }) {
  const waiting = quantity(state.pending, "answer");
  const [Icon, text] = {
    saved: [Check, state.answered + state.skipped > 0 ? "All saved" : "Ready"] as const,
    saving: [LoaderCircle, "Saving…"] as const,
    offline: [CloudOff, `${waiting} not saved yet, trying again`] as const,
    "signed-out": [LogIn, `${waiting} waiting for your sign-in`] as const,
  }[state.sync];
  const trouble = state.sync === "offline" || state.sync === "signed-out";
  return (
    <span
      role="status"
      data-testid="sync"
      data-state={state.sync}
      className={cn(
        "flex items-center gap-1.5 text-[0.8125rem] whitespace-nowrap",
        trouble ? "font-medium text-warning" : "text-muted-foreground",
      )}
    >
      <Icon aria-hidden className={cn("size-3.5", state.sync === "saving" && "animate-spin")} />
      <span className={trouble ? undefined : "max-sm:sr-only"}>{text}</span>
    </span>
  );
}

export function LookAgain({ onClick, busy }: { onClick: () => void; busy: boolean }) {
  return (
    <Button variant="outline" onClick={onClick} disabled={busy}>
      {busy ? "Looking…" : "Look again"}
    </Button>
  );
}
