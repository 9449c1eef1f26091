import { classColor } from "@/components/labels/class-chip";
import { cutAtSpans } from "@/lib/text";
import { classOf } from "@/lib/labels";
import type { Labelset, Payload } from "@/lib/api/types";

/** The text of an item, with its line breaks, and the spans of an answer marked in the colours of their classes. */
export function MarkedText({
  text,
  payload,
  labelset,
}: {
  text: string;
  payload: Payload | null;
  labelset: Labelset | null;
}) {
  if (!payload || !("spans" in payload) || payload.spans.length === 0) return <>{text}</>;
  return (
    <>
      {cutAtSpans(text, payload.spans).map((piece) => {
        const innermost = piece.spans.at(-1);
        if (!innermost) return <span key={piece.start}>{piece.text}</span>;
        const labelClass = classOf(labelset, innermost.label);
        const ends = piece.spans.some((span) => span.end === piece.start + Array.from(piece.text).length);
        return (
          <mark
            key={piece.start}
            style={classColor(labelClass.color)}
            className="rounded-[3px] border-b-2 border-(--class) bg-[color-mix(in_oklab,var(--class)_16%,transparent)] px-0.5 text-inherit"
          >
            {piece.text}
            {ends && (
              <span className="ml-1 align-middle font-sans text-[0.6em] font-semibold text-muted-foreground">
                {labelClass.name}
              </span>
            )}
          </mark>
        );
      })}
    </>
  );
}
