import { errorOf, unreachable } from "@/lib/api/errors";
import { expireSession, getSession } from "@/lib/api/session";

export interface ServerEvent {
  event: string;
  data: string;
}

/**
 * Server-sent events read from a fetch: the browser's own EventSource cannot send an Authorization header.
 * With a body it is sent as JSON by POST. Ends when the server ends the stream; throws an ApiError when it refuses, or cannot be reached.
 */
export async function* serverEvents(
  path: string,
  signal: AbortSignal,
  body?: Record<string, unknown>,
): AsyncGenerator<ServerEvent> {
  const token = getSession()?.token ?? "";
  const response = await fetch(path, {
    signal,
    method: body ? "POST" : "GET",
    body: body ? JSON.stringify(body) : undefined,
    headers: {
      Accept: "text/event-stream",
      Authorization: `Bearer ${token}`,
      ...(body ? { "Content-Type": "application/json" } : {}),
    },
  }).catch((error: unknown) => {
    throw signal.aborted ? error : unreachable();
  });
  if (response.status === 401) expireSession(token);
  if (!response.ok || !response.body) throw await errorOf(response, await response.json().catch(() => undefined));
  let event = "message";
  let data: string[] = [];
  for await (const line of lines(response.body)) {
    if (line === "") {
      if (data.length > 0) yield { event, data: data.join("\n") };
      event = "message";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const parts = rest.split(/\r\n|\n|\r(?!$)/);
      rest = parts.pop() ?? "";
      yield* parts;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
