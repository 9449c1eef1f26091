-- What watching a dataset keeps: counts by day and quarter of an hour, made behind the work from tables that only grow; the
-- windows in which drift is looked for and what was found; and the ways into the audit log.

-- The log is read newest first, by kind, by who, by what, by when. Times become bounds of the id (list_activity).
create index events_kind on labelcrew.events (dataset_id, kind, id);
create index events_actor on labelcrew.events (dataset_id, actor_id, kind, id) where actor_id is not null;
create index events_time on labelcrew.events (dataset_id, created_at);

-- Counting walks along these.
create index annotations_number on labelcrew.annotations (number);
create index predictions_number on labelcrew.predictions (number);

-- One table for everything that is counted; what `a`, `b` and `bin` say depends on the measure (functions/metrics.sql).
-- Written by one process at a time, behind the work, so that no answer and no import waits for a counter.
create table labelcrew.metric_counts (
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  measure text not null,
  grain int not null check (grain between 0 and 2),
  slot timestamptz not null,
  a text not null default '',
  b text not null default '',
  bin int not null default 0,
  n bigint not null,
  total float8 not null default 0,
  primary key (dataset_id, measure, grain, slot, a, b, bin)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.3);
comment on column labelcrew.metric_counts.grain is 'what the slot is: 0 all time (-infinity), 1 a day, 2 a quarter of an hour';
comment on column labelcrew.metric_counts.slot is 'its beginning, in UTC';
comment on column labelcrew.metric_counts.total is 'sum of what the bins are of: milliseconds, probabilities, USD';

-- Up to which number the rows of a table are counted.
create table labelcrew.metric_marks (
  source text primary key check (source in ('annotations', 'predictions', 'events')),
  number bigint not null default 0
);
insert into labelcrew.metric_marks (source) values ('annotations'), ('predictions'), ('events');

-- Numbers below the mark that were not there when it passed: their transactions were still open, or failed. They are
-- looked for again until no transaction can be that old.
create table labelcrew.metric_gaps (
  id bigint generated always as identity primary key,
  source text not null references labelcrew.metric_marks (source),
  first bigint not null,
  last bigint not null,
  since timestamptz not null default labelcrew.now(),
  check (first <= last)
);
create index metric_gaps_source on labelcrew.metric_gaps (source, first);

-- What would be too slow to count on every look and cannot be counted forward: taken anew behind the work.
create table labelcrew.metric_snapshots (
  dataset_id uuid primary key references labelcrew.datasets (id) on delete cascade,
  seen_change timestamptz not null,
  taken_at timestamptz not null,
  took_ms float8 not null,
  data jsonb not null check (jsonb_typeof(data) = 'object')
);

-- The windows that somebody chose, and how often was looked: every look spends a part of `alpha`.
create table labelcrew.drift_monitors (
  dataset_id uuid primary key references labelcrew.datasets (id) on delete cascade,
  run int not null default 1,
  windows jsonb not null check (jsonb_typeof(windows) = 'object'),
  alpha float8 not null check (alpha > 0 and alpha < 1),
  looks int not null default 0,
  seen bigint not null default 0,
  last_seq bigint not null default 0,
  alarmed_at timestamptz,
  watches jsonb not null default '{}' check (jsonb_typeof(watches) = 'object'),
  watched_at timestamptz,
  created_by uuid not null references labelcrew.users (id),
  created_at timestamptz not null default labelcrew.now()
);
comment on column labelcrew.drift_monitors.run is 'counts how often the windows were chosen anew; looks begin at zero again';
comment on column labelcrew.drift_monitors.windows is 'the reference as seqs (from, to), how many of the newest are compared, and as it was asked for';
comment on column labelcrew.drift_monitors.seen is 'how many items had come since the reference at the last look, up to last_seq';
comment on column labelcrew.drift_monitors.watches is 'what the last reading of people''s and models'' outcomes said';

create table labelcrew.drift_reports (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  run int not null,
  look int not null,
  score float8 not null,
  alarm bool not null,
  report jsonb not null check (jsonb_typeof(report) = 'object'),
  created_at timestamptz not null default labelcrew.now(),
  unique (dataset_id, run, look)
);
