import { classColor, Swatch } from "@/components/labels/class-chip";
import { Kbd } from "@/components/ui/kbd";
import { hotkeyOf } from "@/lib/annotate/hotkeys";
import type { Entry } from "@/lib/annotate/entries";
import type { LabelClass } from "@/lib/api/types";
import { cn } from "@/lib/utils";

/** The classes as buttons, always in the same place and order, so that the hand learns them. */
export function ClassList({
  classes,
  multi,
  entry,
  hotkeys,
  onChoose,
}: {
  classes: readonly LabelClass[];
  multi: boolean;
  entry: Entry;
  hotkeys: ReadonlyMap<string, string>;
  onChoose: (label: string) => void;
}) {
  const chosen = "labels" in entry.payload ? entry.payload.labels : [];
  const dense = classes.length > 9;
  return (
    <div
      role="group"
      aria-label={multi ? "Classes, any number" : "Classes, one"}
      className={cn(dense ? "-mx-2 grid grid-cols-[repeat(auto-fill,minmax(11.5rem,1fr))] gap-x-1.5" : "grid gap-1.5")}
    >
      {classes.map((labelClass) => {
        const hotkey = hotkeyOf(hotkeys, labelClass.key);
        const on = chosen.includes(labelClass.key);
        return (
          <button
            key={labelClass.key}
            type="button"
            aria-pressed={on}
            aria-keyshortcuts={hotkey ?? undefined}
            data-class-key={labelClass.key}
            title={labelClass.description || undefined}
            style={classColor(labelClass.color)}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => onChoose(labelClass.key)}
            className={cn(
              "flex min-w-0 items-center gap-2 rounded-md border text-left transition-colors",
              dense ? "h-7.5 border-transparent px-2 text-[0.8125rem]" : "h-10 px-2.5 text-sm",
              on
                ? "border-(--class) bg-[color-mix(in_oklab,var(--class)_13%,var(--surface))] font-medium shadow-[inset_0_0_0_1px_var(--class)]"
                : "hover:bg-accent",
              on && !entry.touched && "border-dashed shadow-none",
            )}
          >
            <Swatch color={labelClass.color} />
            <span className="min-w-0 flex-1 truncate">{labelClass.name}</span>
            {hotkey && <Kbd className={dense ? "h-4.5 min-w-4.5" : undefined}>{hotkey.toUpperCase()}</Kbd>}
          </button>
        );
      })}
    </div>
  );
}
