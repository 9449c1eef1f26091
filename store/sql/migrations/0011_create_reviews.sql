-- People who look at each other's work: reviews, the questions that go up to level 3, items with a known answer (gold), who
-- an item waits for, and what operations on many items at once have changed.

-- How an item may go, as before; a skip may also be taken back by whoever skipped.
create or replace function labelcrew.may_move(p_from text, p_to text) returns bool
language sql immutable parallel safe
return case p_from
  when 'new' then p_to in ('drafted', 'annotated', 'reviewed', 'verified', 'skipped')
  when 'drafted' then p_to in ('annotated', 'reviewed', 'verified', 'skipped', 'auto_accepted')
  when 'returned' then p_to in ('annotated', 'reviewed', 'verified', 'skipped')
  when 'skipped' then p_to in ('annotated', 'reviewed', 'verified', 'returned', 'new', 'drafted')
  when 'auto_accepted' then p_to in ('annotated', 'reviewed', 'verified', 'returned', 'drafted')
  when 'annotated' then p_to in ('reviewed', 'verified', 'new', 'drafted', 'returned', 'skipped', 'auto_accepted')
  when 'reviewed' then p_to in ('annotated', 'verified', 'new', 'drafted', 'returned', 'skipped', 'auto_accepted')
  when 'verified' then p_to in ('annotated', 'reviewed', 'new', 'drafted', 'returned', 'skipped', 'auto_accepted')
  else false
end;

-- What a claim decides by stands on the item's row, because a claim that came second looks again at the row only.
alter table labelcrew.items
  add column reserved_for uuid,
  add column reserved_until timestamptz,
  add column reviewer_id uuid,
  add column reviewer_until timestamptz,
  add column reviewed_by uuid[] not null default '{}',
  add column gold_payload jsonb check (jsonb_typeof(gold_payload) = 'object'),
  add column tags text[] not null default '{}',
  add column expiries int not null default 0 check (expiries >= 0),
  add column state_since timestamptz,
  add check ((reserved_for is null) = (reserved_until is null)),
  add check (reviewer_id is not null or reviewer_until is null),
  drop constraint items_arm_check,
  add constraint items_arm_check check (arm in ('control', 'audit', 'blind'));
comment on column labelcrew.items.reserved_for is 'who alone may claim it until reserved_until: its author, or whom it was assigned to';
comment on column labelcrew.items.reviewer_id is 'who sent it back; it comes back to them first, until reviewer_until once it waits';
comment on column labelcrew.items.reviewed_by is 'who has ever reviewed it: they never get it to answer';
comment on column labelcrew.items.gold_payload is 'a known answer; the item is shown to annotators to see how they answer';
comment on column labelcrew.items.tags is 'skills, a language or a subject, that whoever claims it must have';
comment on column labelcrew.items.state_since is 'when it came into its state; null as long as it never left the first';
comment on column labelcrew.items.expiries is 'leases that ran out since somebody last answered';
alter table labelcrew.members
  add column if not exists skills text[] not null default '{}';

create index items_reserved on labelcrew.items (reserved_for, dataset_id) where reserved_for is not null;
create index items_reviewer on labelcrew.items (reviewer_id, dataset_id) where reviewer_id is not null;
create index items_gold on labelcrew.items (dataset_id) where gold_payload is not null;
create index items_waiting on labelcrew.items (dataset_id, state, state_since)
  where state in ('annotated', 'reviewed', 'returned', 'skipped');
-- One index for items that anybody may take and one by tags, so that nobody walks past what they may not take.
drop index labelcrew.items_to_claim;
create index items_to_claim on labelcrew.items (dataset_id, (- priority), seq)
  where state in ('new', 'drafted', 'returned') and tags = '{}';
create index items_to_claim_by_tags on labelcrew.items (dataset_id, tags, (- priority), seq)
  where state in ('new', 'drafted', 'returned') and tags <> '{}';

-- An item that comes with `tags` in its metadata, a list or words with commas, takes them.
create function labelcrew.take_tags() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.tags := array(
    select distinct btrim(t) from unnest(case jsonb_typeof(new.metadata -> 'tags')
      when 'array' then array(select jsonb_array_elements_text(new.metadata -> 'tags'))
      when 'string' then string_to_array(new.metadata ->> 'tags', ',')
    end) t where length(btrim(t)) between 1 and 50 order by 1 limit 50
  );
  return new;
