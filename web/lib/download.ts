import { errorOf, unreachable } from "@/lib/api/errors";
import { expireSession, getSession } from "@/lib/api/session";

/** Fetches a file with the session's token and hands it to the browser to keep. Returns its size in bytes. */
export async function download(path: string, fallbackName: string): Promise<number> {
  const token = getSession()?.token ?? "";
  const response = await fetch(path, { headers: { Authorization: `Bearer ${token}` } }).catch(() => {
    throw unreachable();
  });
  if (response.status === 401) expireSession(token);
  if (!response.ok) throw await errorOf(response, await response.json().catch(() => undefined));
  const blob = await response.blob();
  const named = /filename="?([^";]+)"?/.exec(response.headers.get("Content-Disposition") ?? "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = named?.[1] ?? fallbackName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return blob.size;
}
