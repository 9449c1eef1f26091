"use client";

import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { ActivityList } from "@/components/metrics/activity-list";
import { Calibration, Chart, type Row, Stacked } from "@/components/metrics/charts";
import { DriftCard } from "@/components/metrics/drift-card";
import { ProblemNotice } from "@/components/shell/problem";
import { Label } from "@/components/ui/label";
import { NativeSelect } from "@/components/ui/native-select";
import { Skeleton } from "@/components/ui/skeleton";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/components/ui/table";
import { DAY, type DatasetMetrics, HOUR, metricsQuery } from "@/lib/api/metrics";
import type { Dataset } from "@/lib/api/types";
import { stateColor } from "@/components/labels/state-bar";
import { count, duration, percent, quantity, usd } from "@/lib/format";
import { STATE_NAMES, STATES } from "@/lib/labels";

const BUCKETS = { "an hour": HOUR, "a day": DAY, "a week": 7 * DAY };
const SHARE = (value: number | null) => (value === null ? "–" : percent(value));
const USD = (value: number | null) => (value === null ? "–" : usd(value));

/** How the work goes: rates, people, models, what it costs, and what changed. */
export default function MetricsTab({ dataset }: { dataset: Dataset }) {
  const [bucket, setBucket] = useState(DAY);
  const { data, error } = useQuery(metricsQuery(dataset.id, bucket));
  if (error) return <ProblemNotice error={error} />;
  if (!data) return <Skeleton className="h-64" />;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-8 pt-2">
      <section aria-label="At a glance" className="grid gap-3">
        <dl className="grid grid-cols-2 gap-3 lg:grid-cols-4">
          <Figure name="Verified" value={SHARE(data.verified_rate)} more={`of ${quantity(data.items, "item")}`} />
          <Figure name="Drafts changed by people" value={SHARE(data.edit_rate)} more="of first answers" />
          <Figure name="Cost of a verified label" value={USD(data.usd_per_verified)} more="by models" />
          <Figure
            name="Drift"
            value={data.drift ? data.drift.score.toFixed(2) : "–"}
            more={data.drift ? (data.drift.alarm ? "alarm: 1 is the threshold" : "1 is the threshold") : "not watched"}
          />
        </dl>
        {data.span.behind && (
          <p role="status" className="text-[0.8125rem] text-muted-foreground">
            The newest answers are not counted yet.
          </p>
        )}
      </section>

      <section aria-label="Over time" className="grid gap-3">
        <div className="flex flex-wrap items-center justify-between gap-3">
          <h2 className="text-base font-semibold">Over time</h2>
          <Label className="font-normal">
            A point for
            <NativeSelect value={bucket} onChange={(event) => setBucket(Number(event.target.value))}>
              {Object.entries(BUCKETS).map(([name, seconds]) => (
                <option key={name} value={seconds}>
                  {name}
                </option>
              ))}
            </NativeSelect>
          </Label>
        </div>
        <div className="grid grid-cols-[minmax(0,1fr)] gap-3 lg:grid-cols-2">
          <AnswersChart data={data} bucket={bucket} />
          <StatesChart data={data} bucket={bucket} />
        </div>
      </section>

      <Models data={data} />
      <People data={data} />
      <Sight data={data} />
      {data.conflicts.length > 0 && <Conflicts data={data} />}
      <DriftCard dataset={dataset} />
      {dataset.role !== "annotator" && <ActivityList dataset={dataset} />}
    </div>
  );
}

function Figure({ name, value, more }: { name: string; value: string; more: string }) {
  return (
    <div className="panel grid gap-0.5 p-4">
      <dt className="text-[0.8125rem] text-muted-foreground">{name}</dt>
      <dd className="tabular text-2xl font-semibold">{value}</dd>
      <dd className="text-[0.8125rem] text-muted-foreground">{more}</dd>
    </div>
  );
}

/** "21 Nov", or with the hour where a point is shorter than a day. */
function when(iso: string, bucket: number): string {
  const options: Intl.DateTimeFormatOptions =
    bucket < DAY ? { day: "numeric", month: "short", hour: "2-digit" } : { day: "numeric", month: "short", timeZone: "UTC" };
  return new Intl.DateTimeFormat("en-GB", options).format(new Date(iso));
}

function AnswersChart({ data, bucket }: { data: DatasetMetrics; bucket: number }) {
  const sums = new Map<string, number>();
  for (const point of data.work) sums.set(point.at, (sums.get(point.at) ?? 0) + point.answers);
  const rows: Row[] = [...sums].map(([at, answers]) => ({ at: when(at, bucket), answers }));
  const total = [...sums.values()].reduce((sum, n) => sum + n, 0);
  return (
    <Chart title="Answers" words={`${quantity(total, "answer")} in ${quantity(rows.length, "point")}`}>
      <Stacked rows={rows} series={[{ key: "answers", name: "answers", color: "var(--brand)" }]} />
    </Chart>
  );
}

/** A state that does not change in a point has the count it had before. */
function StatesChart({ data, bucket }: { data: DatasetMetrics; bucket: number }) {
  let standing: Record<string, number> = {};
  const rows: Row[] = data.states_over_time.map((point) => {
    standing = { ...standing, ...point.states };
    return { at: when(point.at, bucket), ...standing };
  });
  const present = STATES.filter((state) => rows.some((row) => Number(row[state] ?? 0) > 0));
  const words = present.map((state) => `${count(data.states[state] ?? 0)} ${STATE_NAMES[state].toLowerCase()}`).join(", ");
  return (
    <Chart title="Items by state" words={words || "no items"}>
      <Stacked
        rows={rows}
        series={present.map((state) => ({ key: state, name: STATE_NAMES[state], color: stateColor(state) }))}
      />
    </Chart>
  );
}

