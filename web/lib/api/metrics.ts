import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Readable } from "openapi-typescript-helpers";
import { api, unwrap } from "@/lib/api/client";
import { keys } from "@/lib/api/queries";
import type { components } from "@/lib/api/schema";

type Schemas = Readable<components["schemas"]>;

export type DatasetMetrics = Schemas["DatasetMetrics"];
export type DriftReport = Schemas["DriftReport"];
export type ModelQuality = Schemas["ModelQuality"];
export type ActivityEvent = Schemas["Event"];

export const HOUR = 3_600;
export const DAY = 86_400;

export const metricsQuery = (dataset: string, bucket: number) =>
  queryOptions({
    queryKey: [...keys.dataset(dataset), "metrics", bucket],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/datasets/{dataset_id}/metrics", {
          params: { path: { dataset_id: dataset }, query: { bucket } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });

export const driftQuery = (dataset: string) =>
  queryOptions({
    queryKey: [...keys.dataset(dataset), "drift"],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/datasets/{dataset_id}/drift", { params: { path: { dataset_id: dataset } }, signal })),
  });

const PAGE = 50;

/** The audit log, newest first, a page at a time. */
export const activityQuery = (dataset: string, kind: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.dataset(dataset), "activity", kind],
    queryFn: async ({ pageParam, signal }) => {
      const events = await unwrap(
        api.GET("/v1/datasets/{dataset_id}/activity", {
          params: {
            path: { dataset_id: dataset },
            query: { kind: kind ? [kind] : undefined, before: pageParam || undefined, limit: PAGE },
          },
          signal,
        }),
      );
      return events.toReversed();
    },
    initialPageParam: 0,
    getNextPageParam: (page) => (page.length === PAGE ? page.at(-1)?.id : undefined),
  });
