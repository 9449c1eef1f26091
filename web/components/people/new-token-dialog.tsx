"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useId, useState } from "react";
import { CopyText } from "@/components/people/copy-text";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import {
  Dialog,
  DialogContent,
  DialogDescription,
  DialogFooter,
  DialogHeader,
  DialogTitle,
  DialogTrigger,
} from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import { NativeSelect } from "@/components/ui/native-select";
import { api, unwrap } from "@/lib/api/client";
import { keys } from "@/lib/api/queries";
import type { Role, Scope } from "@/lib/api/types";
import { moment } from "@/lib/format";
import { ROLE_NAMES, ROLES, SCOPES } from "@/lib/people";

export function NewTokenDialog({ dataset, children }: { dataset: string; children: ReactNode }) {
  return (
    <Dialog>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent>
        <DialogHeader>
          <DialogTitle>New service token</DialogTitle>
          <DialogDescription>
            For a program: it may do what both its role here and its scopes allow, and never hands out access.
          </DialogDescription>
        </DialogHeader>
        <TokenForm dataset={dataset} />
      </DialogContent>
    </Dialog>
  );
}

function TokenForm({ dataset }: { dataset: string }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("admin");
  const [scopes, setScopes] = useState<Scope[]>(["read"]);
  const [days, setDays] = useState("90");
  const id = useId();
  const queries = useQueryClient();
  const make = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/v1/datasets/{dataset_id}/tokens", {
          params: { path: { dataset_id: dataset } },
          body: { name, role, scopes, days: Number(days) },
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: keys.dataset(dataset) }),
  });
  if (make.data) return <NewSecret token={make.data.token} expires={make.data.expires_at} />;
  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <Field label="Name" hint="What it is for.">
        {(control) => (
          <Input {...control} required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Role">
          {(control) => (
            <NativeSelect
              {...control}
              className="w-full"
              value={role}
              onChange={(event) => setRole(event.target.value as Role)}
            >
              {ROLES.map((one) => (
                <option key={one} value={one}>
                  {ROLE_NAMES[one]}
                </option>
              ))}
            </NativeSelect>
          )}
        </Field>
        <Field label="Days">
          {(control) => (
            <Input
              {...control}
              type="number"
              required
              min={1}
              max={366}
              value={days}
              onChange={(event) => setDays(event.target.value)}
            />
          )}
        </Field>
      </div>
      <fieldset className="grid gap-2.5">
        <legend className="mb-2.5 text-sm font-medium">Scopes</legend>
        {(Object.keys(SCOPES) as Scope[]).map((scope) => (
          <Label key={scope} htmlFor={`${id}-${scope}`} className="items-start leading-snug font-normal">
            <Checkbox
              id={`${id}-${scope}`}
              checked={scopes.includes(scope)}
              onCheckedChange={(on) => setScopes(on ? [...scopes, scope] : scopes.filter((other) => other !== scope))}
            />
            <span>
              <span className="font-medium">{scope}</span>: {SCOPES[scope]}
            </span>
          </Label>
        ))}
      </fieldset>
      {make.error && <ProblemNotice error={make.error} />}
      <DialogFooter>
        <Button type="submit" disabled={make.isPending || scopes.length === 0}>
          {make.isPending ? "Making the token…" : "Make the token"}
        </Button>
      </DialogFooter>
    </form>
  );
}

/** A token's secret, which is nowhere but on the screen. */
export function NewSecret({ token, expires }: { token: string; expires: string }) {
  return (
    <div className="grid gap-3">
      <CopyText label="Token" text={token} />
      <p className="text-sm text-pretty text-muted-foreground">
        Works until {moment(expires)}. It is shown this once; only its last four characters are listed.
      </p>
    </div>
  );
}
