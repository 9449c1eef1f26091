-- What several people's answers to one item amount to: how far each person is to be trusted (a run), what the answers
-- together say (a row an item), and which items one more person shall answer.

alter table labelcrew.jobs drop constraint jobs_kind_check;
alter table labelcrew.jobs add constraint jobs_kind_check check (
  kind in ('import', 'export', 'embed', 'prelabel', 'train', 'rank', 'quality_scan', 'auto_accept', 'bulk', 'consensus')
);

alter table labelcrew.items add column extra_overlap int not null default 0 check (extra_overlap between 0 and 50);
comment on column labelcrew.items.extra_overlap is 'people who shall answer it beyond the overlap of the dataset';

create table labelcrew.consensus_runs (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  job_id uuid,
  method text not null,
  labelset_version int not null,
  items int not null check (items >= 0),
  answers int not null check (answers >= 0),
  seen bigint not null default 0,
  changed int not null default 0 check (changed >= 0),
  asked int not null default 0 check (asked >= 0),
  annotators jsonb not null default '[]' check (jsonb_typeof(annotators) = 'array'),
  note text not null default '',
  created_at timestamptz not null default labelcrew.now(),
  finished_at timestamptz
);
create index consensus_runs_dataset on labelcrew.consensus_runs (dataset_id, created_at desc, id desc);
create unique index consensus_runs_job on labelcrew.consensus_runs (job_id) where job_id is not null;
comment on column labelcrew.consensus_runs.annotators is '[{user, answers, quality, low, high}], quality the chance to be right';
comment on column labelcrew.consensus_runs.seen is 'people in items.answered_by when it was made, to tell when it is stale';
comment on column labelcrew.consensus_runs.changed is 'items whose answer is another one than the plain count had made it';
comment on column labelcrew.consensus_runs.asked is 'items that one more person shall answer';

create table labelcrew.item_consensus (
  item_id uuid primary key references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  run_id uuid not null references labelcrew.consensus_runs (id) on delete cascade,
  payload jsonb not null check (jsonb_typeof(payload) = 'object'),
  probability float8 not null check (probability between 0 and 1),
  method text not null,
  answers int not null check (answers >= 1),
  agreed bool not null,
  gain float8 not null check (gain >= 0),
  created_at timestamptz not null default labelcrew.now()
);
create index item_consensus_doubts on labelcrew.item_consensus (dataset_id, probability) where not agreed;
create index item_consensus_run on labelcrew.item_consensus (run_id);
comment on column labelcrew.item_consensus.payload is 'what the answers together say; it may be that of nobody';
comment on column labelcrew.item_consensus.probability is 'that the payload is right; of marks the mean share of people who agree';
comment on column labelcrew.item_consensus.gain is 'nats that one more answer is expected to tell';

-- Items with several people's answers, to read them without walking past all the others.
create index items_crowd on labelcrew.items (dataset_id, seq) where cardinality(answered_by) >= 2;
