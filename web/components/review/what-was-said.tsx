import { PayloadView } from "@/components/labels/payload-view";
import type { Labelset, ReviewClaim } from "@/lib/api/types";

const DECISIONS = { approved: "Approved", corrected: "Corrected", rejected: "Rejected" };

/** The answers that stand, the one to judge marked, and what was said about the item before. */
export function WhatWasSaid({ claim, labelset }: { claim: ReviewClaim; labelset: Labelset }) {
  const judged = claim.item.annotation;
  return (
    <section aria-label="Answers" className="grid gap-3 text-sm" data-testid="answers">
      <h2 className="eyebrow">{claim.answers.length > 1 ? "Answers" : "Answer"}</h2>
      <ul className="grid gap-1.5">
        {claim.answers.map((answer) => (
          <li key={answer.id} className="flex flex-wrap items-center gap-x-3">
            <PayloadView
              payload={answer.payload}
              labelset={labelset}
              className={answer.id === judged?.id ? "font-semibold" : undefined}
            />
            {answer.level > 1 && <span className="text-muted-foreground">level {answer.level}</span>}
            {answer.id === judged?.id && claim.answers.length > 1 && (
              <span className="text-muted-foreground">counts now</span>
            )}
          </li>
        ))}
      </ul>
      {claim.question && (
        <p className="border-l-2 border-warning pl-3 text-pretty">
          {claim.question.kind === "appeal" ? "The author appeals: " : "Levels 1 and 2 disagree. "}
          {claim.question.comment}
        </p>
      )}
      {claim.reviews.map((review) => (
        <p key={review.id} className="border-l-2 pl-3 text-pretty text-muted-foreground">
          {DECISIONS[review.decision]} at level {review.level}
          {review.comment && `: ${review.comment}`}
        </p>
      ))}
    </section>
  );
}
