import createClient, { type Middleware } from "openapi-fetch";
import { errorOf, unreachable } from "@/lib/api/errors";
import type { paths } from "@/lib/api/schema";
import { expireSession, getSession } from "@/lib/api/session";

const bearer: Middleware = {
  onRequest({ request }) {
    const session = getSession();
    if (session && !request.headers.has("Authorization")) {
      request.headers.set("Authorization", `Bearer ${session.token}`);
    }
    return request;
  },
  onResponse({ request, response }) {
    if (response.status === 401 && !request.url.endsWith("/v1/auth/token")) {
      expireSession(request.headers.get("Authorization")?.replace("Bearer ", "") ?? "");
    }
    return response;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return error;
    return unreachable();
  },
};

/** The typed client. Paths, parameters and answers come from web/openapi.json by `npm run api`. */
export const api = createClient<paths>();
api.use(bearer);

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's body, or an {@link ApiError} thrown. */
export async function unwrap<T>(answer: Promise<Answered<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw await errorOf(response, error);
  return data as T;
}
