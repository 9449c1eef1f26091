-- Consensus: what several people's answers to one item amount to. The statistics are made outside (learning/consensus); here
-- is what they are made from, what became of them, and how an item asks for one more person.

-- An item that one more person shall answer stands above those that were ranked and below those that are audited.
create or replace function labelcrew.extra_priority() returns float8
language sql immutable
as $$ select 5.0::float8 $$;

-- Whether a reviewer, or a file, has the last word on an item: their own answer stands, or their approval of one that does.
create or replace function labelcrew.is_decided(p_item uuid) returns bool
language sql stable
as $$
  select exists (
    select from labelcrew.annotations a where a.item_id = p_item and a.current and (a.level > 1 or a.source = 'import')
  ) or exists (
    select from labelcrew.reviews r join labelcrew.annotations a on a.id = r.annotation_id and a.current
    where r.item_id = p_item and r.decision = 'approved' and r.withdrawn_at is null
  )
$$;

-- Items that at least two people have answered at level 1, by seq: {rows: [{item, seq, decided, answered_by, answers:
-- [{user, payload}], vector}], next}. `decided` says that a reviewer or a file has the last word. `vector` (384 big-endian
-- half-precision floats as base64) is null without an embedding or `p_vectors`. Asked by workers, for nobody.
create or replace function labelcrew_api.list_crowd_answers(
  p_dataset uuid, p_after bigint default 0, p_limit int default 2000, p_vectors bool default false
) returns json
language sql stable security definer set search_path = '' set statement_timeout = '120s'
as $$
  with crowd as (
    select i.id, i.seq from labelcrew.items i
    where i.dataset_id = p_dataset and cardinality(i.answered_by) >= 2 and i.seq > p_after
    order by i.seq limit least(greatest(p_limit, 1), 10000)
  )
  select json_build_object(
    'rows', coalesce((
      select json_agg(json_build_object(
        'item', c.id, 'seq', c.seq, 'answers', a.answers, 'decided', labelcrew.is_decided(c.id),
        'vector', case when p_vectors then labelcrew.vector_base64(e.vector) end
      ) order by c.seq)
      from crowd c
        cross join lateral (
          select json_agg(json_build_object('user', x.user_id, 'payload', x.payload) order by x.number) as answers
          from labelcrew.annotations x
          where x.item_id = c.id and x.current and x.level = 1 and x.source = 'human'
          having count(*) >= 2
        ) a
        left join labelcrew.embeddings e on p_vectors and e.item_id = c.id
    ), '[]'),
    'next', (select case when count(*) = least(greatest(p_limit, 1), 10000) then max(c.seq) end from crowd c)
  )
$$;

-- How many people's answers stand on items that several have answered.
create or replace function labelcrew.count_crowd(p_dataset uuid) returns bigint
language sql stable
as $$
  select coalesce(sum(cardinality(i.answered_by)), 0) from labelcrew.items i
  where i.dataset_id = p_dataset and cardinality(i.answered_by) >= 2
$$;

