import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/lib/api/client";
import type { paths } from "@/lib/api/schema";
import type { ItemState, Job } from "@/lib/api/types";

/** Everything that pages read, with its key, in one place, so that a change can say what it makes stale. */
export const keys = {
  datasets: ["datasets"] as const,
  dataset: (id: string) => ["dataset", id] as const,
  items: (dataset: string) => ["dataset", dataset, "items"] as const,
  jobs: (dataset: string) => ["dataset", dataset, "jobs"] as const,
  job: (id: string) => ["job", id] as const,
  item: (id: string) => ["item", id] as const,
  invitations: (dataset: string) => ["dataset", dataset, "invitations"] as const,
};

export const terminal = (job: Job): boolean => ["done", "failed", "cancelled"].includes(job.state);

export const datasetsQuery = () =>
  queryOptions({ queryKey: keys.datasets, queryFn: ({ signal }) => unwrap(api.GET("/v1/datasets", { signal })) });

export const datasetQuery = (id: string) =>
  queryOptions({
    queryKey: keys.dataset(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/datasets/{dataset_id}", { params: { path: { dataset_id: id } }, signal })),
    enabled: id !== "",
  });

export interface ItemFilters {
  states: ItemState[];
  label: string;
  q: string;
  sort: "seq" | "-seq" | "priority" | "probability" | "-probability" | "-updated";
}

export const itemsQuery = (dataset: string, filters: ItemFilters) =>
  infiniteQueryOptions({
    queryKey: [...keys.items(dataset), filters],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/datasets/{dataset_id}/items", {
          params: {
            path: { dataset_id: dataset },
            query: {
              state: filters.states.length ? filters.states : undefined,
              label: filters.label || undefined,
              q: filters.q.trim() || undefined,
              sort: filters.sort,
              cursor: pageParam || undefined,
              limit: 50,
            },
          },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    enabled: dataset !== "",
  });

export const jobsQuery = (dataset: string) =>
  queryOptions({
    queryKey: keys.jobs(dataset),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/datasets/{dataset_id}/jobs", {
          params: { path: { dataset_id: dataset }, query: { limit: 50 } },
          signal,
        }),
      ),
    refetchInterval: (query) => (query.state.data?.some((job) => !terminal(job)) ? 1500 : false),
    enabled: dataset !== "",
  });

export const jobQuery = (id: string) =>
  queryOptions({
    queryKey: keys.job(id),
    queryFn: ({ signal }) => unwrap(api.GET("/v1/jobs/{job_id}", { params: { path: { job_id: id } }, signal })),
    enabled: id !== "",
  });

export const rejectionsQuery = (job: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.job(job), "rejections"],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/jobs/{job_id}/rejections", {
          params: { path: { job_id: job }, query: { after: pageParam, limit: 50 } },
          signal,
        }),
      ),
    initialPageParam: 0,
    getNextPageParam: (page) => page.next ?? undefined,
  });

export const itemQuery = (id: string) =>
  queryOptions({
    queryKey: keys.item(id),
    queryFn: ({ signal }) => unwrap(api.GET("/v1/items/{item_id}", { params: { path: { item_id: id } }, signal })),
    enabled: id !== "",
  });

export const reviewsQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.item(id), "reviews"],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/items/{item_id}/reviews", { params: { path: { item_id: id } }, signal })),
  });

export const historyQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.item(id), "history"],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/items/{item_id}/history", { params: { path: { item_id: id } }, signal })),
    enabled: id !== "",
  });

export const similarQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.item(id), "similar"],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/items/{item_id}/similar", { params: { path: { item_id: id }, query: { limit: 4 } }, signal }),
      ),
    enabled: id !== "",
  });

/** Asked for once an item: every hint is kept, to be compared with the answer. */
export const hintQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.item(id), "hint"],
    queryFn: ({ signal }) => unwrap(api.GET("/v1/items/{item_id}/hints", { params: { path: { item_id: id } }, signal })),
    enabled: id !== "",
    staleTime: Infinity,
    retry: false,
  });

