import { useQuery } from "@tanstack/react-query";
import { reviewsQuery } from "@/lib/api/queries";
import type { Item } from "@/lib/api/types";

/** Why an answer came back to its author: what the reviewer wrote. Nothing for items that nobody has reviewed. */
export function ReturnedNote({ item }: { item: Item }) {
  const said = useQuery({ ...reviewsQuery(item.id), enabled: item.state === "returned" });
  const last = said.data?.reviews.findLast((review) => review.decision === "rejected" && review.comment !== "");
  if (item.state !== "returned" || !last) return null;
  return (
    <p
      data-testid="returned"
      className="mx-auto w-full max-w-[44rem] border-l-2 border-warning pl-3 text-sm text-pretty whitespace-pre-wrap"
    >
      <span className="font-medium">Your answer came back: </span>
      {last.comment}
    </p>
  );
}
