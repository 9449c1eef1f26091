import { MarkedText } from "@/components/labels/marked-text";
import { PayloadView } from "@/components/labels/payload-view";
import type { Entry } from "@/lib/annotate/entries";
import type { Labelset } from "@/lib/api/types";
import { cn } from "@/lib/utils";

const STATUS: Partial<Record<Entry["status"], string>> = {
  waiting: "Answered",
  saved: "Answered",
  skipped: "Skipped",
  lost: "Not stored",
};

/** What is to be labelled, in a size and a measure for reading, and what else is known of it. */
export function ItemText({ entry, labelset }: { entry: Entry; labelset: Labelset }) {
  const { item } = entry;
  const text = item.text ?? "";
  const facts = Object.entries(item.metadata).filter(([, value]) => value !== null && value !== "");
  const status = STATUS[entry.status] ?? (item.annotation ? "Answered before" : null);
  return (
    <article
      aria-label="Item"
      className="mx-auto grid w-full max-w-[44rem] grid-cols-1 content-start gap-6"
      data-testid="item"
      data-item={item.id}
    >
      <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-[0.8125rem] text-muted-foreground">
        <span className="tabular">{item.external_id ?? `#${item.seq}`}</span>
        {status && (
          <span
            data-testid="entry-status"
            className={cn("flex items-center gap-2", entry.status === "lost" ? "text-warning" : "text-foreground")}
          >
            {status}
            {(entry.status === "saved" || entry.status === "waiting") && (
              <PayloadView payload={entry.payload} labelset={labelset} className="font-medium" />
            )}
          </span>
        )}
        {entry.notice && <span className="basis-full text-warning">{entry.notice}</span>}
      </p>
      <p
        data-testid="text"
        className={cn(
          "whitespace-pre-wrap break-words text-pretty",
          text.length > 900 ? "text-[1.0625rem] leading-[1.65]" : "text-[1.375rem] leading-[1.55] tracking-[-0.003em]",
        )}
      >
        <MarkedText text={text} payload={entry.payload} labelset={labelset} />
      </p>
      {facts.length > 0 && (
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 border-t pt-4 text-[0.8125rem]">
          {facts.slice(0, 12).map(([name, value]) => (
            <div key={name} className="contents">
              <dt className="text-muted-foreground">{name}</dt>
              <dd className="min-w-0 break-words">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </article>
  );
}
