"use client";

import { type ReactNode, useState } from "react";
import type { Overlay } from "@/components/annotate/use-keyboard";
import { Swatch } from "@/components/labels/class-chip";
import { Markdown } from "@/components/markdown";
import { Button } from "@/components/ui/button";
import {
  Dialog,
  DialogContent,
  DialogDescription,
  DialogFooter,
  DialogHeader,
  DialogTitle,
  SheetContent,
} from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Input } from "@/components/ui/input";
import { Kbd } from "@/components/ui/kbd";
import type { Dataset } from "@/lib/api/types";
import { activeClasses } from "@/lib/labels";

interface OverlayProps {
  overlay: Overlay;
  onClose: () => void;
}

const KEYS: [ReactNode, string][] = [
  [<Kbd key="a">A</Kbd>, "Accept the draft and go on"],
  [<Kbd key="e">Enter</Kbd>, "Submit what is chosen and go on"],
  [
    <span key="n" className="flex items-center gap-1">
      <Kbd>1</Kbd>–<Kbd>9</Kbd>
    </span>,
    "Choose a class, or its own key",
  ],
  [<Kbd key="/">/</Kbd>, "Find a class by typing; with many classes, just type"],
  [<Kbd key="x">X</Kbd>, "Set the draft aside, clear the choice"],
  [<Kbd key="s">S</Kbd>, "Skip"],
  [
    <span key="S" className="flex items-center gap-1">
      <Kbd>Shift</Kbd>
      <Kbd>S</Kbd>
    </span>,
    "Skip, with a reason",
  ],
  [<Kbd key="u">U</Kbd>, "Take the last answer back"],
  [
    <span key="jk" className="flex items-center gap-1">
      <Kbd>J</Kbd>
      <Kbd>K</Kbd>
    </span>,
    "Next and previous item of this sitting",
  ],
  [<Kbd key="g">G</Kbd>, "Guidelines"],
  [<Kbd key="h">H</Kbd>, "A hint for this item"],
  [<Kbd key="c">C</Kbd>, "Ask the assistant; Esc leaves its field"],
  [<Kbd key="?">?</Kbd>, "This help"],
];

export function HelpDialog({ overlay, onClose }: OverlayProps) {
  return (
    <Dialog open={overlay === "help"} onOpenChange={onClose}>
      <DialogContent className="max-w-md">
        <DialogHeader>
          <DialogTitle>Keys</DialogTitle>
          <DialogDescription>Everything here works without the mouse.</DialogDescription>
        </DialogHeader>
        <dl className="grid grid-cols-[auto_1fr] items-center gap-x-5 gap-y-2.5 text-sm">
          {KEYS.map(([keys, meaning]) => (
            <div key={meaning} className="contents">
              <dt>{keys}</dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </DialogContent>
    </Dialog>
  );
}

export function GuidelinesSheet({ overlay, onClose, dataset }: OverlayProps & { dataset: Dataset }) {
  return (
    <Dialog open={overlay === "guidelines"} onOpenChange={onClose}>
      <SheetContent>
        <div className="grid gap-6 px-5 py-5 sm:px-7 sm:py-6">
          <DialogHeader>
            <DialogTitle>Guidelines</DialogTitle>
            <DialogDescription>How {dataset.name} is to be labelled.</DialogDescription>
          </DialogHeader>
          {dataset.guidelines.trim() ? (
            <Markdown source={dataset.guidelines} />
          ) : (
            <p className="text-sm text-muted-foreground">Nobody has written guidelines for this dataset yet.</p>
          )}
          <dl className="grid gap-3 border-t pt-5">
            {activeClasses(dataset.labelset).map((labelClass) => (
              <div key={labelClass.key} className="grid gap-0.5">
                <dt className="flex items-center gap-2 text-sm font-medium">
                  <Swatch color={labelClass.color} />
                  {labelClass.name}
                </dt>
                <dd className="pl-4.5 text-sm text-pretty text-muted-foreground">{labelClass.description}</dd>
              </div>
            ))}
          </dl>
        </div>
      </SheetContent>
    </Dialog>
  );
}

const REASONS = ["Unclear or unreadable", "No class fits", "Wrong language", "Personal data"];

export function SkipDialog({ overlay, onClose, onSkip }: OverlayProps & { onSkip: (reason: string) => void }) {
  return (
    <Dialog open={overlay === "skip"} onOpenChange={onClose}>
      <DialogContent className="max-w-md">
        <DialogHeader>
          <DialogTitle>Skip this item</DialogTitle>
          <DialogDescription>It leaves the queue until a reviewer brings it back.</DialogDescription>
        </DialogHeader>
        <SkipForm onSkip={onSkip} />
      </DialogContent>
    </Dialog>
  );
}

function SkipForm({ onSkip }: { onSkip: (reason: string) => void }) {
  const [reason, setReason] = useState("");
  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        onSkip(reason.trim());
      }}
    >
      <Field label="Reason" hint="May stay empty.">
        {(control) => (
          <Input
            {...control}
            autoFocus
            maxLength={1000}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
      <div className="-mt-2 flex flex-wrap gap-1.5">
        {REASONS.map((known) => (
          <Button key={known} variant="outline" size="sm" onClick={() => onSkip(known)}>
            {known}
          </Button>
        ))}
      </div>
      <DialogFooter>
        <Button type="submit">Skip</Button>
      </DialogFooter>
    </form>
  );
}