end
$$;
create trigger items_take_tags before insert on labelcrew.items
for each row when (new.metadata ? 'tags') execute function labelcrew.take_tags();

-- Every change of an item's state is a row here. No foreign keys, as in the audit log, which tells who and why.
create table labelcrew.item_moves (
  id bigint generated always as identity primary key,
  dataset_id uuid not null,
  item_id uuid not null,
  from_state text not null,
  to_state text not null,
  created_at timestamptz not null default labelcrew.now()
);
create index item_moves_item on labelcrew.item_moves (item_id, id);
create trigger item_moves_append_only before update or delete on labelcrew.item_moves
for each row execute function labelcrew.refuse_change();
create trigger item_moves_no_truncate before truncate on labelcrew.item_moves
for each statement execute function labelcrew.refuse_change();

create or replace function labelcrew.refuse_illegal_move() returns trigger
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
  new.state_since := case when new.updated_at > old.updated_at then new.updated_at else labelcrew.now() end;
  return new;
end
$$;

-- As before, and in the same pass the rows of item_moves.
create or replace function labelcrew.count_items() returns trigger
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
    -- Each item twice, as it was and as it is: a join of the two sets would be a nested loop.
    insert into labelcrew.item_moves (dataset_id, item_id, from_state, to_state, created_at)
    select m.dataset_id, m.id, m.from_state, m.state, m.state_since
    from (
      select x.*, lag(x.state) over (partition by x.id order by x.is_new) as from_state
      from (
        select dataset_id, id, seq, state, state_since, false as is_new from old_items
        union all
        select dataset_id, id, seq, state, state_since, true from new_items
      ) x
    ) m
    where m.is_new and m.from_state <> m.state
    order by m.seq;
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

-- Leases for reviewing are leases too: `level` 2 or 3. A gold lease hands an item with a known answer to one more person;
-- the item does not hold it (`items.held`), for what is answered by it never changes the item.
alter table labelcrew.leases
  add column level int not null default 1 check (level between 1 and 3),
  add column gold bool not null default false;

-- What a reviewer (level 2) or a super reviewer (level 3) said about an answer. `author_id` gave that answer; it is null
-- where the answer came with a file.
create table labelcrew.reviews (
  id uuid primary key default labelcrew.new_id(),
  number bigint not null generated always as identity,
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  reviewer_id uuid not null references labelcrew.users (id),
  author_id uuid references labelcrew.users (id),
  level int not null check (level in (2, 3)),
  decision text not null check (decision in ('approved', 'corrected', 'rejected')),
  annotation_id uuid not null,
  correction_id uuid,
  comment text not null default '' check (length(comment) <= 4000),
  key text check (length(key) between 1 and 200),
  withdrawn_at timestamptz,
  created_at timestamptz not null default labelcrew.now(),
  check ((correction_id is not null) = (decision = 'corrected')),
  check (reviewer_id <> author_id)
);
comment on column labelcrew.reviews.annotation_id is 'the answer that was judged';
comment on column labelcrew.reviews.correction_id is 'the answer that the reviewer gave instead';
comment on column labelcrew.reviews.withdrawn_at is 'when it was taken back; it counts no more from then on';
create index reviews_item on labelcrew.reviews (item_id, number);
create index reviews_author on labelcrew.reviews (dataset_id, author_id, number desc) where withdrawn_at is null;
create index reviews_reviewer on labelcrew.reviews (dataset_id, reviewer_id, number);
create unique index reviews_key on labelcrew.reviews (reviewer_id, key) where key is not null;

-- Nobody reviews their own work: neither the answer they gave, nor an item they have answered, nor, at level 3, one they
-- have reviewed at level 2. What came with a file is nobody's work here.
create function labelcrew.check_review() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if not exists (
    select from labelcrew.annotations a
    where a.id = new.annotation_id and a.item_id = new.item_id
      and new.author_id is not distinct from case a.source when 'human' then a.user_id end
  ) then
    raise exception 'a review judges an answer to its item, by its author' using errcode = 'LCCNF';
  end if;
  if exists (
    select from labelcrew.annotations a
    where a.item_id = new.item_id and a.user_id = new.reviewer_id and a.level = 1 and a.source = 'human'
      and a.withdrawn_at is null
  ) or (new.level = 3 and exists (
    select from labelcrew.reviews r
    where r.item_id = new.item_id and r.reviewer_id = new.reviewer_id and r.level = 2 and r.withdrawn_at is null
  )) then
    raise exception 'nobody reviews their own work' using errcode = 'LCOWN';
  end if;
  return new;
