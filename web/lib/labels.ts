import type { ItemState, JobState, LabelClass, Labelset, Payload, Route } from "@/lib/api/types";

export const STATES: readonly ItemState[] = [
  "verified",
  "auto_accepted",
  "reviewed",
  "annotated",
  "returned",
  "drafted",
  "new",
  "skipped",
];

export const STATE_NAMES: Record<ItemState, string> = {
  new: "New",
  drafted: "Drafted",
  annotated: "Annotated",
  reviewed: "Reviewed",
  verified: "Verified",
  returned: "Returned",
  skipped: "Skipped",
  auto_accepted: "Auto-accepted",
};

export const ROUTE_NAMES: Record<Route, string> = {
  local: "Model on this machine",
  student: "Trained student",
  llm: "Language model",
  crew: "Crew, after deliberation",
  import: "Imported",
  human: "Person",
};

export const JOB_STATE_NAMES: Record<JobState, string> = {
  queued: "Queued",
  running: "Running",
  paused: "Paused",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

export const activeClasses = (labelset: Labelset | null): LabelClass[] =>
  labelset?.classes.filter((labelClass) => !labelClass.retired) ?? [];

/** The class behind a key. Old answers may name one that the labelset no longer has; it is shown by its key. */
export function classOf(labelset: Labelset | null, key: string): LabelClass {
  return (
    labelset?.classes.find((labelClass) => labelClass.key === key) ?? {
      key,
      name: key,
      color: "#64748b",
      description: "",
      hotkey: "",
      examples: [],
      retired: true,
    }
  );
}

/** The class keys in an answer, each once. */
export function labelsOf(payload: Payload | null | undefined): string[] {
  if (!payload) return [];
  if ("labels" in payload) return payload.labels;
  const parts = Object.values(payload).flat() as { label: string }[];
  return [...new Set(parts.map((part) => part.label))];
}

/** Whether two answers say the same; the order of labels does not matter. */
export function samePayload(a: Payload | null, b: Payload | null): boolean {
  if (!a || !b) return a === b;
  if ("labels" in a && "labels" in b) {
    return a.labels.length === b.labels.length && a.labels.every((label) => b.labels.includes(label));
  }
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The answer that says: looked, and there is nothing. */
export function emptyPayload(kind: Labelset["kind"]): Payload {
  switch (kind) {
    case "classification":
      return { labels: [] };
    case "spans":
      return { spans: [] };
    case "boxes":
      return { boxes: [] };
    case "polygons":
      return { polygons: [] };
    case "segments":
      return { segments: [] };
  }
}
