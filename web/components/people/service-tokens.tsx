"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { NewSecret, NewTokenDialog } from "@/components/people/new-token-dialog";
import { ProblemNotice } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";
import { api, unwrap } from "@/lib/api/client";
import { keys, serviceTokensQuery } from "@/lib/api/queries";
import type { ServiceToken } from "@/lib/api/types";
import { ago, moment } from "@/lib/format";
import { ROLE_NAMES } from "@/lib/people";

/** The tokens of programs that still work, for admins. */
export function ServiceTokens({ dataset }: { dataset: string }) {
  const { data, error } = useQuery(serviceTokensQuery(dataset));
  const working = data?.filter((token) => token.state === "active" || token.state === "replaced") ?? [];
  return (
    <section aria-label="Service tokens" className="grid gap-3">
      <div className="flex items-center justify-between gap-4">
        <h2 className="text-base font-semibold">Service tokens</h2>
        <NewTokenDialog dataset={dataset}>
          <Button variant="outline" size="sm">
            <KeyRound aria-hidden /> New token
          </Button>
        </NewTokenDialog>
      </div>
      {error && <ProblemNotice error={error} />}
      {data && working.length === 0 && (
        <p className="text-sm text-muted-foreground">None. A program that works here should have one of its own.</p>
      )}
      {working.length > 0 && (
        <ul className="panel divide-y">
          {working.map((token) => (
            <TokenRow key={token.id} dataset={dataset} token={token} />
          ))}
        </ul>
      )}
    </section>
  );
}

function TokenRow({ dataset, token }: { dataset: string; token: ServiceToken }) {
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: keys.dataset(dataset) });
  const path = { dataset_id: dataset, token_id: token.id };
  const renew = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/v1/datasets/{dataset_id}/tokens/{token_id}/renew", {
          params: { path },
          body: { grace_hours: 24 },
        }),
      ),
    onSettled: refresh,
  });
  const revoke = useMutation({
    mutationFn: () => unwrap(api.DELETE("/v1/datasets/{dataset_id}/tokens/{token_id}", { params: { path } })),
    onSettled: refresh,
  });
  const problem = renew.error ?? revoke.error;
  const facts = [
    `lc_…${token.ending}`,
    token.role ? ROLE_NAMES[token.role].toLowerCase() : "no member any more",
    token.scopes.join(", "),
    token.last_used_at ? `used ${ago(token.last_used_at)}` : "never used",
    `${token.state === "replaced" ? "replaced, works" : "works"} until ${moment(token.expires_at)}`,
  ];
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-2.5 text-sm">
      <span className="min-w-0 flex-1 basis-48">
        <span className="block truncate font-medium">{token.name}</span>
        <span className="block text-[0.8125rem] text-pretty text-muted-foreground">{facts.join(" · ")}</span>
      </span>
      {token.state === "active" && (
        <Button
          variant="ghost"
          size="sm"
          aria-label={`Replace the token of ${token.name}`}
          disabled={renew.isPending}
          onClick={() => renew.mutate()}
        >
          Replace
        </Button>
      )}
      <Button
        variant="ghost"
        size="sm"
        aria-label={`Revoke the token lc_…${token.ending} of ${token.name}`}
        disabled={revoke.isPending}
        onClick={() => {
          if (window.confirm(`Revoke the token of ${token.name}? Programs that use it are refused at once.`)) {
            revoke.mutate();
          }
        }}
      >
        Revoke
      </Button>
      {renew.data && (
        <div className="basis-full">
          <NewSecret token={renew.data.token} expires={renew.data.expires_at} />
        </div>
      )}
      {problem && (
        <div className="basis-full">
          <ProblemNotice error={problem} />
        </div>
      )}
    </li>
  );
}
