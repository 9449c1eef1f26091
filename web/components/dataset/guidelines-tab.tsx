"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Markdown } from "@/components/markdown";
import { Empty, ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Textarea } from "@/components/ui/input";
import { api, unwrap } from "@/lib/api/client";
import { keys } from "@/lib/api/queries";
import type { Dataset } from "@/lib/api/types";

export function GuidelinesTab({ dataset }: { dataset: Dataset }) {
  const [editing, setEditing] = useState(false);
  const edit = dataset.role === "admin" && (
    <Button variant="outline" size="sm" onClick={() => setEditing(true)}>
      {dataset.guidelines.trim() ? "Edit" : "Write them"}
    </Button>
  );
  if (editing) return <Editor dataset={dataset} onDone={() => setEditing(false)} />;
  if (!dataset.guidelines.trim()) {
    return (
      <Empty title="No guidelines yet" action={edit}>
        What belongs to which class, and what to do in doubt. People read them beside the items, and models before every
        draft.
      </Empty>
    );
  }
  return (
    <div className="grid max-w-3xl gap-5">
      <Markdown source={dataset.guidelines} />
      <div>{edit}</div>
    </div>
  );
}

function Editor({ dataset, onDone }: { dataset: Dataset; onDone: () => void }) {
  const [text, setText] = useState(dataset.guidelines);
  const queries = useQueryClient();
  const save = useMutation({
    mutationFn: () =>
      unwrap(
        api.PATCH("/v1/datasets/{dataset_id}", {
          params: { path: { dataset_id: dataset.id } },
          body: { guidelines: text },
        }),
      ),
    onSuccess: (changed) => {
      queries.setQueryData(keys.dataset(dataset.id), changed);
      onDone();
    },
  });
  return (
    <form
      className="grid max-w-3xl gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Textarea
        aria-label="Guidelines, in Markdown"
        autoFocus
        rows={18}
        className="leading-relaxed"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {save.error && <ProblemNotice error={save.error} />}
      <div className="flex gap-2">
        <Button type="submit" disabled={save.isPending}>
          {save.isPending ? "Saving…" : "Save"}
        </Button>
        <Button variant="ghost" onClick={onDone}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
