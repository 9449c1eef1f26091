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
import { Input, Textarea } from "@/components/ui/input";
import { NativeSelect } from "@/components/ui/native-select";
import { api, unwrap } from "@/lib/api/client";
import { keys } from "@/lib/api/queries";
import { quantity } from "@/lib/format";

type Task = "one" | "many" | "spans";

const TASKS: Record<Task, string> = {
  one: "One class for each item",
  many: "Any number of classes for each item",
  spans: "Marked stretches of the text",
};

/** "refund: the customer wants money back" on a line of its own is a class with a description. */
function classesIn(text: string): { name: string; description: string }[] {
  return text
    .split("\n")
    .map((line) => /^\s*(.+?)\s*(?::\s+(.*))?$/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ name: match[1] ?? "", description: match[2]?.trim() ?? "" }));
}

export function CreateDatasetDialog({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <Dialog open={open} onOpenChange={setOpen}>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent>
        <DialogHeader>
          <DialogTitle>New dataset</DialogTitle>
          <DialogDescription>Texts to be labelled, and the classes that they may get.</DialogDescription>
        </DialogHeader>
        <CreateForm />
      </DialogContent>
    </Dialog>
  );
}

function CreateForm() {
  const [name, setName] = useState("");
  const [task, setTask] = useState<Task>("one");
  const [classes, setClasses] = useState("");
  const [guidelines, setGuidelines] = useState("");
  const router = useRouter();
  const queries = useQueryClient();
  const found = classesIn(classes);
  const create = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/v1/datasets", {
          body: {
            name,
            modality: "text",
            guidelines,
            labelset: found.length
              ? {
                  kind: task === "spans" ? "spans" : "classification",
                  multi: task === "many",
                  allow_overlap: false,
                  classes: found.map((one) => ({ ...one, color: "", hotkey: "", retired: false })),
                }
              : null,
          },
        }),
      ),
    onSuccess: (dataset) => {
      queries.setQueryData(keys.dataset(dataset.id), dataset);
      void queries.invalidateQueries({ queryKey: keys.datasets });
      router.push(`/dataset?id=${dataset.id}`);
    },
  });
  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Field label="Name">
        {(control) => (
          <Input
            {...control}
            required
            autoFocus
            maxLength={200}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label="Answer">
        {(control) => (
          <NativeSelect
            {...control}
            className="w-full"
            value={task}
            onChange={(event) => setTask(event.target.value as Task)}
          >
            {Object.entries(TASKS).map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </NativeSelect>
        )}
      </Field>
      <Field
        label="Classes"
        hint={
          found.length > 0
            ? quantity(found.length, "class", "classes")
            : "One on a line, with a description after a colon if it needs one. May stay empty: a file with labels brings its own."
        }
      >
        {(control) => (
          <Textarea
            {...control}
            rows={6}
            placeholder={"positive: the writer is content\nnegative\nmixed"}
            value={classes}
            onChange={(event) => setClasses(event.target.value)}
          />
        )}
      </Field>
      <Field label="Guidelines" hint="For people and for models. Markdown is fine; can be written later.">
        {(control) => (
          <Textarea {...control} rows={3} value={guidelines} onChange={(event) => setGuidelines(event.target.value)} />
        )}
      </Field>
      {create.error && <ProblemNotice error={create.error} />}
      <DialogFooter>
        <Button type="submit" disabled={create.isPending || name.trim() === ""}>
          {create.isPending ? "Creating…" : "Create dataset"}
        </Button>
      </DialogFooter>
    </form>
  );
}
