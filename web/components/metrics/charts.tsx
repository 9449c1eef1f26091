"use client";

import type { ReactNode } from "react";
import {
  Bar,
  BarChart,
  CartesianGrid,
  Line,
  LineChart,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import { compact, count } from "@/lib/format";

const INK = "var(--muted-foreground)";
const axis = { stroke: "var(--border)", tick: { fill: INK, fontSize: 12 }, tickLine: false };
const tooltip = {
  contentStyle: { background: "var(--surface)", border: "1px solid var(--border)", borderRadius: 8, fontSize: 13 },
  labelStyle: { color: INK },
};

/** A chart with its title and, for those who cannot see it, what it shows in words. */
export function Chart({ title, words, children }: { title: string; words: string; children: ReactNode }) {
  return (
    <figure className="panel grid gap-2 p-4">
      <figcaption className="text-sm font-medium">{title}</figcaption>
      <div role="img" aria-label={`${title}: ${words}`} className="h-52">
        <ResponsiveContainer width="100%" height="100%">
          {children}
        </ResponsiveContainer>
      </div>
    </figure>
  );
}

export interface Series {
  key: string;
  name: string;
  color: string;
}

export type Row = { at: string } & Record<string, number | string>;

/** Amounts on top of one another, over time. */
export function Stacked({ rows, series }: { rows: Row[]; series: Series[] }) {
  return (
    <BarChart data={rows} margin={{ left: -16, right: 4 }}>
      <CartesianGrid stroke="var(--border)" vertical={false} />
      <XAxis dataKey="at" {...axis} minTickGap={24} />
      <YAxis {...axis} allowDecimals={false} tickFormatter={compact} />
      <Tooltip {...tooltip} formatter={(value) => count(Number(value))} cursor={{ fill: "var(--accent)" }} />
      {series.map((one) => (
        <Bar key={one.key} dataKey={one.key} name={one.name} stackId="all" fill={one.color} maxBarSize={56} isAnimationActive={false} />
      ))}
    </BarChart>
  );
}

/** What was claimed against what was kept: on the diagonal they are the same. */
export function Calibration({ points }: { points: { probability: number; accepted: number; judged: number }[] }) {
  return (
    <LineChart data={points} margin={{ left: -16, right: 8 }}>
      <CartesianGrid stroke="var(--border)" />
      <XAxis dataKey="probability" type="number" domain={[0, 1]} {...axis} tickFormatter={(v) => `${Math.round(v * 100)} %`} />
      <YAxis domain={[0, 1]} {...axis} tickFormatter={(v) => `${Math.round(v * 100)} %`} />
      <ReferenceLine segment={[{ x: 0, y: 0 }, { x: 1, y: 1 }]} stroke={INK} strokeDasharray="4 4" />
      <Tooltip
        {...tooltip}
        labelFormatter={(value) => `claimed ${Math.round(Number(value) * 100)} %`}
        formatter={(value) => `${Math.round(Number(value) * 100)} %`}
      />
      <Line dataKey="accepted" name="kept" stroke="var(--brand)" strokeWidth={2} isAnimationActive={false} />
    </LineChart>
  );
}

/** The drift score, look by look; one is the threshold. */
export function DriftLine({ looks }: { looks: { seen: number; score: number }[] }) {
  return (
    <LineChart data={looks} margin={{ left: -16, right: 8 }}>
      <CartesianGrid stroke="var(--border)" vertical={false} />
      <XAxis dataKey="seen" type="number" domain={["dataMin", "dataMax"]} {...axis} tickFormatter={compact} />
      <YAxis {...axis} domain={[0, (most: number) => Math.max(1.2, most)]} />
      <ReferenceLine y={1} stroke="var(--destructive)" strokeDasharray="4 4" />
      <Tooltip
        {...tooltip}
        labelFormatter={(value) => `after ${count(Number(value))} items`}
        formatter={(value) => Number(value).toFixed(2)}
      />
      <Line dataKey="score" name="score" stroke="var(--brand)" strokeWidth={2} isAnimationActive={false} />
    </LineChart>
  );
}
