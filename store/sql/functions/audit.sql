-- The audit log's chain: sealing it, checking it, handing it out.
--
-- An event's line is its canonical text: the jsonb of its columns, whose keys Postgres always writes in the same order,
-- with the time in UTC. That line is what is hashed and what is exported, so that an exported file can be checked without
-- this database (store/audit.py).

create or replace function labelcrew.event_line(p_event labelcrew.events) returns text
language sql stable
as $$
  select jsonb_build_object(
    'id', (p_event).id, 'dataset_id', (p_event).dataset_id, 'actor_id', (p_event).actor_id, 'kind', (p_event).kind,
    'subject_id', (p_event).subject_id, 'data', (p_event).data, 'before', (p_event).before, 'after', (p_event).after,
    'request_id', (p_event).request_id,
    'created_at', to_char((p_event).created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  )::text
$$;

create or replace function labelcrew.event_hash(p_event labelcrew.events) returns bytea
language sql stable
as $$ select sha256(convert_to(labelcrew.event_line(p_event), 'UTF8')) $$;

-- The events of a chain between two ids; those without a dataset are the chain of the nil UUID.
create or replace function labelcrew.events_between(p_chain uuid, p_after bigint, p_to bigint)
returns setof labelcrew.events
language sql stable
as $$
  select e.* from labelcrew.events e where e.dataset_id = p_chain and e.id > p_after and e.id <= p_to
  union all
  select e.* from labelcrew.events e
  where e.dataset_id is null and p_chain = '00000000-0000-0000-0000-000000000000' and e.id > p_after and e.id <= p_to
$$;

create or replace function labelcrew.seal_line(
  p_dataset uuid, p_number int, p_first bigint, p_last bigint, p_count int, p_previous bytea
) returns text
language sql immutable
as $$
  select jsonb_build_object('seal', p_number, 'chain', p_dataset, 'first_id', p_first, 'last_id', p_last,
    'count', p_count, 'previous', encode(p_previous, 'hex'))::text
$$;

create or replace function labelcrew.seal_hash(p_line text, p_hashes bytea) returns bytea
language sql immutable
as $$ select sha256(convert_to(p_line || E'\n', 'UTF8') || p_hashes) $$;

-- Up to which id all events are there. Whoever draws an id holds a lock on the table before and until the end of its
-- transaction. So: read the last id that was drawn; note who holds the lock now; once all of those have ended, nobody is
-- left who could still show an id up to that one. Nobody is waited for: a caller finds what is settled by now. The
-- caller has locked the row of settled_events.
create or replace function labelcrew.settle_events(p_row labelcrew.settled_events) returns bigint
language plpgsql set search_path = ''
as $$
declare
  v_drawn bigint;
  v_writers text[];
begin
  if p_row.waiting_id is not null then
    v_writers := labelcrew.event_writers();
    if not p_row.waiting_for && v_writers then
      p_row.last_id := p_row.waiting_id;
      p_row.waiting_id := null;
    end if;
  end if;
  if p_row.waiting_id is null then
    select case when s.is_called then s.last_value else 0 end into v_drawn from labelcrew.events_id_seq s;
    if v_drawn > p_row.last_id then
      v_writers := labelcrew.event_writers();
      if v_writers = '{}' then
        p_row.last_id := v_drawn;
      else
        p_row.waiting_id := v_drawn;
        p_row.waiting_for := v_writers;
      end if;
    end if;
    update labelcrew.settled_events
    set last_id = p_row.last_id, waiting_id = p_row.waiting_id, waiting_for = p_row.waiting_for
    where last_id <> p_row.last_id or waiting_id is distinct from p_row.waiting_id;
  end if;
  return p_row.last_id;
end
$$;

-- The transactions, but this one, that may have drawn an id of an event and not shown it yet.
create or replace function labelcrew.event_writers() returns text[]
language sql volatile set search_path = ''
as $$
  select coalesce(array_agg(l.virtualtransaction), '{}')
  from pg_catalog.pg_locks l
  where l.locktype = 'relation' and l.relation = 'labelcrew.events'::regclass and l.granted
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and l.pid is distinct from pg_backend_pid()
$$;

-- Seals what is settled, at most `p_most` events, one seal a dataset. For workers: called every few seconds by each, of
-- which one does it. → {sealed: events, seals, behind: whether more is settled already}
create or replace function labelcrew_api.seal_events(p_most int default 5000) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_row labelcrew.settled_events;
  v_settled bigint;
  v_to bigint;
  v_batch record;
  v_last labelcrew.event_seals;
  v_line text;
  v_events int := 0;
  v_seals int := 0;
begin
  insert into labelcrew.settled_events default values on conflict do nothing;
  select * into v_row from labelcrew.settled_events for no key update skip locked;
  if not found then
    return jsonb_build_object('sealed', 0, 'seals', 0, 'behind', false);
  end if;
  v_settled := labelcrew.settle_events(v_row);
  if v_settled <= v_row.sealed_id then
    return jsonb_build_object('sealed', 0, 'seals', 0, 'behind', false);
  end if;
  select max(x.id) into v_to from (
    select e.id from labelcrew.events e where e.id > v_row.sealed_id and e.id <= v_settled
    order by e.id limit least(greatest(p_most, 1), 20000)
  ) x;
  for v_batch in
    select coalesce(e.dataset_id, '00000000-0000-0000-0000-000000000000') as dataset_id,
      min(e.id) as first_id, max(e.id) as last_id, count(*)::int as count, array_agg(e.id order by e.id) as ids,
      string_agg(labelcrew.event_hash(e), ''::bytea order by e.id) as hashes
    from labelcrew.events e where e.id > v_row.sealed_id and e.id <= v_to
    group by 1
  loop
    select * into v_last from labelcrew.event_seals s
    where s.dataset_id = v_batch.dataset_id order by s.number desc limit 1;
    v_line := labelcrew.seal_line(v_batch.dataset_id, coalesce(v_last.number, 0) + 1, v_batch.first_id, v_batch.last_id,
      v_batch.count, coalesce(v_last.hash, sha256('')));
    insert into labelcrew.event_seals (dataset_id, number, first_id, last_id, count, ids, hashes, previous, hash)
    values (v_batch.dataset_id, coalesce(v_last.number, 0) + 1, v_batch.first_id, v_batch.last_id, v_batch.count,
      v_batch.ids, v_batch.hashes, coalesce(v_last.hash, sha256('')), labelcrew.seal_hash(v_line, v_batch.hashes));
    v_events := v_events + v_batch.count;
    v_seals := v_seals + 1;
  end loop;
  update labelcrew.settled_events set sealed_id = coalesce(v_to, v_settled);
  return jsonb_build_object('sealed', v_events, 'seals', v_seals, 'behind', coalesce(v_to < v_settled, false));
end
$$;

-- Checking -----------------------------------------------------------------------------------------------------------

-- An admin of the dataset; or the owner of the installation who says `p_operator`, which the gateway never does and the
-- command line does: for a dataset that is gone too, and for the chain without one (null). Returns the chain's key.
create or replace function labelcrew.require_auditor(p_actor uuid, p_dataset uuid, p_operator bool) returns uuid
language plpgsql stable set search_path = ''
as $$
begin
  if not p_operator then
    perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  elsif not (labelcrew.require_user(p_actor)).is_owner then
    perform labelcrew.fail('forbidden', 'only the owner of this installation sees every chain');
  end if;
  return coalesce(p_dataset, '00000000-0000-0000-0000-000000000000');
end
$$;

-- The first event at which a seal and the log part, as {event_id, problem: changed | missing | added}, or null.
create or replace function labelcrew.find_broken_event(p_seal labelcrew.event_seals, p_after bigint) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object('event_id', coalesce(s.id, f.id), 'problem',
    case when f.id is null then 'missing' when s.id is null then 'added' else 'changed' end)
  from (
    select i.id, substring(p_seal.hashes from (i.n::int - 1) * 32 + 1 for 32) as hash
    from unnest(p_seal.ids) with ordinality i (id, n)
  ) s full join (
    select e.id, labelcrew.event_hash(e) as hash
    from labelcrew.events_between(p_seal.dataset_id, p_after, p_seal.last_id) e
  ) f on f.id = s.id
  where s.hash is distinct from f.hash
  order by coalesce(s.id, f.id) limit 1
$$;

-- Checks up to `p_most` seals that follow number `p_after`, and the events under them. `next` is the number to go on after,
-- null at the end of the chain; `broken` is the first thing that is not as it was sealed; checking ends there. A seal may
-- be broken itself: its hash is not that of its line, or it does not follow the one before.
create or replace function labelcrew_api.verify_audit(
  p_actor uuid, p_dataset uuid default null, p_after int default 0, p_most int default 20,
  p_operator bool default false
) returns jsonb
language plpgsql stable security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_chain uuid := labelcrew.require_auditor(p_actor, p_dataset, p_operator);
  v_before labelcrew.event_seals;
  v_seal labelcrew.event_seals;
  v_hashes bytea;
  v_ids bigint[];
  v_broken jsonb;
  v_events bigint := 0;
  v_number int := greatest(p_after, 0);
begin
  select * into v_before from labelcrew.event_seals s where s.dataset_id = v_chain and s.number = v_number;
  if v_number > 0 and v_before.number is null then
    v_broken := jsonb_build_object('seal', v_number, 'problem', 'missing', 'event_id', null);
  end if;
  for v_seal in
    select * from labelcrew.event_seals s where s.dataset_id = v_chain and s.number > v_number and v_broken is null
    order by s.number limit least(greatest(p_most, 1), 500)
  loop
    if v_seal.number <> v_number + 1 then
      v_broken := jsonb_build_object('seal', v_number + 1, 'problem', 'missing', 'event_id', null);
    elsif v_seal.previous is distinct from coalesce(v_before.hash, sha256('')) then
      v_broken := jsonb_build_object('seal', v_seal.number, 'problem', 'unchained', 'event_id', null);
    elsif v_seal.hash is distinct from labelcrew.seal_hash(labelcrew.seal_line(
      v_chain, v_seal.number, v_seal.first_id, v_seal.last_id, v_seal.count, v_seal.previous), v_seal.hashes)
    then
      v_broken := jsonb_build_object('seal', v_seal.number, 'problem', 'changed', 'event_id', null);
    else
      select coalesce(array_agg(e.id order by e.id), '{}'),
        coalesce(string_agg(labelcrew.event_hash(e), ''::bytea order by e.id), '')
      into v_ids, v_hashes
      from labelcrew.events_between(v_chain, coalesce(v_before.last_id, 0), v_seal.last_id) e;
      if v_ids <> v_seal.ids or v_hashes <> v_seal.hashes then
        v_broken := jsonb_build_object('seal', v_seal.number)
          || labelcrew.find_broken_event(v_seal, coalesce(v_before.last_id, 0));
      end if;
    end if;
    exit when v_broken is not null;
    v_events := v_events + v_seal.count;
    v_number := v_seal.number;
    v_before := v_seal;
  end loop;
  -- What everybody's seals have passed and none covers was put there afterwards.
  if v_broken is null and not exists (
    select from labelcrew.event_seals s where s.dataset_id = v_chain and s.number > v_number
  ) then
    select jsonb_build_object('seal', v_number, 'problem', 'added', 'event_id', min(e.id)) into v_broken
    from labelcrew.events_between(v_chain, coalesce(v_before.last_id, 0),
      (select t.sealed_id from labelcrew.settled_events t)) e
    having count(*) > 0;
  end if;
  return jsonb_build_object(
    'seals', v_number - greatest(p_after, 0), 'events', v_events, 'broken', v_broken,
    'head', encode(v_before.hash, 'hex'),
    'next', case when v_broken is null and exists (
      select from labelcrew.event_seals s where s.dataset_id = v_chain and s.number > v_number
    ) then v_number end
  );
end
$$;

-- How far a chain has come. `head` is the hash to note somewhere else: while it is found again, nothing before it has
-- changed. `unsealed` counts the events that no seal covers yet.
create or replace function labelcrew_api.get_audit(
  p_actor uuid, p_dataset uuid default null, p_operator bool default false
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_chain uuid := labelcrew.require_auditor(p_actor, p_dataset, p_operator);
  v_last labelcrew.event_seals;
begin
  select * into v_last from labelcrew.event_seals s where s.dataset_id = v_chain order by s.number desc limit 1;
  return jsonb_build_object(
    'dataset_id', nullif(v_chain, '00000000-0000-0000-0000-000000000000'),
    'seals', coalesce(v_last.number, 0),
    'sealed', (select coalesce(sum(s.count), 0) from labelcrew.event_seals s where s.dataset_id = v_chain),
    'unsealed', (
      select count(*) from labelcrew.events_between(v_chain, coalesce(v_last.last_id, 0), 9223372036854775807) e
    ),
    'head', encode(v_last.hash, 'hex'), 'sealed_at', v_last.created_at
  );
end
$$;

-- Whether a hash that was noted down is the head that the chain had at one of its seals.
create or replace function labelcrew_api.find_seal(
  p_actor uuid, p_hash text, p_dataset uuid default null, p_operator bool default false
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_chain uuid := labelcrew.require_auditor(p_actor, p_dataset, p_operator);
begin
  return (
    select to_jsonb(s.number) from labelcrew.event_seals s
    where s.dataset_id = v_chain and encode(s.hash, 'hex') = lower(p_hash)
  );
end
$$;

-- Every chain there is, those of deleted datasets too, for the owner of the installation.
create or replace function labelcrew_api.list_audits(p_actor uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_auditor(p_actor, null, true);
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'dataset_id', nullif(c.dataset_id, '00000000-0000-0000-0000-000000000000'), 'name', d.name, 'seals', c.seals
    ) order by c.dataset_id), '[]')
    from (select s.dataset_id, max(s.number) as seals from labelcrew.event_seals s group by 1) c
      left join labelcrew.datasets d on d.id = c.dataset_id
  );
