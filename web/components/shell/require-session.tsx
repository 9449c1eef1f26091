"use client";

import { usePathname, useRouter } from "next/navigation";
import { type ReactNode, useEffect } from "react";
import { SignInForm } from "@/components/shell/sign-in-form";
import { Dialog, DialogContent, DialogDescription, DialogHeader, DialogTitle } from "@/components/ui/dialog";
import { isLive, type Session, useSession } from "@/lib/api/session";

/**
 * Shows its content to somebody who is signed in. Nobody: on to the sign-in page, and back afterwards. A sign-in that
 * has run out: asked for again on top of the page, which keeps what is on it.
 */
export function RequireSession({ children }: { children: (session: Session) => ReactNode }) {
  const session = useSession();
  const router = useRouter();
  const path = usePathname();
  const nobody = session === null;
  useEffect(() => {
    if (nobody) router.replace(`/login?next=${encodeURIComponent(path + window.location.search)}`);
  }, [nobody, path, router]);
  if (!session) return null;
  return (
    <>
      {children(session)}
      <Dialog open={!isLive(session)}>
        <DialogContent
          className="max-w-sm [&>button]:hidden"
          onEscapeKeyDown={(event) => event.preventDefault()}
          onInteractOutside={(event) => event.preventDefault()}
        >
          <DialogHeader>
            <DialogTitle>Your sign-in has ended</DialogTitle>
            <DialogDescription>
              Sign in again and go on where you are; nothing on this page is lost. A sign-in link that you open in
              another tab works too.
            </DialogDescription>
          </DialogHeader>
          <SignInForm email={session.user.email} />
        </DialogContent>
      </Dialog>
    </>
  );
}