end
$$;
create trigger reviews_check before insert on labelcrew.reviews
for each row execute function labelcrew.check_review();

-- A review stays as it was said, as long as its item is there. Only once, and only that it was taken back, may be added.
create function labelcrew.keep_review() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    if exists (select from labelcrew.items i where i.id = old.item_id) then
      raise exception 'a review is never deleted' using errcode = 'LCCNF';
    end if;
    return old;
  end if;
  if old.withdrawn_at is not null or to_jsonb(new) - 'withdrawn_at' <> to_jsonb(old) - 'withdrawn_at' then
    raise exception 'a review is never overwritten' using errcode = 'LCCNF';
  end if;
  return new;
end
$$;
create trigger reviews_keep before update or delete on labelcrew.reviews
for each row execute function labelcrew.keep_review();

-- What level 3 is asked: because levels 1 and 2 disagree, or because the author of an answer appeals against a review. An
-- item is `reviewed` exactly while one is open.
create table labelcrew.arbitrations (
  id uuid primary key default labelcrew.new_id(),
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  kind text not null check (kind in ('disagreement', 'appeal')),
  asked_by uuid not null references labelcrew.users (id),
  review_id uuid references labelcrew.reviews (id) on delete cascade,
  comment text not null default '' check (length(comment) <= 4000),
  created_at timestamptz not null default labelcrew.now(),
  closed_at timestamptz,
  outcome_id uuid,
  check (outcome_id is null or closed_at is not null)
);
comment on column labelcrew.arbitrations.review_id is 'the review that is contested';
comment on column labelcrew.arbitrations.outcome_id is 'the review at level 3 that closed it';
create unique index arbitrations_open on labelcrew.arbitrations (item_id) where closed_at is null;
create index arbitrations_item on labelcrew.arbitrations (item_id, created_at);
create unique index arbitrations_appeal on labelcrew.arbitrations (review_id) where kind = 'appeal';

-- Answers to items with a known answer. They are kept apart from the annotations because they change no item.
create table labelcrew.gold_answers (
  id uuid primary key default labelcrew.new_id(),
  number bigint not null generated always as identity,
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  user_id uuid not null references labelcrew.users (id),
  payload jsonb not null check (jsonb_typeof(payload) = 'object'),
  gold_payload jsonb not null check (jsonb_typeof(gold_payload) = 'object'),
  agrees bool not null,
  score float8 not null check (score between 0 and 1),
  labelset_version int not null,
  lead_time_ms int check (lead_time_ms >= 0),
  key text check (length(key) between 1 and 200),
  withdrawn_at timestamptz,
  created_at timestamptz not null default labelcrew.now()
);
comment on column labelcrew.gold_answers.score is 'share of marks in common: 1 where the two say the same, 0 where nothing is';
create unique index gold_answers_once on labelcrew.gold_answers (item_id, user_id) where withdrawn_at is null;
create unique index gold_answers_key on labelcrew.gold_answers (user_id, key) where key is not null;
create index gold_answers_person on labelcrew.gold_answers (dataset_id, user_id, number);

-- Waiting longer than the dataset allows is noted once for each time an item comes into a state.
create table labelcrew.sla_misses (
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  state text not null,
  since timestamptz not null,
  dataset_id uuid not null,
  missed_at timestamptz not null default labelcrew.now(),
  primary key (item_id, state, since)
);

-- Which items an operation on many is about, chosen when it was ordered; what became of each; and what each was before, so
-- that the whole can be undone.
create table labelcrew.bulk_rows (
  job_id uuid not null references labelcrew.jobs (id) on delete cascade,
  seq bigint not null,
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  outcome text check (outcome in ('done', 'refused', 'undone')),
  code text,
  detail text,
  before jsonb,
  after jsonb,
  primary key (job_id, seq)
);
create index bulk_rows_waiting on labelcrew.bulk_rows (job_id, seq) where outcome is null;
create index bulk_rows_refused on labelcrew.bulk_rows (job_id, seq) where outcome = 'refused';
create index bulk_rows_item on labelcrew.bulk_rows (item_id);