function Models({ data }: { data: DatasetMetrics }) {
  const [chosen, setChosen] = useState<string | null>(null);
  if (data.costs.length === 0) return <Empty title="Models" words="No model has drafted anything yet." />;
  const shown = data.quality.find((one) => one.model === chosen) ?? data.quality[0];
  return (
    <section aria-label="Models" className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <h2 className="text-base font-semibold">Models</h2>
      <Panel
        label="Models"
        heads={["Model", "Drafts", "Judged", "Changed", "Calibration error", "Cost", "A verified label"]}
        rows={data.costs.map((cost) => {
          const quality = data.quality.find((one) => one.model === cost.model);
          return [
            cost.model,
            count(cost.drafts),
            count(quality?.judged ?? 0),
            SHARE(quality?.edit_rate ?? null),
            quality?.ece == null ? "–" : quality.ece.toFixed(3),
            usd(cost.usd),
            USD(cost.usd_per_verified),
          ];
        })}
      />
      {shown && shown.curve.length > 0 && (
        <div className="grid gap-3 lg:grid-cols-2">
          <Chart
            title="Probability claimed, and share that people kept"
            words={`${shown.model}, error ${shown.ece?.toFixed(3) ?? "unknown"}`}
          >
            <Calibration points={shown.curve} />
          </Chart>
          <Chart title="Judged drafts by probability" words={`${quantity(shown.judged, "draft")} of ${shown.model}`}>
            <Stacked
              rows={shown.curve.map((bin) => ({
                at: `${Math.round(bin.low * 100)} %`,
                kept: bin.kept,
                changed: bin.judged - bin.kept,
              }))}
              series={[
                { key: "kept", name: "kept", color: "var(--state-verified)" },
                { key: "changed", name: "changed", color: "var(--state-returned)" },
              ]}
            />
          </Chart>
        </div>
      )}
      {data.quality.length > 1 && (
        <Label className="justify-self-start font-normal">
          Curve of
          <NativeSelect value={shown?.model} onChange={(event) => setChosen(event.target.value)}>
            {data.quality.map((one) => (
              <option key={one.model}>{one.model}</option>
            ))}
          </NativeSelect>
        </Label>
      )}
    </section>
  );
}

function People({ data }: { data: DatasetMetrics }) {
  if (data.people.length === 0) return null;
  const time = (ms: number | null) => (ms === null ? "–" : duration(ms / 1000));
  return (
    <section aria-label="Work of people" className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <h2 className="text-base font-semibold">Work of people</h2>
      <Panel
        label="Work of people"
        heads={["Person", "Answers", "Half take less than", "Nine in ten take less than"]}
        rows={data.people.map((one) => [one.name || one.email, count(one.answers), time(one.median_ms), time(one.p90_ms)])}
      />
    </section>
  );
}

const SHOWN = { blind: "nothing", plain: "the draft", hinted: "the draft and a hint" };

function Sight({ data }: { data: DatasetMetrics }) {
  const arms = data.hints.arms.filter((arm) => arm.answers > 0);
  if (arms.length === 0) return null;
  return (
    <section aria-label="What drafts and hints do" className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <h2 className="text-base font-semibold">What drafts and hints do</h2>
      <p className="text-[0.8125rem] text-pretty text-muted-foreground">{data.hints.note}</p>
      <Panel
        label="What drafts and hints do"
        heads={["In sight", "Answers", "Same as the draft", "Decided by others", "Right", "Hint followed"]}
        rows={arms.map((arm) => [
          SHOWN[arm.shown],
          count(arm.answers),
          SHARE(arm.kept),
          count(arm.decided),
          SHARE(arm.right),
          SHARE(arm.followed),
        ])}
      />
    </section>
  );
}

function Conflicts({ data }: { data: DatasetMetrics }) {
  return (
    <section aria-label="Conflicts by kind" className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <h2 className="text-base font-semibold">Conflicts by kind</h2>
      <Panel
        label="Conflicts by kind"
        heads={["Kind", "Open", "Resolved", "Dismissed"]}
        rows={data.conflicts.map((one) => [
          one.kind.replaceAll("_", " "),
          count(one.open),
          count(one.resolved),
          count(one.dismissed),
        ])}
      />
    </section>
  );
}

/** A table whose first column names the row and whose others are numbers. */
function Panel({ label, heads, rows }: { label: string; heads: string[]; rows: ReactNode[][] }) {
  return (
    <div className="panel">
      <Table aria-label={label}>
        <TableHeader>
          <TableRow>
            {heads.map((head, at) => (
              <TableHead key={head} className={at > 0 ? "text-right" : ""}>
                {head}
              </TableHead>
            ))}
          </TableRow>
        </TableHeader>
        <TableBody>
          {rows.map((row, index) => (
            <TableRow key={index}>
              {row.map((cell, at) => (
                <TableCell key={heads[at]} className={at > 0 ? "tabular text-right" : "font-medium"}>
                  {cell}
                </TableCell>
              ))}
            </TableRow>
          ))}
        </TableBody>
      </Table>
    </div>
  );
}

function Empty({ title, words }: { title: string; words: string }) {
  return (
    <section aria-label={title} className="grid gap-1">
      <h2 className="text-base font-semibold">{title}</h2>
      <p className="text-sm text-muted-foreground">{words}</p>
    </section>
  );
}
