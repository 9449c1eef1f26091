import { serverEvents } from "@/lib/api/events";
import { api, unwrap } from "@/lib/api/client";
import { ApiError } from "@/lib/api/errors";
import type { ChatMessage, Proposal } from "@/lib/api/types";

/** An answer while it is being written. */
export interface Live {
  question: string;
  text: string;
  tools: string[];
  notices: string[];
  proposals: Proposal[];
  problem: ApiError | null;
  /** Set when the answer has ended: what the server kept of it. */
  kept: ChatMessage | null;
}

export const begin = (question: string): Live => ({
  question,
  text: "",
  tools: [],
  notices: [],
  proposals: [],
  problem: null,
  kept: null,
});

/** The answer to a question, grown by every event. Stops when the signal does: so does the spending. */
export async function* ask(
  dataset: string,
  question: string,
  item: string | null,
  signal: AbortSignal,
): AsyncGenerator<Live> {
  let live = begin(question);
  const body = { message: question, ...(item ? { item_id: item } : {}) };
  for await (const { event, data } of serverEvents(`/v1/datasets/${dataset}/chat`, signal, body)) {
    live = grown(live, event, JSON.parse(data));
    yield live;
  }
}

function grown(live: Live, event: string, data: unknown): Live {
  switch (event) {
    case "token":
      return { ...live, text: live.text + (data as { text: string }).text };
    case "tool":
      return { ...live, tools: [...live.tools, (data as { summary: string }).summary] };
    case "notice":
      return { ...live, notices: [...live.notices, (data as { text: string }).text] };
    case "proposal":
      return { ...live, proposals: [...live.proposals, data as Proposal] };
    case "error":
      return { ...live, problem: new ApiError(data as { code: string; detail: string; hint: string }) };
    case "done":
      return { ...live, kept: data as ChatMessage };
    default:
      return live;
  }
}

/** Carries a proposal out by the ordinary requests. */
export async function carryOut(dataset: string, proposal: Proposal): Promise<void> {
  const path = { dataset_id: dataset };
  if (proposal.kind === "add_guideline") {
    // The guidelines of now, not of when it was proposed: somebody may have changed them since.
    const now = await unwrap(api.GET("/v1/datasets/{dataset_id}", { params: { path } }));
    const guidelines = `${now.guidelines.trimEnd()}\n- ${proposal.line ?? ""}\n`.trimStart();
    await unwrap(api.PATCH("/v1/datasets/{dataset_id}", { params: { path }, body: { guidelines } }));
  } else if (proposal.kind === "start_job") {
    const body = proposal.job as { kind: "prelabel"; params: Record<string, never> };
    await unwrap(api.POST("/v1/datasets/{dataset_id}/jobs", { params: { path }, body }));
  } else if (proposal.item_id && proposal.payload) {
    const version = Number(proposal.request.body.labelset_version);
    await unwrap(
      api.PUT("/v1/items/{item_id}/annotation", {
        params: { path: { item_id: proposal.item_id } },
        body: { payload: proposal.payload, labelset_version: version },
      }),
    );
  }
}

export async function forget(dataset: string, item: string | null): Promise<void> {
  await unwrap(
    api.DELETE("/v1/datasets/{dataset_id}/chat", {
      params: { path: { dataset_id: dataset }, query: { item: item ?? undefined } },
    }),
  );
}
