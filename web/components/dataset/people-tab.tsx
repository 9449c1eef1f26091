import { Members } from "@/components/people/members";
import { MyQuality } from "@/components/people/my-quality";
import { ScorecardsTable } from "@/components/people/scorecards";
import { ServiceTokens } from "@/components/people/service-tokens";
import type { Dataset } from "@/lib/api/types";

export function PeopleTab({ dataset }: { dataset: Dataset }) {
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-8">
      <MyQuality dataset={dataset} />
      <Members dataset={dataset} />
      {dataset.role === "admin" && <ScorecardsTable dataset={dataset.id} />}
      {dataset.role === "admin" && <ServiceTokens dataset={dataset.id} />}
    </div>
  );
}
