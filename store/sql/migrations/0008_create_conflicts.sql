-- What was found to be doubtful about the labels, and what became of it; and how far the light scan has read.

--   open ──▶ resolved    somebody relabelled or kept it, or a later scan no longer finds it ("gone")
--     ▲ └──▶ dismissed   somebody said that it is none
--     └───── either, when the same is found again on other evidence (evidence ->> 'stamp'); "gone" when it is found again
create table labelcrew.conflicts (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  item_id uuid references labelcrew.items (id) on delete cascade,
  kind text not null check (kind ~ '^[a-z]+(_[a-z]+)*$'),
  severity float8 not null check (severity between 0 and 1),
  fingerprint text not null check (length(fingerprint) between 1 and 300),
  evidence jsonb not null default '{}' check (jsonb_typeof(evidence) = 'object'),
  proposal jsonb check (jsonb_typeof(proposal) = 'object'),
  verdict jsonb check (jsonb_typeof(verdict) = 'object'),
  state text not null default 'open' check (state in ('open', 'resolved', 'dismissed')),
  resolved_by uuid references labelcrew.users (id),
  resolution text check (resolution in ('relabelled', 'kept', 'dismissed', 'gone')),
  comment text not null default '' check (length(comment) <= 2000),
  created_at timestamptz not null default labelcrew.now(),
  updated_at timestamptz not null default labelcrew.now(),
  unique (dataset_id, fingerprint),
  check ((resolution is not null) = (state <> 'open'))
);
create index conflicts_by_severity on labelcrew.conflicts (dataset_id, state, (- severity), id);
create index conflicts_item on labelcrew.conflicts (item_id) where item_id is not null;
comment on column labelcrew.conflicts.fingerprint is 'what makes two findings the same: the kind and whom it is about';
comment on column labelcrew.conflicts.verdict is 'of the QA agent (schemas/quality.py)';
comment on column labelcrew.conflicts.resolved_by is 'null where a scan found it gone';

-- `seen_at`: the light scan has read what was answered up to then.
create table labelcrew.quality_marks (
  dataset_id uuid primary key references labelcrew.datasets (id) on delete cascade,
  seen_at timestamptz not null
);
