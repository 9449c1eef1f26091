"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useEffect, useState } from "react";
import { Mark } from "@/components/shell/logo";
import { ProblemNotice } from "@/components/shell/problem";
import { SignInForm } from "@/components/shell/sign-in-form";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Input } from "@/components/ui/input";
import { api, unwrap } from "@/lib/api/client";
import { beginSession, endSession, isLive, useSession } from "@/lib/api/session";
import type { InvitationPreview } from "@/lib/api/types";
import { ROLE_NAMES } from "@/lib/people";

export function JoinPage() {
  const [token, setToken] = useState<string | null>(null);
  useEffect(() => {
    const found = new URLSearchParams(window.location.hash.slice(1)).get("token") ?? "";
    // It works once for whoever has it: it should not stay in the address bar, the history or a screenshot.
    if (found) window.history.replaceState(null, "", window.location.pathname);
    setToken((known) => found || known || "");
  }, []);
  const preview = useQuery({
    queryKey: ["invitation", token],
    queryFn: () => unwrap(api.POST("/v1/invitations/preview", { body: { token: token ?? "" } })),
    enabled: Boolean(token),
    retry: false,
    staleTime: Infinity,
  });
  return (
    <main className="mx-auto grid min-h-dvh w-full max-w-sm content-center gap-7 px-5 py-16">
      <div className="grid gap-5">
        <Mark className="size-9" />
        <div className="grid gap-1.5">
          <h1 className="text-2xl font-semibold">
            {preview.data ? `Join “${preview.data.dataset}”` : "Join a dataset"}
          </h1>
          <p className="text-pretty text-muted-foreground">
            {preview.data &&
              `${preview.data.invited_by} invites ${preview.data.email} ` +
                `as ${ROLE_NAMES[preview.data.role].toLowerCase()}.`}
            {token === "" && "Open the link of your invitation; this address alone invites nobody."}
            {preview.isLoading && "Opening your invitation…"}
          </p>
        </div>
      </div>
      {preview.error && <ProblemNotice error={preview.error} />}
      {preview.data && token && <Ways preview={preview.data} token={token} />}
    </main>
  );
}

/** As whoever is signed in; else by signing in, where there is an account; else by making one. */
function Ways({ preview, token }: { preview: InvitationPreview; token: string }) {
  const session = useSession();
  const router = useRouter();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const signedIn = session !== undefined && isLive(session);
  const join = useMutation({
    mutationFn: () => {
      if (!signedIn) endSession(); // one that has run out would be sent along and refused
      const body = { token, name, password: signedIn ? undefined : password };
      return unwrap(api.POST("/v1/invitations/accept", { body }));
    },
    onSuccess: (joined) => {
      if (joined.access_token !== null && joined.expires_in !== null) {
        beginSession({
          access_token: joined.access_token,
          expires_in: joined.expires_in,
          token_type: "bearer",
          user: joined.user,
        });
      }
      queries.clear();
      router.replace(`/dataset?id=${joined.dataset_id}`);
    },
  });
  if (!signedIn && preview.account) {
    return (
      <div className="grid gap-4">
        <p className="text-sm">You have an account here: sign in to join.</p>
        <SignInForm email={preview.email} />
      </div>
    );
  }
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        join.mutate();
      }}
    >
      {!signedIn && (
        <>
          <Field label="Email">{(control) => <Input {...control} readOnly value={preview.email} />}</Field>
          <Field label="Name" hint="As others see you.">
            {(control) => (
              <Input
                {...control}
                autoComplete="name"
                maxLength={200}
                value={name}
                onChange={(event) => setName(event.target.value)}
              />
            )}
          </Field>
          <Field label="Password" hint="12 characters or more.">
            {(control) => (
              <Input
                {...control}
                type="password"
                autoComplete="new-password"
                required
                minLength={12}
                maxLength={1024}
                value={password}
                onChange={(event) => setPassword(event.target.value)}
              />
            )}
          </Field>
        </>
      )}
      {join.error && <ProblemNotice error={join.error} />}
      <Button type="submit" disabled={join.isPending}>
        {join.isPending ? "Joining…" : signedIn ? `Join as ${session.user.email}` : "Make the account and join"}
      </Button>
    </form>
  );
}
