import { Members } from "@/components/people/members";
import { MyQuality } from "@/components/people/my-quality";
import { ScorecardsTable } from "@/components/people/scorecards";
import type { Dataset } from "@/lib/api/types";

export function PeopleTab({ dataset }: { dataset: Dataset }) {
  return (
    <div className="grid gap-8">
      <MyQuality dataset={dataset.id} />
      <Members dataset={dataset} />
      {dataset.role === "admin" && <ScorecardsTable dataset={dataset.id} />}
    </div>
  );
}
