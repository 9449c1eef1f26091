import { Fragment, type ReactNode } from "react";

/** Guidelines are short Markdown: headings, lists, paragraphs, bold, emphasis, code. Everything else stays as written. */
export function Markdown({ source }: { source: string }) {
  return (
    <div className="grid gap-3 text-[0.9375rem] leading-relaxed">
      {source
        .trim()
        .replace(/^(#{1,4} .*)\n(?!\n)/gm, "$1\n\n")
        .split(/\n{2,}/)
        .map(block)}
    </div>
  );
}

/** One line of them. */
export function MarkdownLine({ source }: { source: string }) {
  return <>{inline(source)}</>;
}

function block(text: string, index: number): ReactNode {
  const heading = /^(#{1,4})\s+(.*)$/.exec(text);
  if (heading) {
    return (
      <h3 key={index} className={heading[1] === "#" ? "text-lg font-semibold" : "font-semibold"}>
        {inline(heading[2] ?? "")}
      </h3>
    );
  }
  const marker = /^(?:[-*]|\d+[.)])\s+/;
  if (marker.test(text)) {
    const items: string[] = [];
    for (const line of text.split("\n")) {
      if (marker.test(line)) items.push(line.replace(marker, ""));
      else items[items.length - 1] += ` ${line.trim()}`;
    }
    const ordered = /^\d/.test(text);
    const List = ordered ? "ol" : "ul";
    return (
      <List
        key={index}
        className={`grid gap-1.5 pl-5 ${ordered ? "list-decimal" : "list-disc"} marker:text-muted-foreground`}
      >
        {items.map((item, at) => (
          <li key={at}>{inline(item)}</li>
        ))}
      </List>
    );
  }
  return <p key={index}>{inline(text.replace(/\s*\n\s*/g, " "))}</p>;
}

function inline(text: string): ReactNode {
  return text.split(/(\*\*[^*]+\*\*|\*[^*\s][^*]*\*|`[^`]+`)/).map((part, index) => {
    if (part.startsWith("**")) return <strong key={index}>{part.slice(2, -2)}</strong>;
    if (part.startsWith("`")) {
      return (
        <code key={index} className="rounded-sm bg-muted px-1 py-0.5 font-mono text-[0.875em]">
          {part.slice(1, -1)}
        </code>
      );
    }
    if (part.startsWith("*") && part.length > 2) return <em key={index}>{part.slice(1, -1)}</em>;
    return <Fragment key={index}>{part}</Fragment>;
  });
}
