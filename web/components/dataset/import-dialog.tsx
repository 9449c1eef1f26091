"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { type ReactNode, useState } from "react";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
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
import { NativeSelect } from "@/components/ui/native-select";
import { api, unwrap } from "@/lib/api/client";
import { keys } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";
import { guessColumn, peekColumns } from "@/lib/columns";
import { bytes } from "@/lib/format";

export function ImportDialog({ dataset, children }: { dataset: Dataset; children: ReactNode }) {
  return (
    <Dialog>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent>
        <DialogHeader>
          <DialogTitle>Import a file</DialogTitle>
          <DialogDescription>
            CSV, TSV, JSON lines, JSON, Parquet, CoNLL or plain text; gzip is fine. Rows that are there already are left
            as they are.
          </DialogDescription>
        </DialogHeader>
        <ImportForm dataset={dataset} />
      </DialogContent>
    </Dialog>
  );
}

type LabelsAs = "annotation" | "prediction";

function ImportForm({ dataset }: { dataset: Dataset }) {
  const [file, setFile] = useState<File | null>(null);
  const [columns, setColumns] = useState<string[]>([]);
  const [text, setText] = useState("");
  const [id, setId] = useState("");
  const [label, setLabel] = useState("");
  const [labelsAs, setLabelsAs] = useState<LabelsAs>("annotation");
  const router = useRouter();
  const queries = useQueryClient();

  async function choose(chosen: File | null) {
    setFile(chosen);
    const found = chosen ? await peekColumns(chosen) : [];
    setColumns(found);
    setText(guessColumn(found, "text"));
    setId(guessColumn(found, "id"));
    setLabel("");
  }

  const upload = useMutation({
    mutationFn: (chosen: File) => {
      const form = new FormData();
      const fields = { text_column: text, id_column: id, label_column: label, labels_as: label ? labelsAs : "" };
      for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
      form.append("file", chosen);
      return unwrap(
        api.POST("/v1/datasets/{dataset_id}/imports", {
          params: { path: { dataset_id: dataset.id } },
          body: { file: chosen.name, labels_as: labelsAs },
          bodySerializer: () => form,
        }),
      );
    },
    onSuccess: (job) => {
      void queries.invalidateQueries({ queryKey: keys.jobs(dataset.id) });
      router.push(`/job?id=${job.id}`);
    },
  });

  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        if (file) upload.mutate(file);
      }}
    >
      <Field label="File" hint={file && `${file.name}, ${bytes(file.size)}`}>
        {(control) => (
          <Input
            {...control}
            type="file"
            required
            accept=".csv,.tsv,.jsonl,.ndjson,.json,.parquet,.txt,.conll,.gz"
            onChange={(event) => void choose(event.target.files?.[0] ?? null)}
          />
        )}
      </Field>
      {file && (
        <div className="grid gap-4 sm:grid-cols-3">
          <ColumnField label="Text" none="Found by itself" columns={columns} value={text} onChange={setText} />
          <ColumnField label="Id" none="None" columns={columns} value={id} onChange={setId} />
          <ColumnField label="Label" none="None" columns={columns} value={label} onChange={setLabel} />
        </div>
      )}
      {label && (
        <Field
          label="The labels are"
          hint={dataset.labelset ? undefined : "The dataset has no classes yet: the labels in this column become them."}
        >
          {(control) => (
            <NativeSelect
              {...control}
              className="w-full"
              value={labelsAs}
              onChange={(event) => setLabelsAs(event.target.value as LabelsAs)}
            >
              <option value="annotation">Answers that count as verified</option>
              <option value="prediction">Drafts that people should check</option>
            </NativeSelect>
          )}
        </Field>
      )}
      {upload.error && <ProblemNotice error={upload.error} />}
      <DialogFooter>
        <Button type="submit" disabled={!file || upload.isPending}>
          {upload.isPending ? "Uploading…" : "Import"}
        </Button>
      </DialogFooter>
    </form>
  );
}

/** A choice among the columns that the file shows; a free field where it does not show them. */
function ColumnField({
  label,
  none,
  columns,
  value,
  onChange,
}: {
  label: string;
  none: string;
  columns: string[];
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <Field label={`${label} column`}>
      {(control) =>
        columns.length > 0 ? (
          <NativeSelect
            {...control}
            className="w-full"
            value={value}
            onChange={(event) => onChange(event.target.value)}
          >
            <option value="">{none}</option>
            {columns.map((column) => (
              <option key={column} value={column}>
                {column}
              </option>
            ))}
          </NativeSelect>
        ) : (
          <Input {...control} placeholder={none} value={value} onChange={(event) => onChange(event.target.value)} />
        )
      }
    </Field>
  );
}