export const chatQuery = (dataset: string, item: string | null) =>
  queryOptions({
    queryKey: ["dataset", dataset, "chat", item],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/datasets/{dataset_id}/chat", {
          params: { path: { dataset_id: dataset }, query: { item: item ?? undefined, limit: 50 } },
          signal,
        }),
      ),
    enabled: dataset !== "",
  });

export interface ConflictFilters {
  kind: NonNullable<ConflictQuery["kind"]>[number] | "";
  state: NonNullable<ConflictQuery["state"]>[number];
}

type ConflictQuery = NonNullable<paths["/v1/datasets/{dataset_id}/conflicts"]["get"]["parameters"]["query"]>;

export const conflictsQuery = (dataset: string, filters: ConflictFilters) =>
  infiniteQueryOptions({
    queryKey: [...keys.dataset(dataset), "conflicts", filters],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/v1/datasets/{dataset_id}/conflicts", {
          params: {
            path: { dataset_id: dataset },
            query: {
              kind: filters.kind ? [filters.kind] : undefined,
              state: [filters.state],
              cursor: pageParam || undefined,
              limit: 50,
            },
          },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

export const scanEstimateQuery = (dataset: string, adjudicate: number) =>
  queryOptions({
    queryKey: ["dataset", dataset, "estimate", "quality_scan", adjudicate],
    queryFn: ({ signal }) =>
      unwrap(
        api.POST("/v1/datasets/{dataset_id}/jobs/estimate", {
          params: { path: { dataset_id: dataset } },
          body: { kind: "quality_scan", params: { adjudicate } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    gcTime: 0,
  });

export const conflictQuery = (id: string) =>
  queryOptions({
    queryKey: ["conflict", id],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/conflicts/{conflict_id}", { params: { path: { conflict_id: id } }, signal })),
    gcTime: 0,
  });

export const modelsQuery = () =>
  queryOptions({
    queryKey: ["models"],
    queryFn: ({ signal }) => unwrap(api.GET("/v1/models", { signal })),
    staleTime: 60_000,
  });

export const estimateQuery = (dataset: string, model: string) =>
  queryOptions({
    queryKey: ["dataset", dataset, "estimate", model],
    queryFn: ({ signal }) =>
      unwrap(
        api.POST("/v1/datasets/{dataset_id}/jobs/estimate", {
          params: { path: { dataset_id: dataset } },
          body: { kind: "prelabel", params: { model } },
          signal,
        }),
      ),
    enabled: dataset !== "" && model !== "",
    gcTime: 0,
  });

export const membersQuery = (dataset: string) =>
  queryOptions({
    queryKey: [...keys.dataset(dataset), "members"],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/datasets/{dataset_id}/members", { params: { path: { dataset_id: dataset } }, signal })),
  });

export const invitationsQuery = (dataset: string) =>
  queryOptions({
    queryKey: keys.invitations(dataset),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/datasets/{dataset_id}/invitations", { params: { path: { dataset_id: dataset } }, signal })),
  });

export const scorecardQuery = (dataset: string) =>
  queryOptions({
    queryKey: [...keys.dataset(dataset), "scorecard"],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/datasets/{dataset_id}/scorecards/me", { params: { path: { dataset_id: dataset } }, signal })),
  });

export const scorecardsQuery = (dataset: string) =>
  queryOptions({
    queryKey: [...keys.dataset(dataset), "scorecards"],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/datasets/{dataset_id}/scorecards", { params: { path: { dataset_id: dataset } }, signal })),
  });

export const serviceTokensQuery = (dataset: string) =>
  queryOptions({
    queryKey: [...keys.dataset(dataset), "tokens"],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/datasets/{dataset_id}/tokens", { params: { path: { dataset_id: dataset } }, signal })),
  });
