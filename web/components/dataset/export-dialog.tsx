"use client";

import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useId, useState } from "react";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import {
  Dialog,
  DialogContent,
  DialogDescription,
  DialogFooter,
  DialogHeader,
  DialogTitle,
  DialogTrigger,
} from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import { NativeSelect } from "@/components/ui/native-select";
import { StateName } from "@/components/labels/state-bar";
import type { paths } from "@/lib/api/schema";
import type { Dataset, ItemState } from "@/lib/api/types";
import { download } from "@/lib/download";
import { bytes, count } from "@/lib/format";
import { STATES } from "@/lib/labels";

type Query = NonNullable<paths["/v1/datasets/{dataset_id}/export"]["get"]["parameters"]["query"]>;
type Format = NonNullable<Query["format"]>;

const FORMATS: Record<Format, string> = {
  jsonl: "JSON lines",
  csv: "CSV",
  parquet: "Parquet",
  conll: "CoNLL",
};

export function ExportDialog({ dataset, children }: { dataset: Dataset; children: ReactNode }) {
  return (
    <Dialog>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent>
        <DialogHeader>
          <DialogTitle>Export</DialogTitle>
          <DialogDescription>Each item with the answer that counts, or else its newest draft.</DialogDescription>
        </DialogHeader>
        <ExportForm dataset={dataset} />
      </DialogContent>
    </Dialog>
  );
}

function ExportForm({ dataset }: { dataset: Dataset }) {
  const [format, setFormat] = useState<Format>("jsonl");
  const [states, setStates] = useState<ItemState[]>([]);
  const [least, setLeast] = useState("");
  const [provenance, setProvenance] = useState(true);
  const id = useId();
  const formats = (Object.keys(FORMATS) as Format[]).filter(
    (one) => one !== "conll" || dataset.labelset?.kind === "spans",
  );
  const save = useMutation({
    mutationFn: () => {
      const query = new URLSearchParams({ format, provenance: String(provenance) });
      for (const state of states) query.append("state", state);
      if (least !== "") query.set("min_probability", String(Number(least) / 100));
      return download(`/v1/datasets/${dataset.id}/export?${query}`, `${dataset.name}.${format}`);
    },
  });
  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Format">
          {(control) => (
            <NativeSelect
              {...control}
              className="w-full"
              value={format}
              onChange={(event) => setFormat(event.target.value as Format)}
            >
              {formats.map((one) => (
                <option key={one} value={one}>
                  {FORMATS[one]}
                </option>
              ))}
            </NativeSelect>
          )}
        </Field>
        <Field label="Least probability, in %">
          {(control) => (
            <Input
              {...control}
              type="number"
              min={0}
              max={100}
              step="any"
              placeholder="any"
              value={least}
              onChange={(event) => setLeast(event.target.value)}
            />
          )}
        </Field>
      </div>
      <fieldset className="grid gap-2.5">
        <legend className="mb-2.5 text-sm font-medium">
          States <span className="font-normal text-muted-foreground">(none chosen: all)</span>
        </legend>
        <div className="grid gap-2.5 sm:grid-cols-2">
          {STATES.filter((state) => dataset.states[state] > 0).map((state) => (
            <Label key={state} htmlFor={`${id}-${state}`} className="font-normal">
              <Checkbox
                id={`${id}-${state}`}
                checked={states.includes(state)}
                onCheckedChange={(on) => setStates(on ? [...states, state] : states.filter((other) => other !== state))}
              />
              <StateName state={state} />
              <span className="tabular text-muted-foreground">{count(dataset.states[state])}</span>
            </Label>
          ))}
        </div>
      </fieldset>
      <Label htmlFor={`${id}-provenance`} className="items-start leading-snug font-normal">
        <Checkbox id={`${id}-provenance`} checked={provenance} onCheckedChange={(on) => setProvenance(on === true)} />
        With provenance: who or what gave each label, how sure, why, at what price
      </Label>
      {save.error && <ProblemNotice error={save.error} />}
      <DialogFooter className="items-center">
        {save.data !== undefined && (
          <span role="status" className="text-sm text-muted-foreground sm:mr-auto">
            Saved, {bytes(save.data)}.
          </span>
        )}
        <Button type="submit" disabled={save.isPending}>
          {save.isPending ? "Writing…" : "Download"}
        </Button>
      </DialogFooter>
    </form>
  );
}