-- Begins a run of a method over the answers that there are: {id}. Idempotent by job. `p_run`: {method, labelset_version,
-- items, answers, annotators, note}.
create or replace function labelcrew_api.create_consensus_run(p_dataset uuid, p_job uuid, p_run jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  perform from labelcrew.datasets where id = p_dataset for no key update;
  if not found then
    perform labelcrew.fail('not-found', 'no such dataset', jsonb_build_object('dataset', p_dataset));
  end if;
  select id into v_id from labelcrew.consensus_runs where job_id = p_job;
  if v_id is null then
    insert into labelcrew.consensus_runs (
      dataset_id, job_id, method, labelset_version, items, answers, seen, annotators, note
    ) values (
      p_dataset, p_job, p_run ->> 'method', (p_run ->> 'labelset_version')::int, (p_run ->> 'items')::int,
      (p_run ->> 'answers')::int, labelcrew.count_crowd(p_dataset), coalesce(p_run -> 'annotators', '[]'),
      coalesce(p_run ->> 'note', '')
    ) returning id into v_id;
  end if;
  return jsonb_build_object('id', v_id);
end
$$;

-- One person more for an item that people have answered, whose row the caller has locked: it goes back into the queue, near
-- its head. False where nobody has answered, somebody holds it, or a reviewer has decided.
create or replace function labelcrew.ask_one_more(p_item uuid) returns bool
language plpgsql set search_path = ''
as $$
declare
  v_item labelcrew.items;
begin
  select * into v_item from labelcrew.items where id = p_item;
  if v_item.state not in ('annotated', 'verified') or v_item.answered_by = '{}' or labelcrew.is_decided(p_item)
    or exists (select from unnest(v_item.held) h where h.until > labelcrew.now())
  then
    return false;
  end if;
  update labelcrew.items i
  set extra_overlap = least(greatest(cardinality(i.answered_by) + 1 - labelcrew.overlap_of(d.settings), 0), 50),
      priority = greatest(i.priority, labelcrew.extra_priority())
  from labelcrew.datasets d
  where i.id = p_item and d.id = i.dataset_id;
  perform labelcrew.settle_item(p_item);
  return true;
end
$$;

-- Keeps what a run found about items: [{item, payload, probability, answers, agreed, gain, ask}]. What a reviewer decided
-- stays as it is, and so does an item that one holds, or whose answers are others by now. Of the rest the newest answer that says what the
-- consensus says becomes the one that counts, unless `p_apply` is false; and where `ask` is true one more person shall
-- answer: the item goes back into the queue with its answers. Returns {saved, changed, asked}. Rows may come twice.
create or replace function labelcrew_api.save_consensus(p_run uuid, p_rows jsonb, p_apply bool default true) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_run labelcrew.consensus_runs;
  v_row record;
  v_item labelcrew.items;
  v_final labelcrew.annotations;
  v_new labelcrew.annotations;
  v_saved int := 0;
  v_changed uuid[] := '{}';
  v_asked uuid[] := '{}';
begin
  select * into v_run from labelcrew.consensus_runs where id = p_run;
  if v_run.id is null then
    perform labelcrew.fail('not-found', 'no such run', jsonb_build_object('run', p_run));
  end if;
  perform labelcrew.share_workflow(v_run.dataset_id);
  perform from labelcrew.items where dataset_id = v_run.dataset_id
    and id in (select (r ->> 'item')::uuid from jsonb_array_elements(p_rows) r)
  order by seq for no key update;
  for v_row in
    select r.* from jsonb_to_recordset(p_rows) r (
      item uuid, payload jsonb, probability float8, answers int, agreed bool, gain float8, ask bool
    ) join labelcrew.items i on i.id = r.item and i.dataset_id = v_run.dataset_id
    order by i.seq
  loop
    select * into v_item from labelcrew.items where id = v_row.item;
    insert into labelcrew.item_consensus as c (
      item_id, dataset_id, run_id, payload, probability, method, answers, agreed, gain, created_at
    ) values (
      v_row.item, v_run.dataset_id, v_run.id, v_row.payload, v_row.probability, v_run.method, v_row.answers,
      v_row.agreed, greatest(v_row.gain, 0), v_now
    ) on conflict (item_id) do update set
      run_id = excluded.run_id, payload = excluded.payload, probability = excluded.probability, method = excluded.method,
      answers = excluded.answers, agreed = excluded.agreed, gain = excluded.gain, created_at = excluded.created_at;
    v_saved := v_saved + 1;
    select * into v_final from labelcrew.annotations where id = v_item.annotation_id;
    continue when v_item.state not in ('annotated', 'verified') or cardinality(v_item.answered_by) <> v_row.answers
      or labelcrew.is_decided(v_item.id) or exists (select from unnest(v_item.held) h where h.until > v_now);
    if p_apply and not labelcrew.same_answer(v_final.payload, v_row.payload) then
      select * into v_new from labelcrew.annotations a
      where a.item_id = v_row.item and a.current and a.level = 1 and labelcrew.same_answer(a.payload, v_row.payload)
      order by a.number desc limit 1;
      if v_new.id is not null then
        update labelcrew.items
        set annotation_id = v_new.id, labels = coalesce(labelcrew.labels_of(v_new.payload), '{}'), updated_at = v_now
        where id = v_row.item;
        v_changed := v_changed || v_row.item;
      end if;
    end if;
    if v_row.ask and labelcrew.ask_one_more(v_row.item) then
      v_asked := v_asked || v_row.item;
    end if;
  end loop;
  update labelcrew.consensus_runs
  set changed = changed + cardinality(v_changed), asked = asked + cardinality(v_asked)
  where id = p_run;
  if cardinality(v_changed) + cardinality(v_asked) > 0 then
    perform labelcrew.record_event(v_run.dataset_id, null, 'consensus_applied', v_run.id,
      jsonb_build_object('changed', to_jsonb(v_changed), 'asked', to_jsonb(v_asked), 'method', v_run.method));
  end if;
  return jsonb_build_object('saved', v_saved, 'changed', cardinality(v_changed), 'asked', cardinality(v_asked));
end
$$;

-- The run is complete: what earlier runs said about items that have no crowd any more goes, and of earlier runs the newest
-- fifty stay. Returns {items, changed, asked}.
create or replace function labelcrew_api.finish_consensus_run(p_run uuid) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_run labelcrew.consensus_runs;
begin
  update labelcrew.consensus_runs set finished_at = coalesce(finished_at, labelcrew.now()) where id = p_run returning * into v_run;
  if v_run.id is null then
    perform labelcrew.fail('not-found', 'no such run', jsonb_build_object('run', p_run));
  end if;
  delete from labelcrew.item_consensus where dataset_id = v_run.dataset_id and run_id in (
    select id from labelcrew.consensus_runs
    where dataset_id = v_run.dataset_id and id <> p_run and created_at <= v_run.created_at
  );
  delete from labelcrew.consensus_runs
  where id in (
    select id from labelcrew.consensus_runs where dataset_id = v_run.dataset_id and id <> p_run
    order by created_at desc, id desc offset 50
  );
  return jsonb_build_object('items', v_run.items, 'changed', v_run.changed, 'asked', v_run.asked);
end
$$;

-- Datasets whose method is another than counting, and which have got enough answers since the newest run: a twentieth of
-- those it read, and twenty. [{dataset_id}]. Asked by the worker, for nobody.
create or replace function labelcrew_api.list_stale_consensus() returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('dataset_id', d.id)), '[]')
  from labelcrew.datasets d
    left join lateral (
      select r.seen from labelcrew.consensus_runs r
      where r.dataset_id = d.id and r.finished_at is not null order by r.created_at desc, r.id desc limit 1
    ) r on true
  where coalesce(d.settings ->> 'consensus', 'majority') <> 'majority'
    and abs(labelcrew.count_crowd(d.id) - coalesce(r.seen, 0)) >= greatest(20, coalesce(r.seen, 0) / 20)
