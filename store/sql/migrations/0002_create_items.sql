-- What there is to label: labelsets, items, and what is kept beside the items so that no list ever counts or scans them:
-- how many items are in each state, which items carry which label, and the words of their texts.

create table labelcrew.labelsets (
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  version int not null check (version >= 1),
  kind text not null check (kind in ('classification', 'spans', 'boxes', 'polygons', 'segments')),
  classes jsonb not null check (jsonb_typeof(classes) = 'array'),
  keys text[] not null,
  multi bool not null default false,
  allow_overlap bool not null default false,
  created_by uuid not null references labelcrew.users (id),
  created_at timestamptz not null default labelcrew.now(),
  primary key (dataset_id, version)
);
comment on column labelcrew.labelsets.keys is 'keys of the classes that may be given: those not retired';

-- The one list of ways an item may go. The trigger below refuses every other.
--   new -> drafted            a model or a file answered
--   ... -> annotated          as many people answered as the overlap asks for, and reviewers are to look at it
--   ... -> verified           the answer counts: there are no reviewers, or the last of them has spoken
--   ... -> returned           a reviewer wants it done again
--   ... -> skipped            the person who held it could not answer
--   ... -> auto_accepted      statistics allow to skip the person
-- and back to an open state when somebody takes their own last answer back.
create function labelcrew.may_move(p_from text, p_to text) returns bool
language sql immutable parallel safe
return case p_from
  when 'new' then p_to in ('drafted', 'annotated', 'reviewed', 'verified', 'skipped')
  when 'drafted' then p_to in ('annotated', 'reviewed', 'verified', 'skipped', 'auto_accepted')
  when 'returned' then p_to in ('annotated', 'reviewed', 'verified', 'skipped')
  when 'skipped' then p_to in ('annotated', 'reviewed', 'verified', 'returned')
  when 'auto_accepted' then p_to in ('annotated', 'reviewed', 'verified', 'returned', 'drafted')
  when 'annotated' then p_to in ('reviewed', 'verified', 'new', 'drafted', 'returned', 'skipped', 'auto_accepted')
  when 'reviewed' then p_to in ('annotated', 'verified', 'new', 'drafted', 'returned', 'skipped', 'auto_accepted')
  when 'verified' then p_to in ('annotated', 'reviewed', 'new', 'drafted', 'returned', 'skipped', 'auto_accepted')
  else false
end;

-- A person who holds an item, and until when.
create type labelcrew.hold as (user_id uuid, until timestamptz);

