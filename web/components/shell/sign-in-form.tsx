"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Input } from "@/components/ui/input";
import { api, unwrap } from "@/lib/api/client";
import { asApiError } from "@/lib/api/errors";
import { beginSession } from "@/lib/api/session";

export function SignInForm({ email: given = "", onDone }: { email?: string; onDone?: () => void }) {
  const [email, setEmail] = useState(given);
  const [password, setPassword] = useState("");
  const queries = useQueryClient();
  const signIn = useMutation({
    mutationFn: () => unwrap(api.POST("/v1/auth/token", { body: { grant: "password", email, password } })),
    onSuccess: (token) => {
      beginSession(token);
      void queries.invalidateQueries();
      onDone?.();
    },
  });
  const problem = signIn.error ? asApiError(signIn.error) : null;
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        signIn.mutate();
      }}
    >
      <Field label="Email">
        {(control) => (
          <Input
            {...control}
            type="email"
            autoComplete="username"
            required
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
        )}
      </Field>
      <Field label="Password" error={problem && `${problem.detail} ${problem.hint}`}>
        {(control) => (
          <Input
            {...control}
            type="password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        )}
      </Field>
      <Button type="submit" disabled={signIn.isPending}>
        {signIn.isPending ? "Signing in…" : "Sign in"}
      </Button>
    </form>
  );
}
