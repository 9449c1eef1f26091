import {
  ArrowLeft,
  ArrowRight,
  Check,
  CornerDownLeft,
  Keyboard,
  Lightbulb,
  MessageCircle,
  Search,
  SkipForward,
  Undo2,
  X,
} from "lucide-react";
import type { ComponentProps, ReactNode } from "react";
import type { Overlay, Panel } from "@/components/annotate/use-keyboard";
import { Button } from "@/components/ui/button";
import { Kbd } from "@/components/ui/kbd";
import type { Entry } from "@/lib/annotate/entries";
import type { AnnotateSession } from "@/lib/annotate/session";
import { cn } from "@/lib/utils";

function Act({
  icon,
  keys,
  children,
  wide = false,
  className,
  ...props
}: ComponentProps<typeof Button> & { icon: ReactNode; keys: string; wide?: boolean }) {
  const filled = props.variant === undefined || props.variant === "default";
  return (
    <Button
      size="sm"
      aria-keyshortcuts={keys === "↵" ? "Enter" : keys}
      // The page keeps the focus, so that Enter after a click still submits.
      onMouseDown={(event) => event.preventDefault()}
      className={cn(wide ? "max-sm:h-11 max-sm:flex-1" : "max-sm:h-11 max-sm:w-10 max-sm:px-0", className)}
      {...props}
    >
      <span aria-hidden className={wide ? undefined : "sm:hidden"}>
        {icon}
      </span>
      <span className={wide ? undefined : "max-sm:sr-only"}>{children}</span>
      <Kbd
        className={cn("max-sm:hidden", filled && "border-primary-foreground/30 bg-transparent text-primary-foreground")}
      >
        {keys}
      </Kbd>
    </Button>
  );
}

/** The acts, each with its key: what the mouse can do, and a reminder for the hand. */
export function CommandBar({
  session,
  entry,
  searchable,
  open,
  toggle,
}: {
  session: AnnotateSession;
  entry: Entry | null;
  /** Whether there are classes to find by typing. */
  searchable: boolean;
  open: (overlay: Overlay) => void;
  toggle: (panel: Panel) => void;
}) {
  const draft = entry?.item.draft?.payload ?? null;
  const acceptFirst = draft !== null && entry !== null && !entry.touched;
  return (
    <div
      role="toolbar"
      aria-label="Acts"
      className="flex flex-wrap items-center gap-1.5 border-t bg-surface px-3 py-2 pb-[max(0.5rem,env(safe-area-inset-bottom))] sm:px-5"
    >
      <Act
        wide
        icon={<Check />}
        keys="A"
        variant={acceptFirst ? "default" : "outline"}
        disabled={draft === null}
        onClick={() => session.accept()}
      >
        Accept
      </Act>
      <Act
        wide
        icon={<CornerDownLeft />}
        keys="↵"
        variant={acceptFirst ? "outline" : "default"}
        disabled={entry === null}
        onClick={() => session.submit()}
      >
        Submit
      </Act>
      <span aria-hidden className="mx-1.5 h-5 w-px bg-border max-sm:hidden" />
      <span className="contents max-sm:flex max-sm:w-full max-sm:justify-between">
        <Act icon={<SkipForward />} keys="S" variant="ghost" disabled={entry === null} onClick={() => session.skip()}>
          Skip
        </Act>
        <Act icon={<X />} keys="X" variant="ghost" disabled={entry === null} onClick={() => session.clear()}>
          Clear
        </Act>
        <Act icon={<Undo2 />} keys="U" variant="ghost" onClick={() => session.undo()}>
          Undo
        </Act>
        {searchable && (
          <Act icon={<Search />} keys="/" variant="ghost" disabled={entry === null} onClick={() => open("search")}>
            Find class
          </Act>
        )}
        <Act icon={<Lightbulb />} keys="H" variant="ghost" disabled={entry === null} onClick={() => toggle("hint")}>
          Hint
        </Act>
        <Act icon={<MessageCircle />} keys="C" variant="ghost" onClick={() => toggle("chat")}>
          Ask
        </Act>
        <span aria-hidden className="grow max-sm:hidden" />
        <Act icon={<ArrowLeft />} keys="K" variant="ghost" onClick={() => session.previous()}>
          Back
        </Act>
        <Act icon={<ArrowRight />} keys="J" variant="ghost" disabled={entry === null} onClick={() => session.next()}>
          Next
        </Act>
        <Act icon={<Keyboard />} keys="?" variant="ghost" className="max-sm:hidden" onClick={() => open("help")}>
          Keys
        </Act>
      </span>
    </div>
  );
}
