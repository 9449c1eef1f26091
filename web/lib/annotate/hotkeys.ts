import type { LabelClass } from "@/lib/api/types";

/** Keys that mean something to the page; a class that asks for one of them does not get it. */
export const RESERVED = new Set(["j", "k", "a", "s", "x", "u", "g", "h", "c", "?", "/", " "]);

/**
 * Which key chooses which class: its own hotkey where it has one, and for the first nine the digit of its place, unless
 * another class asked for that digit.
 */
export function hotkeysOf(classes: readonly LabelClass[]): Map<string, string> {
  const byKey = new Map<string, string>();
  for (const labelClass of classes) {
    const hotkey = labelClass.hotkey?.toLowerCase();
    if (hotkey && !RESERVED.has(hotkey) && !byKey.has(hotkey)) byKey.set(hotkey, labelClass.key);
  }
  const taken = new Set(byKey.values());
  classes.slice(0, 9).forEach((labelClass, index) => {
    const digit = String(index + 1);
    if (!taken.has(labelClass.key) && !byKey.has(digit)) byKey.set(digit, labelClass.key);
  });
  return byKey;
}

/** The key that chooses a class, for showing it. */
export function hotkeyOf(hotkeys: ReadonlyMap<string, string>, label: string): string | null {
  for (const [key, value] of hotkeys) if (value === label) return key;
  return null;
}
