import { api, unwrap } from "@/lib/api/client";
import type { Payload, Review, ReviewClaim } from "@/lib/api/types";

export type Decision = Review["decision"];

/** How many items are fetched at once, so that the next one is there when a decision is sent. */
const AHEAD = 3;

/** What the reviewer holds, and the next items that wait. */
export async function claimReviews(dataset: string, level: 2 | 3): Promise<ReviewClaim[]> {
  const { claims } = await unwrap(
    api.POST("/v1/datasets/{dataset_id}/reviews/claim", {
      params: { path: { dataset_id: dataset } },
      body: { level, count: AHEAD },
    }),
  );
  return claims;
}

export async function sendReview(claim: ReviewClaim, decision: Decision, payload: Payload | null, comment: string) {
  return unwrap(
    api.POST("/v1/items/{item_id}/review", {
      params: { path: { item_id: claim.item.id } },
      body: {
        decision,
        ...(payload ? { payload } : {}),
        comment: comment.trim(),
        lease_id: claim.lease.id,
        token: claim.lease.token,
        key: `${claim.lease.id} ${decision}`,
      },
    }),
  );
}
