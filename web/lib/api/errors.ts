import type { components } from "@/lib/api/schema";

export type Problem = components["schemas"]["Problem"];

/** What the server said (RFC 9457), or `unreachable` when it said nothing. `code` is stable, `hint` says what to do. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly hint: string;
  readonly retryAfter: number | null;

  constructor(problem: Partial<Problem> & { detail: string }, retryAfter: number | null = null) {
    super(problem.detail);
    this.name = "ApiError";
    this.code = problem.code ?? "internal";
    this.status = problem.status ?? 0;
    this.detail = problem.detail;
    this.hint = problem.hint ?? "";
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later without anybody changing anything. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export function unreachable(): ApiError {
  return new ApiError({
    code: "unreachable",
    status: 0,
    detail: "The server cannot be reached.",
    hint: "Check that it is running and that you are online.",
  });
}

export async function errorOf(response: Response, body: unknown): Promise<ApiError> {
  const after = Number(response.headers.get("Retry-After"));
  const problem = body as Partial<Problem> | undefined;
  return new ApiError(
    {
      ...(typeof problem === "object" ? problem : {}),
      status: response.status,
      detail: problem?.detail || problem?.title || `The server answered with status ${response.status}.`,
    },
    Number.isFinite(after) && after > 0 ? after : null,
  );
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError({ detail: error instanceof Error ? error.message : String(error) });
}
