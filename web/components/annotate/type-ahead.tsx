"use client";

import { Check } from "lucide-react";
import { useState } from "react";
import { Swatch } from "@/components/labels/class-chip";
import { CommandDialog, CommandEmpty, CommandInput, CommandItem, CommandList } from "@/components/ui/command";
import type { LabelClass } from "@/lib/api/types";

/** How well typed letters fit a class: its name begins with them, a word of it does, it has them in order, or not at all. */
function fit(name: string, typed: string, keywords: string[] = []): number {
  const wanted = typed.trim().toLowerCase();
  const hay = name.toLowerCase();
  if (hay.startsWith(wanted)) return 1;
  if (hay.split(/[\s_\-/.]+/).some((word) => word.startsWith(wanted))) return 0.9;
  if (hay.includes(wanted)) return 0.7;
  let at = 0;
  for (const letter of hay) if (letter === wanted[at]) at += 1;
  if (at === wanted.length) return 0.4;
  return keywords.some((keyword) => keyword.toLowerCase().includes(wanted)) ? 0.2 : 0;
}

/** Find a class by typing a few of its letters; Enter picks the best. */
export function TypeAhead({
  classes,
  chosen,
  typed,
  open,
  onOpenChange,
  onPick,
}: {
  classes: readonly LabelClass[];
  chosen: readonly string[];
  typed: string;
  open: boolean;
  onOpenChange: (open: boolean) => void;
  onPick: (label: string) => void;
}) {
  return (
    <CommandDialog
      open={open}
      onOpenChange={onOpenChange}
      title="Find a class"
      description="Type a few letters; Enter picks."
      filter={fit}
    >
      <Results classes={classes} chosen={chosen} typed={typed} onPick={onPick} />
    </CommandDialog>
  );
}

function Results({
  classes,
  chosen,
  typed,
  onPick,
}: Pick<Parameters<typeof TypeAhead>[0], "classes" | "chosen" | "typed" | "onPick">) {
  const [query, setQuery] = useState(typed);
  return (
    <>
      <CommandInput
        value={query}
        onValueChange={setQuery}
        placeholder="Type a class…"
        onFocus={(event) => event.target.setSelectionRange(query.length, query.length)}
      />
      <CommandList>
        <CommandEmpty>No class fits.</CommandEmpty>
        {classes.map((labelClass) => (
          <CommandItem
            key={labelClass.key}
            value={labelClass.name}
            keywords={[labelClass.description]}
            onSelect={() => onPick(labelClass.key)}
          >
            <Swatch color={labelClass.color} />
            <span className="shrink-0 font-medium">{labelClass.name}</span>
            <span className="min-w-0 flex-1 truncate text-[0.8125rem] text-muted-foreground">
              {labelClass.description}
            </span>
            {chosen.includes(labelClass.key) && <Check aria-label="chosen" className="size-4 shrink-0" />}
          </CommandItem>
        ))}
      </CommandList>
    </>
  );
}
