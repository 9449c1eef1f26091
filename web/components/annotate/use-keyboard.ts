import { useEffect, useEffectEvent } from "react";
import { RESERVED } from "@/lib/annotate/hotkeys";
import type { AnnotateSession } from "@/lib/annotate/session";

export type Overlay = "help" | "search" | "skip" | "guidelines" | null;

/** What may be open beside the text. */
export type Panel = "hint" | "chat";

interface Keyboard {
  session: AnnotateSession;
  hotkeys: ReadonlyMap<string, string>;
  /** Whether typing a letter that means nothing else opens the type-ahead. */
  typeAhead: boolean;
  overlay: Overlay;
  open: (overlay: Overlay, typed?: string) => void;
  toggle: (panel: Panel) => void;
}

function inField(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** The whole page by keyboard. A key that is held down moves about, but never answers twice. */
export function useKeyboard({ session, hotkeys, typeAhead, overlay, open, toggle }: Keyboard) {
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (overlay !== null || inField(event.target)) return;
    const target = event.target instanceof HTMLElement ? event.target : null;
    if (target?.closest("[role=menu], [role=dialog]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = action(key, event, target);
    if (!act) return;
    event.preventDefault();
    act();
  });

  function action(key: string, event: KeyboardEvent, target: HTMLElement | null): (() => void) | null {
    const once = (run: () => void) => (event.repeat ? () => undefined : run);
    const label = hotkeys.get(key);
    if (label !== undefined) return once(() => session.choose(label));
    switch (key) {
      case "j":
      case "ArrowRight":
        return () => session.next();
      case "k":
      case "ArrowLeft":
        return () => session.previous();
      case "a":
        return once(() => session.accept());
      case "s":
        return once(() => (event.shiftKey ? open("skip") : session.skip()));
      case "x":
        return once(() => session.clear());
      case "u":
        return once(() => session.undo());
      case "g":
        return once(() => open("guidelines"));
      case "h":
        return once(() => toggle("hint"));
      case "c":
        return once(() => toggle("chat"));
      case "?":
        return once(() => open("help"));
      case "/":
        return once(() => open("search"));
      case "Enter":
        // A focused button or link keeps its own Enter, except a class: there it submits and the space bar chooses.
        if (target?.closest("button, a, summary") && !target.closest("[data-class-key]")) return null;
        return once(() => session.submit());
      default:
        if (typeAhead && /^\p{L}$/u.test(key) && !RESERVED.has(key)) return once(() => open("search", event.key));
        return null;
    }
  }

  useEffect(() => {
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}
