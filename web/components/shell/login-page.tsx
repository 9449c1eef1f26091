"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearchParams } from "next/navigation";
import { useCallback, useEffect, useRef, useState } from "react";
import { Mark } from "@/components/shell/logo";
import { ProblemNotice } from "@/components/shell/problem";
import { SignInForm } from "@/components/shell/sign-in-form";
import { api, unwrap } from "@/lib/api/client";
import { beginSession, isLive, useSession } from "@/lib/api/session";

/** Only an address of this workspace is gone on to. */
function safeNext(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) ? next : "/";
}

export function LoginPage() {
  const router = useRouter();
  const queries = useQueryClient();
  const next = safeNext(useSearchParams().get("next"));
  const session = useSession();
  const [redeeming, setRedeeming] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const redeemed = useRef(false);

  const goOn = useCallback(() => {
    queries.clear();
    router.replace(next);
  }, [next, queries, router]);

  useEffect(() => {
    const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
    if (!token || redeemed.current) return;
    redeemed.current = true;
    // A token works once; it should not stay in the address bar, the history or a screenshot.
    window.history.replaceState(null, "", window.location.pathname + window.location.search);
    setRedeeming(true);
    unwrap(api.POST("/v1/auth/token", { body: { grant: "link", token } }))
      .then((answer) => {
        beginSession(answer);
        goOn();
      })
      .catch((error: unknown) => {
        setProblem(error);
        setRedeeming(false);
      });
  }, [goOn]);

  const signedIn = session !== undefined && isLive(session);
  return (
    <main className="mx-auto grid min-h-dvh w-full max-w-sm content-center gap-7 px-5 py-16">
      <div className="grid gap-5">
        <Mark className="size-9" />
        <div className="grid gap-1.5">
          <h1 className="text-2xl font-semibold">Sign in to LabelCrew</h1>
          <p className="text-pretty text-muted-foreground">
            {redeeming
              ? "Opening your sign-in link…"
              : "The first time, use the link that the server printed in its terminal when it started."}
          </p>
        </div>
      </div>
      {problem !== null && <ProblemNotice error={problem} />}
      {signedIn && !redeeming && (
        <p className="text-sm">
          You are signed in as {session.user.email}.{" "}
          <button type="button" className="font-medium text-brand underline underline-offset-4" onClick={goOn}>
            Go on
          </button>
        </p>
      )}
      {!redeeming && <SignInForm onDone={goOn} />}
    </main>
  );
}
