import type { Rate, Role, Scope } from "@/lib/api/types";
import { count, percent } from "@/lib/format";

export const ROLES: Role[] = ["annotator", "reviewer", "super_reviewer", "admin"];

export const ROLE_NAMES: Record<Role, string> = {
  annotator: "Annotator",
  reviewer: "Reviewer",
  super_reviewer: "Super reviewer",
  admin: "Admin",
};

/** What a service token may be used for. */
export const SCOPES: Record<Scope, string> = {
  read: "items, exports, jobs, metrics",
  annotate: "claiming, answering, reviewing, drafting",
  manage: "importing, jobs, settings, labelsets",
};

export type RateName = "gold" | "consensus" | "acceptance";

/** What each rate is called, and what it says. */
export const RATES: Record<RateName, { name: string; words: string }> = {
  gold: { name: "Known answers", words: "items with a known answer that were answered so" },
  consensus: { name: "With the others", words: "items answered as most of the others did" },
  acceptance: { name: "Accepted", words: "reviewed answers that were approved as they were" },
};

/** "82 %, between 71 % and 90 %: 41 of 50". */
export function rateInWords(rate: Rate): string {
  if (rate.rate === null) return "not measured yet";
  const range = `between ${percent(rate.low)} and ${percent(rate.high)}`;
  return `${percent(rate.rate)}, ${range}: ${count(rate.right)} of ${count(rate.of)}`;
}

/** A link that the server made, at the address where this page was reached: the server may know itself by another. */
export function linkFromHere(url: string): string {
  const made = new URL(url);
  return window.location.origin + made.pathname + made.search + made.hash;
}

/** "de, law" as a list. */
export const skillsOf = (text: string): string[] =>
  text
    .split(",")
    .map((skill) => skill.trim())
    .filter((skill) => skill !== "");