$$;

-- The newest complete run, null without one, and the items on which people did not agree, the most doubtful first: {run,
-- items: [{item_id, seq, external_id, state, payload, probability, answers, people: [{user, payload}], counts,
-- extra_overlap}], agreed, disagreed, waiting}. `counts` is the payload that counts now, `waiting` how many items wait for one
-- more person. For reviewers.
create or replace function labelcrew_api.get_consensus(p_actor uuid, p_dataset uuid, p_limit int default 100) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'reviewer');
  return jsonb_build_object(
    'run', (
      select jsonb_build_object(
        'id', r.id, 'job_id', r.job_id, 'method', r.method, 'labelset_version', r.labelset_version, 'items', r.items,
        'answers', r.answers, 'changed', r.changed, 'asked', r.asked, 'annotators', r.annotators, 'note', r.note,
        'created_at', r.created_at
      )
      from labelcrew.consensus_runs r where r.dataset_id = p_dataset and r.finished_at is not null
      order by r.created_at desc, r.id desc limit 1
    ),
    'agreed', (select count(*) from labelcrew.item_consensus where dataset_id = p_dataset and agreed),
    'disagreed', (select count(*) from labelcrew.item_consensus where dataset_id = p_dataset and not agreed),
    'waiting', (
      select count(*) from labelcrew.items
      where dataset_id = p_dataset and cardinality(answered_by) >= 2 and state in ('new', 'drafted', 'returned')
        and extra_overlap > 0
    ),
    'items', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'item_id', i.id, 'seq', i.seq, 'external_id', i.external_id, 'state', i.state, 'payload', c.payload,
        'probability', c.probability, 'answers', c.answers, 'extra_overlap', i.extra_overlap,
        'counts', (select a.payload from labelcrew.annotations a where a.id = i.annotation_id),
        'people', (
          select coalesce(jsonb_agg(jsonb_build_object('user', a.user_id, 'payload', a.payload) order by a.number), '[]')
          from labelcrew.annotations a
          where a.item_id = i.id and a.current and a.level = 1 and a.source = 'human'
        )
      ) order by c.probability, i.seq), '[]')
      from (
        select * from labelcrew.item_consensus
        where dataset_id = p_dataset and not agreed
        order by probability limit least(greatest(p_limit, 1), 500)
      ) c join labelcrew.items i on i.id = c.item_id
    )
  );
end
$$;

-- What a run needs to know of a dataset: {labelset, method, items}, where `items` have answers of several people. Asked by workers, for nobody.
create or replace function labelcrew_api.find_crowd(p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_dataset labelcrew.datasets;
begin
  select * into v_dataset from labelcrew.datasets where id = p_dataset;
  if v_dataset.id is null then
    perform labelcrew.fail('not-found', 'no such dataset', jsonb_build_object('dataset', p_dataset));
  end if;
  return jsonb_build_object(
    'labelset', (
      select labelcrew.labelset_json(l) from labelcrew.labelsets l where l.dataset_id = p_dataset order by l.version desc limit 1
    ),
    'method', coalesce(v_dataset.settings ->> 'consensus', 'majority'),
    'items', (select count(*) from labelcrew.items where dataset_id = p_dataset and cardinality(answered_by) >= 2)
  );
end
$$;
