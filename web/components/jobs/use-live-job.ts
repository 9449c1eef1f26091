import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { asApiError } from "@/lib/api/errors";
import { serverEvents } from "@/lib/api/events";
import { jobQuery, keys, terminal } from "@/lib/api/queries";
import { useSession } from "@/lib/api/session";
import type { Job } from "@/lib/api/types";

const AGAIN_MS = 2_000;

/** A job as it is now, and again whenever it changes. `lost` says that the connection has broken and is tried again. */
export function useLiveJob(id: string): { job: Job | undefined; error: unknown; lost: boolean } {
  const queries = useQueryClient();
  const token = useSession()?.token;
  const { data: job, error } = useQuery({ ...jobQuery(id), staleTime: Number.POSITIVE_INFINITY });
  const [lost, setLost] = useState(false);
  const live = job !== undefined && !terminal(job);

  useEffect(() => {
    if (!live || !token) return;
    const stop = new AbortController();
    const follow = async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const { event, data } of serverEvents(`/v1/jobs/${id}/events`, stop.signal)) {
            setLost(false);
            if (event === "job") queries.setQueryData(keys.job(id), JSON.parse(data) as Job);
          }
        } catch (caught) {
          if (stop.signal.aborted) return;
          setLost(true);
          if (!asApiError(caught).passing) return;
        }
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    };
    void follow();
    return () => stop.abort();
  }, [id, live, queries, token]);

  return { job, error, lost: lost && live };
}
