-- What the learning loop keeps: how the confidences of a model are to be read (calibrations), which drafts may skip the
-- human and what is promised about them (licences, with the drafts they speak about and the items drawn to audit them),
-- and why an item stands where it stands in the queue.

-- Fitted curves, a version a fit; the newest of a (model, route, labelset version) is in force.
create table labelcrew.calibrations (
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  model text not null,
  route text not null check (route in ('local', 'student', 'llm', 'crew', 'import')),
  labelset_version int not null,
  version int not null check (version >= 1),
  curve jsonb not null check (jsonb_typeof(curve) = 'object'),
  blend jsonb check (jsonb_typeof(blend) = 'object'),
  metrics jsonb not null default '{}' check (jsonb_typeof(metrics) = 'object'),
  trained_on int not null check (trained_on >= 0),
  created_at timestamptz not null default labelcrew.now(),
  primary key (dataset_id, model, route, labelset_version, version),
  foreign key (dataset_id, labelset_version) references labelcrew.labelsets (dataset_id, version) on delete cascade
);
comment on column labelcrew.calibrations.curve is 'of the confidence (learning/calibration.py)';
comment on column labelcrew.calibrations.blend is 'of several signals (learning/signals.py), where it was found to be better';

-- Beside the confidence: what else speaks for a draft, by name, 0..1 each; and the 90 % interval of its probability.
alter table labelcrew.predictions
  add column signals jsonb not null default '{}' check (jsonb_typeof(signals) = 'object'),
  add column probability_interval float8[] check (cardinality(probability_interval) = 2);

-- auditing ──▶ granted ──▶ revoked     refused: the audit failed, or no region was worth one
--    └──────▶ refused                  revoked: people found too much wrong since, or an admin took it back
create table labelcrew.licences (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  job_id uuid,
  part int not null default 0,
  state text not null check (state in ('auditing', 'granted', 'refused', 'revoked')),
  model text not null,
  labelset_version int not null,
  student_version int,
  classes text[],
  alpha float8 not null check (alpha > 0 and alpha < 1),
  delta float8 not null check (delta > 0 and delta < 1),
  finite bool not null,
  audit_share float8 not null check (audit_share between 0 and 0.5),
  candidates int not null check (candidates >= 0),
  expected_coverage float8 not null,
  regions jsonb not null check (jsonb_typeof(regions) = 'array'),
  threshold float8,
  method text,
  coverage float8,
  bound float8,
  audit_size int not null default 0,
  audit_errors int not null default 0,
  accepted int not null default 0,
  watch jsonb not null default '{}' check (jsonb_typeof(watch) = 'object'),
  reason text not null,
  created_by uuid not null references labelcrew.users (id),
  created_at timestamptz not null default labelcrew.now(),
  granted_at timestamptz,
  ended_at timestamptz,
  check ((granted_at is not null) = (state = 'granted' or (state = 'revoked'))),
  check ((ended_at is not null) = (state in ('refused', 'revoked')))
);
create index licences_dataset on labelcrew.licences (dataset_id, created_at desc, id desc);
create unique index licences_job on labelcrew.licences (job_id, part) where job_id is not null;
create index licences_open on labelcrew.licences (dataset_id) where state in ('auditing', 'granted');
comment on column labelcrew.licences.part is 'a job that licenses class by class makes several';
comment on column labelcrew.licences.classes is 'class keys that it holds for; null: all';
comment on column labelcrew.licences.finite is 'only the drafts it was planned on are promised, not later ones like them';
comment on column labelcrew.licences.watch is 'the sequential test of the audit that goes on after the grant';

-- The drafts that a licence speaks about, as they were when it was planned, and which of them people are to answer.
-- `place` is the order in which the audit was drawn; the first audit decides about the grant, the second watches it.
create table labelcrew.licence_items (
  licence_id uuid not null references labelcrew.licences (id) on delete cascade,
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  prediction_id uuid not null,
  confidence float8 not null,
  audit text check (audit in ('first', 'watch')),
  place int,
  primary key (licence_id, item_id),
  check ((audit is null) = (place is null))
);
create index licence_items_item on labelcrew.licence_items (item_id);
create unique index licence_items_audit on labelcrew.licence_items (licence_id, audit, place) where audit is not null;

-- Why an item is where it is in the queue: drawn at random to compare with (control), or to audit drafts (audit).
-- An audit item is answered without sight of its draft.
alter table labelcrew.items
  add column arm text check (arm in ('control', 'audit')),
  add column licence_id uuid,
  add check (licence_id is null or state = 'auto_accepted');
create index items_licensed on labelcrew.items (licence_id) where licence_id is not null;
comment on column labelcrew.items.licence_id is 'of an auto-accepted item: what allows it';

-- An item that leaves the accepted ones, whoever moves it, leaves its licence.
create function labelcrew.leave_licence() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.licence_id := null;
  return new;
end
$$;
create trigger items_leave_licence before update of state on labelcrew.items
for each row when (old.licence_id is not null and new.state <> 'auto_accepted') execute function labelcrew.leave_licence();
