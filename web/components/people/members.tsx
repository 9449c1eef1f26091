"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { UserPlus } from "lucide-react";
import { InviteDialog } from "@/components/people/invite-dialog";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { NativeSelect } from "@/components/ui/native-select";
import { Skeleton } from "@/components/ui/skeleton";
import { api, unwrap } from "@/lib/api/client";
import { invitationsQuery, keys, membersQuery } from "@/lib/api/queries";
import { useSession } from "@/lib/api/session";
import type { Dataset, Invitation, Member, Role } from "@/lib/api/types";
import { ago, moment } from "@/lib/format";
import { ROLE_NAMES, ROLES } from "@/lib/people";

export function Members({ dataset }: { dataset: Dataset }) {
  const admin = dataset.role === "admin";
  const members = useQuery(membersQuery(dataset.id));
  const invitations = useQuery({ ...invitationsQuery(dataset.id), enabled: admin });
  const open = invitations.data?.filter((invitation) => invitation.state === "open") ?? [];
  return (
    <section aria-label="Members" className="grid gap-3">
      <div className="flex items-center justify-between gap-4">
        <h2 className="text-base font-semibold">Members</h2>
        {admin && (
          <InviteDialog dataset={dataset.id}>
            <Button variant="outline" size="sm">
              <UserPlus aria-hidden /> Invite
            </Button>
          </InviteDialog>
        )}
      </div>
      {members.error && <ProblemNotice error={members.error} />}
      {!members.data && !members.error && <Skeleton className="h-24" />}
      {members.data && (
        <ul className="panel divide-y">
          {members.data.map((member) => (
            <MemberRow key={member.user_id} dataset={dataset} member={member} />
          ))}
        </ul>
      )}
      {open.length > 0 && (
        <>
          <h3 className="text-sm font-medium">Invited</h3>
          <ul aria-label="Invited" className="panel divide-y">
            {open.map((invitation) => (
              <InvitationRow key={invitation.id} invitation={invitation} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

const row = "flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-2.5 text-sm";

function MemberRow({ dataset, member }: { dataset: Dataset; member: Member }) {
  const session = useSession();
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: keys.dataset(dataset.id) });
  const path = { dataset_id: dataset.id };
  const change = useMutation({
    mutationFn: (role: Role) =>
      unwrap(
        api.PUT("/v1/datasets/{dataset_id}/members", { params: { path }, body: { email: member.email, role } }),
      ),
    onSettled: refresh,
  });
  const remove = useMutation({
    mutationFn: () =>
      unwrap(
        api.DELETE("/v1/datasets/{dataset_id}/members/{user_id}", {
          params: { path: { ...path, user_id: member.user_id } },
        }),
      ),
    onSettled: refresh,
  });
  const name = member.name || member.email;
  const admin = dataset.role === "admin";
  const self = session?.user.id === member.user_id;
  const problem = change.error ?? remove.error;
  return (
    <li className={row}>
      <span className="min-w-0 flex-1 basis-48">
        <span className="block truncate font-medium">
          {name}
          {self && <span className="font-normal text-muted-foreground"> (you)</span>}
        </span>
        <span className="block truncate text-[0.8125rem] text-muted-foreground">
          {[
            member.kind === "service" ? "service account" : member.email,
            !member.active && "switched off",
            ...member.skills,
          ]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </span>
      {admin ? (
        <>
          <NativeSelect
            aria-label={`Role of ${name}`}
            value={member.role}
            disabled={change.isPending}
            onChange={(event) => change.mutate(event.target.value as Role)}
          >
            {ROLES.map((role) => (
              <option key={role} value={role}>
                {ROLE_NAMES[role]}
              </option>
            ))}
          </NativeSelect>
          <Button
            variant="ghost"
            size="sm"
            aria-label={`Remove ${name}`}
            disabled={remove.isPending}
            onClick={() => {
              if (window.confirm(`Remove ${name}? Their answers stay; what they hold goes back into the queue.`)) {
                remove.mutate();
              }
            }}
          >
            Remove
          </Button>
        </>
      ) : (
        <span>{ROLE_NAMES[member.role]}</span>
      )}
      {problem && (
        <div className="basis-full">
          <ProblemNotice error={problem} />
        </div>
      )}
    </li>
  );
}

function InvitationRow({ invitation }: { invitation: Invitation }) {
  const queries = useQueryClient();
  const withdraw = useMutation({
    mutationFn: () =>
      unwrap(
        api.DELETE("/v1/datasets/{dataset_id}/invitations/{invitation_id}", {
          params: { path: { dataset_id: invitation.dataset_id, invitation_id: invitation.id } },
        }),
      ),
    onSettled: () => queries.invalidateQueries({ queryKey: keys.invitations(invitation.dataset_id) }),
  });
  return (
    <li className={row}>
      <span className="min-w-0 flex-1 basis-48">
        <span className="block truncate font-medium">{invitation.email}</span>
        <span className="block text-[0.8125rem] text-muted-foreground">
          {ago(invitation.created_at)}; the link works until {moment(invitation.expires_at)}
        </span>
      </span>
      <span>{ROLE_NAMES[invitation.role]}</span>
      <Button
        variant="ghost"
        size="sm"
        aria-label={`Withdraw the invitation of ${invitation.email}`}
        disabled={withdraw.isPending}
        onClick={() => withdraw.mutate()}
      >
        Withdraw
      </Button>
      {withdraw.error && (
        <div className="basis-full">
          <ProblemNotice error={withdraw.error} />
        </div>
      )}
    </li>
  );
}
