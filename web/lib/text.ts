import type { Span } from "@/lib/api/types";

export interface Piece {
  text: string;
  /** Spans that cover this piece, outermost first. */
  spans: Span[];
  start: number;
}

/** Cuts a text where spans begin and end. Spans count Unicode code points; JavaScript strings count UTF-16 units. */
export function cutAtSpans(text: string, spans: Span[]): Piece[] {
  const points = Array.from(text);
  const inside = spans.filter((span) => span.end <= points.length);
  const cuts = [...new Set([0, points.length, ...inside.flatMap((span) => [span.start, span.end])])].sort(
    (a, b) => a - b,
  );
  return cuts.slice(0, -1).map((start, index) => {
    const end = cuts[index + 1] ?? points.length;
    return {
      start,
      text: points.slice(start, end).join(""),
      spans: inside
        .filter((span) => span.start <= start && span.end >= end)
        .sort((a, b) => a.start - b.start || b.end - a.end),
    };
  });
}

export function textOfSpan(text: string, span: Span): string {
  return Array.from(text).slice(span.start, span.end).join("");
}
