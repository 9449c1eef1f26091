import type { Hold, Write } from "@/lib/annotate/outbox";
import { api, unwrap } from "@/lib/api/client";
import { getSession } from "@/lib/api/session";
import type { Claim, Dataset, Item, Lease } from "@/lib/api/types";

/** The queue's counter: what a sitting asks of the server. */
export class Desk {
  /** The server's clock less ours, in milliseconds. */
  #skew = 0;

  constructor(private readonly dataset: Dataset) {}

  async claim(count: number): Promise<Claim[]> {
    const answer = await api.POST("/v1/datasets/{dataset_id}/claim", {
      params: { path: { dataset_id: this.dataset.id } },
      body: { count: Math.min(100, count) },
    });
    const date = Date.parse(answer.response.headers.get("Date") ?? "");
    if (Number.isFinite(date)) this.#skew = date - Date.now();
    return (await unwrap(Promise.resolve(answer))).claims;
  }

  renew(lease: Lease): Promise<Lease> {
    return unwrap(
      api.POST("/v1/leases/{lease_id}/renew", {
        params: { path: { lease_id: lease.id } },
        body: { token: lease.token },
      }),
    );
  }

  /** When to renew: after half of the time that is left, by the server's clock. */
  renewalOf(lease: Lease): number {
    const full = (this.dataset.settings.lease_seconds ?? 600) * 1000;
    const left = Date.parse(lease.expires_at) - (Date.now() + this.#skew);
    return Date.now() + Math.min(full, Math.max(0, left)) / 2;
  }

  /** Gives a lease back while the page may be going away. */
  giveBack(lease: Lease) {
    const token = getSession()?.token;
    if (!token) return;
    // Plain fetch: `keepalive` lets the request outlive the page.
    void fetch(`/v1/leases/${lease.id}/release`, {
      method: "POST",
      keepalive: true,
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ token: lease.token }),
    }).catch(() => undefined);
  }

  async skip(write: Write & { kind: "skip" }, hold: Hold): Promise<void> {
    await unwrap(
      api.POST("/v1/leases/{lease_id}/release", {
        params: { path: { lease_id: hold.id } },
        body: { token: hold.token, skip_reason: write.reason },
      }),
    );
  }

  async submit(write: Write & { kind: "submit" }, hold: Hold | null): Promise<Item> {
    const submitted = await unwrap(
      api.PUT("/v1/items/{item_id}/annotation", {
        params: { path: { item_id: write.itemId } },
        body: {
          payload: write.payload,
          labelset_version: write.labelsetVersion,
          lease_id: hold?.id,
          token: hold?.token,
          lead_time_ms: write.leadTimeMs,
          key: write.key,
        },
      }),
    );
    return submitted.item;
  }

  undo(): Promise<Claim> {
    return unwrap(api.POST("/v1/datasets/{dataset_id}/undo", { params: { path: { dataset_id: this.dataset.id } } }));
  }
}
