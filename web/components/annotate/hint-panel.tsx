"use client";

import { useQuery } from "@tanstack/react-query";
import { Lightbulb, X } from "lucide-react";
import { ClassName } from "@/components/labels/class-chip";
import { PayloadView } from "@/components/labels/payload-view";
import { MarkdownLine } from "@/components/markdown";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";
import { hintQuery } from "@/lib/api/queries";
import type { Hint, HintExample, Labelset, Payload } from "@/lib/api/types";
import { percent } from "@/lib/format";

/** What speaks for a label of the item on screen: asked for by the person, because a hint may pull. */
export function HintPanel({
  itemId,
  labelset,
  onChoose,
  onClose,
}: {
  itemId: string;
  labelset: Labelset;
  onChoose: (payload: Payload) => void;
  onClose: () => void;
}) {
  const hint = useQuery({ ...hintQuery(itemId), refetchOnWindowFocus: false });
  return (
    <section
      aria-label="Hint"
      data-testid="hint"
      className="panel mx-auto grid w-full max-w-[44rem] gap-4 px-4 py-4 sm:px-5"
    >
      <h2 className="eyebrow flex items-center gap-2">
        <Lightbulb aria-hidden className="size-3.5" />
        <span className="flex-1">Hint</span>
        <Button variant="ghost" size="icon-sm" aria-label="Close the hint" className="-my-2 -mr-2" onClick={onClose}>
          <X />
        </Button>
      </h2>
      {hint.error ? (
        <ProblemNotice error={hint.error} />
      ) : hint.data ? (
        <Content hint={hint.data} labelset={labelset} onChoose={onChoose} />
      ) : (
        <div className="grid gap-2" role="status" aria-label="Looking for evidence" aria-busy>
          <Skeleton className="h-5 w-2/5" />
          <Skeleton className="h-4 w-4/5" />
        </div>
      )}
    </section>
  );
}

function Content({
  hint,
  labelset,
  onChoose,
}: {
  hint: Hint;
  labelset: Labelset;
  onChoose: (payload: Payload) => void;
}) {
  const { payload, confusion } = hint;
  return (
    <>
      {payload && (
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2" data-testid="hint-label">
          <PayloadView payload={payload} labelset={labelset} className="text-base font-semibold" />
          {hint.probability !== null && <span className="tabular font-semibold">{percent(hint.probability)}</span>}
          <Button
            variant="outline"
            size="sm"
            className="ml-auto"
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => onChoose(payload)}
          >
            Choose it
          </Button>
        </div>
      )}
      <p className="text-sm text-pretty" data-testid="hint-why">
        {hint.why}
      </p>
      {confusion && (
        <div className="grid gap-1 text-sm" data-testid="hint-confusion">
          <h3 className="eyebrow flex items-center gap-2">
            Easily taken for <ClassName labelset={labelset} label={confusion.rival} className="text-foreground" />
            <span className="tabular">{percent(confusion.probability)}</span>
          </h3>
          <p className="text-pretty">{confusion.tell_apart}</p>
        </div>
      )}
      {hint.examples.length > 0 && (
        <div className="grid gap-1.5">
          <h3 className="eyebrow">Verified items like it</h3>
          <ul className="grid gap-1.5" data-testid="hint-examples">
            {hint.examples.map((example) => (
              <Example key={example.item_id} example={example} labelset={labelset} />
            ))}
          </ul>
        </div>
      )}
      {hint.guideline_lines.length > 0 && (
        <div className="grid gap-1.5">
          <h3 className="eyebrow">Guidelines</h3>
          <ul className="grid gap-1.5 text-sm" data-testid="hint-lines">
            {hint.guideline_lines.map((line) => (
              <li key={line.line} className="grid grid-cols-[3.5rem_minmax(0,1fr)] gap-2">
                <span className="tabular text-muted-foreground">line {line.line}</span>
                <span className="text-pretty">
                  <MarkdownLine source={line.text} />
                </span>
              </li>
            ))}
          </ul>
        </div>
      )}
      <p className="text-[0.8125rem] text-muted-foreground" data-testid="hint-note">
        {hint.worded_by === "template" ? hint.note || "Worded from a template." : `In the words of ${hint.worded_by}.`}
      </p>
    </>
  );
}

function Example({ example, labelset }: { example: HintExample; labelset: Labelset }) {
  return (
    <li className="grid gap-0.5 border-l-2 pl-3 text-sm">
      <span className="line-clamp-2 break-words">{example.text}</span>
      <span className="flex flex-wrap items-center gap-x-3 text-[0.8125rem] text-muted-foreground">
        <PayloadView payload={example.payload} labelset={labelset} className="text-foreground" />
        <span className="tabular">#{example.seq}</span>
        <span className="tabular">{percent(example.similarity)} alike</span>
        {example.copies > 0 && <span>and {example.copies} more the same</span>}
      </span>
    </li>
  );
}