end
$$;

-- A page of the export: whole seals, each as its line with its hash, after the lines of its events; at the end of the
-- chain the events that are not sealed yet. `next` is the seal to go on after, null when this was the last page.
create or replace function labelcrew_api.export_audit(
  p_actor uuid, p_dataset uuid default null, p_after int default 0, p_most int default 5,
  p_operator bool default false
) returns json
language plpgsql stable security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_chain uuid := labelcrew.require_auditor(p_actor, p_dataset, p_operator);
  v_seal labelcrew.event_seals;
  v_end bigint := 0;
  v_number int := greatest(p_after, 0);
  v_lines text[] := '{}';
begin
  select coalesce(max(s.last_id), 0) into v_end
  from labelcrew.event_seals s where s.dataset_id = v_chain and s.number = v_number;
  for v_seal in
    select * from labelcrew.event_seals s where s.dataset_id = v_chain and s.number > v_number
    order by s.number limit least(greatest(p_most, 1), 100)
  loop
    v_lines := v_lines || array(
      select labelcrew.event_line(e) from labelcrew.events_between(v_chain, v_end, v_seal.last_id) e order by e.id
    ) || (left(labelcrew.seal_line(
      v_chain, v_seal.number, v_seal.first_id, v_seal.last_id, v_seal.count, v_seal.previous), -1)
      || format(', "hash": "%s"}', encode(v_seal.hash, 'hex')));
    v_end := v_seal.last_id;
    v_number := v_seal.number;
  end loop;
  if exists (select from labelcrew.event_seals s where s.dataset_id = v_chain and s.number > v_number) then
    return json_build_object('lines', v_lines, 'next', v_number);
  end if;
  return json_build_object('next', null, 'lines', v_lines || array(
    select labelcrew.event_line(e) from labelcrew.events_between(v_chain, v_end, 9223372036854775807) e
    order by e.id limit 20000
  ));
end
$$;
