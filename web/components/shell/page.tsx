"use client";

import Link from "next/link";
import type { ReactNode } from "react";
import { AccountMenu, ThemeMenu } from "@/components/shell/account-menu";
import { Mark } from "@/components/shell/logo";
import { RequireSession } from "@/components/shell/require-session";
import { Breadcrumb, type Crumb } from "@/components/ui/breadcrumb";
import type { Session } from "@/lib/api/session";
import { useTitle } from "@/lib/use-title";

export function Header({ crumbs, session, children }: { crumbs: Crumb[]; session: Session; children?: ReactNode }) {
  return (
    <header className="sticky top-0 z-30 border-b bg-background/90 backdrop-blur-sm">
      <div className="flex h-12 items-center gap-3 px-4 sm:px-6">
        <Link href="/" className="flex shrink-0 items-center gap-2 rounded-sm font-semibold tracking-tight">
          <Mark className="size-5.5" />
          <span className="max-sm:sr-only">LabelCrew</span>
        </Link>
        {crumbs.length > 0 && (
          <>
            <span aria-hidden className="h-4 w-px shrink-0 bg-border" />
            <Breadcrumb crumbs={crumbs} />
          </>
        )}
        <div className="ml-auto flex shrink-0 items-center gap-1">
          {children}
          <ThemeMenu />
          <AccountMenu session={session} />
        </div>
      </div>
    </header>
  );
}

/** A page for people who are signed in: the header, and a column of content. */
export function Page({ title, crumbs = [], children }: { title: string; crumbs?: Crumb[]; children: ReactNode }) {
  useTitle(title);
  return (
    <RequireSession>
      {(session) => (
        <>
          <Header crumbs={crumbs} session={session} />
          <main className="mx-auto w-full max-w-6xl px-4 pt-7 pb-20 sm:px-6">{children}</main>
        </>
      )}
    </RequireSession>
  );
}