-- `token`, `held` and `answered_by` are what the queue decides by. They stand on the row itself because a claim locks the
-- row and, when somebody else was faster, looks again at the row only.
--
-- `dataset_id` has no foreign key of its own, which would cost an import a tenth of its speed: an item is counted by the
-- statement that inserts it, and the counter has one.
create table labelcrew.items (
  id uuid primary key default gen_random_uuid(),
  dataset_id uuid not null,
  seq bigint not null generated always as identity,
  external_id text check (length(external_id) between 1 and 500),
  content_hash bytea not null,
  text text check (octet_length(text) <= 4000000),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  state text not null default 'new' check (
    state in ('new', 'drafted', 'annotated', 'reviewed', 'verified', 'returned', 'skipped', 'auto_accepted')
  ),
  priority float8 not null default 0 check (priority > '-infinity' and priority < 'infinity'),
  probability float8 check (probability between 0 and 1),
  labels text[] not null default '{}',
  source text,
  draft_id uuid,
  annotation_id uuid,
  token bigint not null default 0,
  held labelcrew.hold[] not null default '{}',
  answered_by uuid[] not null default '{}',
  job_id uuid,
  created_at timestamptz not null default labelcrew.now(),
  updated_at timestamptz not null default labelcrew.now(),
  check (draft_id is not null or state not in ('drafted', 'auto_accepted')),
  check ((annotation_id is not null) = (state in ('annotated', 'reviewed', 'verified')))
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
comment on column labelcrew.items.draft_id is 'newest prediction without an error';
comment on column labelcrew.items.annotation_id is 'the answer that counts, once as many people answered as must';
comment on column labelcrew.items.probability is 'of the draft';
comment on column labelcrew.items.labels is 'class keys in the answer that counts, else in the draft';
comment on column labelcrew.items.source is 'human or import for an answer, else the route of the draft';
comment on column labelcrew.items.held is 'who holds it: the open leases, some of which may have run out';
comment on column labelcrew.items.answered_by is 'who has given an answer at level 1 that still stands';

create unique index items_external_id on labelcrew.items (dataset_id, external_id) where external_id is not null;
create unique index items_content on labelcrew.items (dataset_id, content_hash) where external_id is null;
-- Every list asks for one state at a time and merges: then one index a sort order serves all filters by state.
create index items_by_seq on labelcrew.items (dataset_id, state, seq);
create index items_by_priority on labelcrew.items (dataset_id, state, (- priority), seq);
create index items_by_probability on labelcrew.items (dataset_id, state, probability, seq);
create index items_by_update on labelcrew.items (dataset_id, state, updated_at, seq);
create index items_by_source on labelcrew.items (dataset_id, source, seq) where source is not null;
create index items_to_claim on labelcrew.items (dataset_id, (- priority), seq)
  where state in ('new', 'drafted', 'returned');

create function labelcrew.refuse_illegal_move() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    raise exception 'an item starts as new, not as %', new.state using errcode = 'LCTRN';
  end if;
  if not labelcrew.may_move(old.state, new.state) then
    raise exception 'an item cannot go from % to %', old.state, new.state
      using errcode = 'LCTRN', detail = jsonb_build_object('item', old.id, 'from', old.state, 'to', new.state)::text;
  end if;
  return new;
end
$$;
create trigger items_start before insert on labelcrew.items
for each row when (new.state <> 'new') execute function labelcrew.refuse_illegal_move();
create trigger items_move before update of state on labelcrew.items
for each row when (old.state <> new.state) execute function labelcrew.refuse_illegal_move();

-- Sixteen counters a state, of which a connection always takes the same, so that people who submit at once do not wait
-- for one another. The truth is the sum. The foreign key does not cascade, so that no dataset goes before its items.
create table labelcrew.item_counts (
  dataset_id uuid not null references labelcrew.datasets (id),
  state text not null,
  slot int not null,
  n bigint not null,
  changed_at timestamptz not null default labelcrew.now(),
  primary key (dataset_id, state, slot)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.5);
comment on column labelcrew.item_counts.changed_at is 'when an item last came, went, or (verified) changed its answer';

create table labelcrew.item_labels (
  dataset_id uuid not null,
  label text not null,
  seq bigint not null,
  item_id uuid not null,
  primary key (dataset_id, label, seq)
);

-- The words of the texts are indexed after the import, by a worker or by the first search (labelcrew.index_words): doing
-- it with the import would take half its speed, and on the items' own table every change of an item would do it again.
create table labelcrew.item_words (
  item_id uuid primary key,
  dataset_id uuid not null,
  words tsvector not null
);
create index item_words_words on labelcrew.item_words using gin (words);

-- Ranges of seq whose words are not indexed yet.
create table labelcrew.words_pending (
  id bigint generated always as identity primary key,
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  first_seq bigint not null,
  last_seq bigint not null
);
create index words_pending_dataset on labelcrew.words_pending (dataset_id, id);

-- The plans are made once a connection, for whatever number of rows came first, so they must suit one row and ten thousand:
-- differences of sets rather than joins, and nested loops over the index where a table is met.
create function labelcrew.count_items() returns trigger
language plpgsql set search_path = '' set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_slot int := pg_backend_pid() % 16;
begin
  if tg_op = 'INSERT' then
    insert into labelcrew.item_counts as c (dataset_id, state, slot, n, changed_at)
    select dataset_id, state, v_slot, count(*), v_now from new_items group by 1, 2 order by 1, 2
    on conflict (dataset_id, state, slot) do update set n = c.n + excluded.n, changed_at = excluded.changed_at;
  elsif tg_op = 'DELETE' then
    insert into labelcrew.item_counts as c (dataset_id, state, slot, n, changed_at)
    select dataset_id, state, v_slot, - count(*), v_now from old_items group by 1, 2 order by 1, 2
    on conflict (dataset_id, state, slot) do update set n = c.n + excluded.n, changed_at = excluded.changed_at;
    delete from labelcrew.item_labels l using old_items o, unnest(o.labels) as k (label)
    where l.dataset_id = o.dataset_id and l.label = k.label and l.seq = o.seq;
    delete from labelcrew.item_words w using old_items o where w.item_id = o.id;
  elsif exists (
    select id, state, annotation_id, labels from new_items except select id, state, annotation_id, labels from old_items
  ) then
    -- A verified item whose answer changed counts as a change of the verified ones, though their number stays.
    insert into labelcrew.item_counts as c (dataset_id, state, slot, n, changed_at)
    select d.dataset_id, d.state, v_slot, sum(d.n), v_now
    from (
      select dataset_id, state, annotation_id, -1 as n from old_items
      union all
      select dataset_id, state, annotation_id, 1 from new_items
    ) d
    group by d.dataset_id, d.state
    having sum(d.n) <> 0 or (d.state = 'verified' and max(d.annotation_id::text) is distinct from min(d.annotation_id::text))
    order by 1, 2
    on conflict (dataset_id, state, slot) do update set n = c.n + excluded.n, changed_at = excluded.changed_at;
    delete from labelcrew.item_labels l
    using (
      select o.dataset_id, k.label, o.seq from old_items o, unnest(o.labels) as k (label)
      except
      select n.dataset_id, k.label, n.seq from new_items n, unnest(n.labels) as k (label)
    ) gone
    where l.dataset_id = gone.dataset_id and l.label = gone.label and l.seq = gone.seq;
    insert into labelcrew.item_labels (dataset_id, label, seq, item_id)
    select n.dataset_id, k.label, n.seq, n.id from new_items n, unnest(n.labels) as k (label)
    except
    select o.dataset_id, k.label, o.seq, o.id from old_items o, unnest(o.labels) as k (label)
    on conflict do nothing;
  end if;
  return null;
end
$$;
create trigger items_inserted after insert on labelcrew.items
referencing new table as new_items for each statement execute function labelcrew.count_items();
create trigger items_updated after update on labelcrew.items
referencing old table as old_items new table as new_items for each statement execute function labelcrew.count_items();
create trigger items_deleted after delete on labelcrew.items
referencing old table as old_items for each statement execute function labelcrew.count_items();
