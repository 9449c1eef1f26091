"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { RateBar } from "@/components/people/rate-bar";
import { ProblemNotice } from "@/components/shell/problem";
import { Label } from "@/components/ui/label";
import { NativeSelect } from "@/components/ui/native-select";
import { Skeleton } from "@/components/ui/skeleton";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/components/ui/table";
import { scorecardsQuery } from "@/lib/api/queries";
import type { Rate, Scorecard, Scorecards } from "@/lib/api/types";
import { count, duration } from "@/lib/format";
import { RATES, type RateName } from "@/lib/people";

const NAMES = Object.keys(RATES) as RateName[];

/** Everybody's rates, by name. In another order only where it is not chance that would make it. */
export function ScorecardsTable({ dataset }: { dataset: string }) {
  const { data, error } = useQuery(scorecardsQuery(dataset));
  const [order, setOrder] = useState<RateName | "name">("name");
  if (error) return <ProblemNotice error={error} />;
  if (!data) return <Skeleton className="h-40" />;
  if (data.people.length === 0) return null;
  const groups = order === "name" ? [] : data.distinguishable[order];
  return (
    <section aria-label="Quality of people" className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2">
        <h2 className="text-base font-semibold">Quality of people</h2>
        <Label className="font-normal">
          Order
          <NativeSelect value={order} onChange={(event) => setOrder(event.target.value as RateName | "name")}>
            <option value="name">by name</option>
            {NAMES.map((name) => (
              <option key={name} value={name}>
                {RATES[name].name.toLowerCase()}
              </option>
            ))}
          </NativeSelect>
        </Label>
      </div>
      <p className="text-[0.8125rem] text-pretty text-muted-foreground">{groupsInWords(order, groups)}</p>
      <div className="panel">
        <Table aria-label="Quality of people">
          <TableHeader>
            <TableRow>
              <TableHead>Person</TableHead>
              <TableHead className="text-right">Answers</TableHead>
              <TableHead className="text-right">Takes</TableHead>
              {NAMES.map((name) => (
                <TableHead key={name}>{RATES[name].name}</TableHead>
              ))}
            </TableRow>
          </TableHeader>
          <TableBody>
            {inOrder(data, groups).map(([card, group]) => (
              <TableRow key={card.user_id} className={group?.last ? "border-b-2 border-b-foreground/40" : ""}>
                <TableCell>
                  <span className="block font-medium">{card.name || card.email}</span>
                  <span className="text-[0.8125rem] text-muted-foreground">
                    {!card.active ? "switched off" : card.role === null ? "no member any more" : card.email}
                  </span>
                </TableCell>
                <TableCell className="tabular text-right">{count(card.answers)}</TableCell>
                <TableCell className="tabular text-right whitespace-nowrap">
                  {card.median_ms === null ? "–" : duration(card.median_ms / 1000)}
                </TableCell>
                {NAMES.map((name) => (
                  <TableCell key={name}>
                    <RateBar rate={card[name]} label={RATES[name].name} />
                    {order === name && <span className="text-[0.8125rem]">{placeInWords(card[name])}</span>}
                  </TableCell>
                ))}
              </TableRow>
            ))}
          </TableBody>
        </Table>
      </div>
    </section>
  );
}

function groupsInWords(order: RateName | "name", groups: string[][]): string {
  if (order === "name") return "Bars show the range in which each rate lies with 95 % confidence.";
  if (groups.length === 0) return "Nothing is measured by this yet.";
  if (groups.length === 1) return "By this rate there is one group, by name: any other order would be chance.";
  return (
    `By this rate there are ${groups.length} groups, best first, with a line between them. Within a group people are ` +
    "in the order of their names, because any other order would be chance."
  );
}

/** "place 2 to 5": where somebody can stand, as far as their answers tell. */
function placeInWords({ best_place: best, worst_place: worst }: Rate): string {
  if (best === null || worst === null) return "";
  return best === worst ? `place ${best}` : `place ${best} to ${worst}`;
}

/** People in the order of their groups, and by name within; those who are in none come last. */
function inOrder(data: Scorecards, groups: string[][]): [Scorecard, { last: boolean } | null][] {
  const placed: [Scorecard, { last: boolean } | null][] = groups.flatMap((group, index) => {
    const cards = data.people.filter((card) => group.includes(card.user_id));
    return cards.map((card, at): [Scorecard, { last: boolean }] => [
      card,
      { last: at === cards.length - 1 && index < groups.length - 1 },
    ]);
  });
  const named = new Set(groups.flat());
  const others = data.people.filter((card) => !named.has(card.user_id));
  return [...placed, ...others.map((card): [Scorecard, null] => [card, null])];
}
