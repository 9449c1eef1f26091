"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { CopyText } from "@/components/people/copy-text";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
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
import { NativeSelect } from "@/components/ui/native-select";
import { api, unwrap } from "@/lib/api/client";
import { keys } from "@/lib/api/queries";
import type { Role } from "@/lib/api/types";
import { moment } from "@/lib/format";
import { linkFromHere, ROLE_NAMES, ROLES, skillsOf } from "@/lib/people";

export function InviteDialog({ dataset, children }: { dataset: string; children: ReactNode }) {
  return (
    <Dialog>
      <DialogTrigger asChild>{children}</DialogTrigger>
      <DialogContent>
        <DialogHeader>
          <DialogTitle>Invite somebody</DialogTitle>
          <DialogDescription>You get a link that works once. Send it by whatever way you trust.</DialogDescription>
        </DialogHeader>
        <InviteForm dataset={dataset} />
      </DialogContent>
    </Dialog>
  );
}

function InviteForm({ dataset }: { dataset: string }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("annotator");
  const [skills, setSkills] = useState("");
  const queries = useQueryClient();
  const invite = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/v1/datasets/{dataset_id}/invitations", {
          params: { path: { dataset_id: dataset } },
          body: { email, role, skills: skillsOf(skills), days: 7 },
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: keys.invitations(dataset) }),
  });
  if (invite.data) {
    return (
      <div className="grid gap-4">
        <CopyText label="Link" text={linkFromHere(invite.data.url)} />
        <p className="text-sm text-pretty text-muted-foreground">
          For {invite.data.email}, until {moment(invite.data.expires_at)}. It is shown this once; inviting them again
          makes a new one.
        </p>
        <DialogFooter>
          <Button
            variant="outline"
            onClick={() => {
              invite.reset();
              setEmail("");
            }}
          >
            Invite somebody else
          </Button>
        </DialogFooter>
      </div>
    );
  }
  return (
    <form
      className="grid gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        invite.mutate();
      }}
    >
      <Field label="Email">
        {(control) => (
          <Input
            {...control}
            type="email"
            required
            autoComplete="off"
            maxLength={320}
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
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
        <Field label="Skills" hint="Languages, subjects; with commas.">
          {(control) => (
            <Input {...control} placeholder="none" value={skills} onChange={(event) => setSkills(event.target.value)} />
          )}
        </Field>
      </div>
      {invite.error && <ProblemNotice error={invite.error} />}
      <DialogFooter>
        <Button type="submit" disabled={invite.isPending}>
          {invite.isPending ? "Making the link…" : "Make the link"}
        </Button>
      </DialogFooter>
    </form>
  );
}
