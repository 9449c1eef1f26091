import type { Conflict, Payload } from "@/lib/api/types";

/** What each kind of conflict is called. */
export const CONFLICT_NAMES: Record<string, string> = {
  schema_violation: "Not allowed any more",
  near_duplicates: "Copies with different labels",
  neighbour_disagreement: "Neighbours say otherwise",
  label_error: "Likely label error",
  annotators_disagree: "People disagree",
  model_disagrees: "Model against person",
  span_boundary: "Doubtful borders",
  confused_classes: "Confused classes",
  annotator_drift: "Answers drift",
  implausibly_fast: "Too fast to have read",
};

export const conflictName = (kind: string): string => CONFLICT_NAMES[kind] ?? kind.replaceAll("_", " ");

/** What the evidence says, in words. */
export const summaryOf = (conflict: Conflict): string =>
  typeof conflict.evidence.summary === "string" ? conflict.evidence.summary : "";

/** The label that relabelling would give: the verdict's, else the finding's. */
export function proposedBy(conflict: Conflict): Payload | null {
  const proposed = conflict.proposal?.payload;
  return conflict.verdict?.payload ?? (isPayload(proposed) ? proposed : null);
}

/** The label that was doubted. */
export const givenIn = (conflict: Conflict): Payload | null =>
  isPayload(conflict.evidence.given) ? conflict.evidence.given : null;

function isPayload(value: unknown): value is Payload {
  return (
    typeof value === "object" &&
    value !== null &&
    ["labels", "spans", "boxes", "polygons", "segments"].some((shape) => shape in value)
  );
}

export const VERDICTS = {
  keep: "would keep the label",
  relabel: "would relabel it",
  unclear: "cannot tell",
};
