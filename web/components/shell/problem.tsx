"use client";

import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { asApiError } from "@/lib/api/errors";

/** An error in words: what happened, and what can be done about it. */
export function ProblemNotice({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const problem = asApiError(error);
  return (
    <Alert variant="destructive">
      <CircleAlert aria-hidden />
      <div className="grid gap-0.5">
        <p className="font-medium">{problem.detail}</p>
        {problem.hint && <p className="text-muted-foreground">{problem.hint}</p>}
      </div>
      {onRetry && (
        <Button variant="outline" size="sm" className="ml-auto" onClick={onRetry}>
          Try again
        </Button>
      )}
    </Alert>
  );
}

/** Where there is nothing yet: says so, and what to do. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="grid justify-items-center gap-3 rounded-lg border border-dashed border-input px-6 py-14 text-center">
      <h2 className="text-base font-semibold">{title}</h2>
      {children && <p className="max-w-md text-sm text-pretty text-muted-foreground">{children}</p>}
      {action}
    </div>
  );
}
