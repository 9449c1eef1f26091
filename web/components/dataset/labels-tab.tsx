"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { Swatch } from "@/components/labels/class-chip";
import { Empty, ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Input } from "@/components/ui/input";
import { Kbd } from "@/components/ui/kbd";
import { hotkeyOf, hotkeysOf } from "@/lib/annotate/hotkeys";
import { api, unwrap } from "@/lib/api/client";
import { keys } from "@/lib/api/queries";
import type { Dataset, LabelClass } from "@/lib/api/types";
import { activeClasses } from "@/lib/labels";

export function LabelsTab({ dataset }: { dataset: Dataset }) {
  const [editing, setEditing] = useState(false);
  const classes = activeClasses(dataset.labelset);
  const hotkeys = hotkeysOf(classes);
  const edit = dataset.role === "admin" && (
    <Button variant="outline" size="sm" onClick={() => setEditing(true)}>
      {classes.length > 0 ? "Edit" : "Define the classes"}
    </Button>
  );
  if (editing) return <Editor dataset={dataset} onDone={() => setEditing(false)} />;
  if (classes.length === 0) {
    return (
      <Empty title="No classes yet" action={edit}>
        Define them here, or import a file with a label column: its labels become the classes.
      </Empty>
    );
  }
  return (
    <div className="grid gap-4">
      <ul className="panel divide-y">
        {classes.map((labelClass) => {
          const hotkey = hotkeyOf(hotkeys, labelClass.key);
          return (
            <li
              key={labelClass.key}
              className="grid gap-x-6 gap-y-1 px-4 py-3 text-sm sm:grid-cols-[14rem_minmax(0,1fr)_auto]"
            >
              <span className="flex min-w-0 items-center gap-2.5 font-medium">
                <Swatch color={labelClass.color} className="size-3" />
                <span className="truncate">{labelClass.name}</span>
              </span>
              <span className="text-pretty text-muted-foreground">{labelClass.description}</span>
              {hotkey && <Kbd className="max-sm:hidden">{hotkey.toUpperCase()}</Kbd>}
            </li>
          );
        })}
      </ul>
      <p className="flex items-center justify-between gap-4 text-[0.8125rem] text-muted-foreground">
        Version {dataset.labelset?.version}
        {edit}
      </p>
    </div>
  );
}

const blank = (): LabelClass => ({
  key: "",
  name: "",
  description: "",
  color: "",
  hotkey: "",
  examples: [],
  retired: false,
});

function Editor({ dataset, onDone }: { dataset: Dataset; onDone: () => void }) {
  const known = activeClasses(dataset.labelset);
  const [rows, setRows] = useState<LabelClass[]>(known.length > 0 ? known : [blank(), blank()]);
  const queries = useQueryClient();
  const change = (index: number, part: Partial<LabelClass>) =>
    setRows(rows.map((row, at) => (at === index ? { ...row, ...part } : row)));
  const save = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/v1/datasets/{dataset_id}/labelsets", {
          params: { path: { dataset_id: dataset.id } },
          body: {
            kind: dataset.labelset?.kind ?? "classification",
            multi: dataset.labelset?.multi ?? false,
            allow_overlap: dataset.labelset?.allow_overlap ?? false,
            classes: rows.filter((row) => row.name.trim() !== "").map((row) => ({ ...row, key: row.key || undefined })),
          },
        }),
      ),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: keys.dataset(dataset.id) });
      onDone();
    },
  });
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <ul className="grid gap-2">
        {rows.map((row, index) => (
          // Rows have no other identity while they are edited: a new one has neither name nor key.
          <li key={index} className="flex flex-wrap items-center gap-2 sm:flex-nowrap">
            <input
              type="color"
              aria-label={`Colour of ${row.name || `class ${index + 1}`}`}
              value={row.color || "#94a3b8"}
              onChange={(event) => change(index, { color: event.target.value })}
              className="size-9 shrink-0 rounded-md border border-input bg-surface p-1"
            />
            <Input
              aria-label={`Name of class ${index + 1}`}
              placeholder="Name"
              className="max-sm:flex-1 sm:w-56 sm:shrink-0"
              maxLength={200}
              value={row.name}
              onChange={(event) => change(index, { name: event.target.value })}
            />
            <Input
              aria-label={`Description of class ${index + 1}`}
              placeholder="What belongs to it"
              className="max-sm:order-last max-sm:w-full"
              value={row.description}
              onChange={(event) => change(index, { description: event.target.value })}
            />
            <Input
              aria-label={`Key of class ${index + 1}`}
              placeholder="Key"
              className="w-16 shrink-0 text-center"
              maxLength={1}
              value={row.hotkey}
              onChange={(event) => change(index, { hotkey: event.target.value })}
            />
            <Button
              variant="ghost"
              size="icon"
              aria-label={`Retire ${row.name || `class ${index + 1}`}`}
              onClick={() => setRows(rows.filter((_, at) => at !== index))}
            >
              <Trash2 />
            </Button>
          </li>
        ))}
      </ul>
      <div>
        <Button variant="outline" size="sm" onClick={() => setRows([...rows, blank()])}>
          <Plus aria-hidden /> Add a class
        </Button>
      </div>
      {save.error && <ProblemNotice error={save.error} />}
      <div className="flex items-center gap-2">
        <Button type="submit" disabled={save.isPending}>
          {save.isPending ? "Saving…" : "Save as a new version"}
        </Button>
        <Button variant="ghost" onClick={onDone}>
          Cancel
        </Button>
        <span className="text-[0.8125rem] text-muted-foreground max-sm:hidden">
          Renamed classes keep their answers; removed ones are retired.
        </span>
      </div>
    </form>
  );
}
