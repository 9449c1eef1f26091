-- Pages of items: any filter, any order, any depth, in the time that the page itself takes.
--
-- Without a selective filter a page is read off the index of its order, one state at a time, and merged. With one (a
-- label, words, sources, a range of probability) the matches are taken first and sorted, if they are few; if they are many,
-- reading along the order finds a page's worth soon. Which of the two is not left to statistics, which a fresh import does
-- not have yet: with N items, taking C matches costs about as much as walking past 50 N / C items at a quarter of the
-- price each when C = sqrt(12 N), 1,100 of 100,000.

-- Indexes the words of up to about `p_most` items that were taken in since the last time, oldest first. Two who come at
-- once wait for each other: when this returns, everything taken in before is found, up to `p_most`.
create or replace function labelcrew.index_words(p_dataset uuid, p_most int) returns int
language plpgsql set search_path = ''
as $$
declare
  v_pending labelcrew.words_pending;
  v_done int := 0;
  v_count int;
begin
  loop
    select * into v_pending from labelcrew.words_pending where dataset_id = p_dataset order by id limit 1 for update;
    exit when v_pending.id is null or v_done >= p_most;
    insert into labelcrew.item_words (item_id, dataset_id, words)
    select i.id, p_dataset, to_tsvector('simple', left(i.text, 100000))
    from unnest(labelcrew.item_states()) s (state) join labelcrew.items i
      on i.dataset_id = p_dataset and i.state = s.state and i.seq between v_pending.first_seq and v_pending.last_seq
    where i.text is not null
    on conflict do nothing;
    get diagnostics v_count = row_count;
    v_done := v_done + v_count;
    delete from labelcrew.words_pending where id = v_pending.id;
  end loop;
  if v_done > 1000 then
    perform gin_clean_pending_list('labelcrew.item_words_words'::regclass);
  end if;
  return v_done;
end
$$;

-- For the worker that imports: spares the first search the work. Returns how many items were indexed; 0 means all are.
create or replace function labelcrew_api.index_words(p_dataset uuid, p_most int default 20000) returns jsonb
language sql security definer set search_path = ''
as $$ select to_jsonb(labelcrew.index_words(p_dataset, p_most)) $$;

-- A query for all the words of `p_words`; words of three letters or more also match as beginnings. Null without words.
create or replace function labelcrew.words_query(p_words text) returns tsquery
language sql immutable set search_path = ''
as $$
  select string_agg(
    '''' || replace(replace(word, '\', '\\'), '''', '''''') || '''' || case when length(word) >= 3 then ':*' else '' end, ' & '
  )::tsquery
  from unnest(tsvector_to_array(to_tsvector('simple', left(p_words, 1000)))) word
$$;

-- A cursor is the sort, the key and the seq of the last item of a page, in URL-safe base64.
create or replace function labelcrew.cursor_of(p_sort text, p_item labelcrew.items) returns text
language sql stable set search_path = ''
as $$
  select translate(
    encode(convert_to(jsonb_build_array(p_sort, case
      when p_sort = 'priority' then to_jsonb(- p_item.priority)
      when p_sort like '%probability' then to_jsonb(p_item.probability)
      when p_sort = '-updated' then to_jsonb(p_item.updated_at)
    end, p_item.seq)::text, 'UTF8'), 'base64'), E'+/=\n', '-_')
$$;

create or replace function labelcrew.read_cursor(p_cursor text, p_sort text, out o_key text, out o_seq bigint)
language plpgsql immutable set search_path = ''
as $$
declare
  v_parts jsonb;
begin
  v_parts := convert_from(
    decode(rpad(translate(p_cursor, '-_', '+/'), (length(p_cursor) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb;
  if v_parts ->> 0 is distinct from p_sort then
    perform labelcrew.fail('invalid', 'the cursor belongs to a list in another order');
  end if;
  o_key := v_parts ->> 1;
  o_seq := (v_parts ->> 2)::bigint;
  if o_seq is null then
    perform labelcrew.fail('invalid', 'this is not a cursor that a list has given');
  end if;
exception when data_exception then
  perform labelcrew.fail('invalid', 'this is not a cursor that a list has given');
end
$$;

-- `p_sort`: seq, -seq, priority (highest first), probability (lowest first), -probability, -updated. Items without a
-- probability come last in both. `total` is known when only states are asked for. Not stable only because a search may
-- first have to index words.
create or replace function labelcrew_api.list_items(
  p_actor uuid, p_dataset uuid, p_states text[] default null, p_label text default null, p_q text default null,
  p_sources text[] default null, p_min_probability float8 default null, p_max_probability float8 default null,
  p_cursor text default null, p_limit int default 50, p_sort text default 'seq'
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(coalesce(p_limit, 50), 1), 500);
  v_label text := nullif(p_label, '');
  v_q text := nullif(btrim(p_q), '');
  v_words tsquery := labelcrew.words_query(v_q);
  v_selective bool := coalesce(v_label, v_q, p_sources::text, p_min_probability::text, p_max_probability::text) is not null;
  v_states text[] := coalesce(p_states, labelcrew.item_states());
  v_key text;
  v_seq bigint;
  v_filter text := '';
  v_from text;
  v_order text;
  v_after text := '';
  v_after_any text := 'true';
  v_branches text;
  v_common int;
  v_ids uuid[];
  v_hits bigint;
  v_total bigint;
  v_last labelcrew.items;
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  if p_sort is null or p_sort not in ('seq', '-seq', 'priority', 'probability', '-probability', '-updated') then
    perform labelcrew.fail('invalid', format('there is no order %s', p_sort));
  end if;
  if not v_states <@ labelcrew.item_states() then
    perform labelcrew.fail('invalid', 'there is no such state');
  end if;
  if p_cursor is not null then
    select o_key, o_seq into v_key, v_seq from labelcrew.read_cursor(p_cursor, p_sort);
  end if;
  if v_label is not null or p_sources is not null or p_min_probability is not null or p_max_probability is not null then
    v_states := array_remove(v_states, 'new');  -- nobody and nothing has answered these
  end if;
  if v_q is not null then
    perform labelcrew.index_words(p_dataset, 200000);
  end if;

  -- Every piece below is a constant; what the caller sent is only ever a parameter:
  -- $1 dataset, $2 states, $3 label, $4 words, $5 q, $6 sources, $7 $8 probability, $9 key, $10 seq, $11 limit, $12 common
  if v_label is not null then
    v_filter := v_filter || ' and i.labels @> array[$3]';
  end if;
  if v_q is not null then
    -- a scalar query is asked for each row; an `exists` might be turned into a hash of all that match
    v_filter := v_filter || ' and (i.external_id = $5 or coalesce((
      select w.words @@ $4 from labelcrew.item_words w where w.item_id = i.id), false))';
  end if;
  if p_sources is not null then
    v_filter := v_filter || ' and i.source = any ($6)';
  end if;
  if p_min_probability is not null then
    v_filter := v_filter || ' and i.probability >= $7';
  end if;
  if p_max_probability is not null then
    v_filter := v_filter || ' and i.probability <= $8';
  end if;

  v_order := case p_sort
    when 'seq' then 'i.seq' when '-seq' then 'i.seq desc'
    when 'priority' then '(- i.priority), i.seq' when '-updated' then 'i.updated_at desc, i.seq desc'
    when 'probability' then 'i.probability, i.seq' when '-probability' then 'i.probability desc nulls last, i.seq desc'
  end;
  if v_seq is not null then
    v_after := case p_sort
      when 'seq' then 'i.seq > $10' when '-seq' then 'i.seq < $10'
      when 'priority' then '((- i.priority), i.seq) > ($9::float8, $10)'
      when '-updated' then '(i.updated_at, i.seq) < ($9::timestamptz, $10)'
      when 'probability' then '(i.probability, i.seq) > ($9::float8, $10)'
      when '-probability' then '(i.probability, i.seq) < ($9::float8, $10)'
    end;
    v_after_any := case
      when p_sort like '%probability' and v_key is not null then '(i.probability is null or ' || v_after || ')'
      when p_sort = 'probability' then 'i.probability is null and i.seq > $10'
      when p_sort = '-probability' then 'i.probability is null and i.seq < $10'
      else v_after
    end;
    v_after := ' and ' || v_after;
  end if;

  if v_selective then
    select coalesce(sqrt(12 * greatest(sum(n), 0)), 0)::int into v_common from labelcrew.item_counts where dataset_id = p_dataset;
    v_from := case
      when v_label is not null then
        'labelcrew.item_labels l join labelcrew.items i on i.id = l.item_id
         where l.dataset_id = $1 and l.label = $3 and i.state = any ($2)'
      when v_q is not null then
        '((select w.item_id from labelcrew.item_words w where w.dataset_id = $1 and w.words @@ $4 limit $12)
          union
          select x.id from labelcrew.items x where x.dataset_id = $1 and x.external_id = $5) w (item_id)
         join labelcrew.items i on i.id = w.item_id
         where i.state = any ($2)'
      when p_sources is not null then
        'unnest($6) s (source) join labelcrew.items i on i.dataset_id = $1 and i.source = s.source
         where i.state = any ($2)'
      else
        'unnest($2) s (state) join labelcrew.items i on i.dataset_id = $1 and i.state = s.state where true'
    end;
    execute
      'with i as materialized (select i.id, i.seq, i.priority, i.probability, i.updated_at from ' || v_from || v_filter
      || ' limit $12)
       select (select count(*) from i),
         array(select i.id from i where ' || v_after_any || ' order by ' || v_order || ' limit $11)'
    into v_hits, v_ids
    using p_dataset, v_states, v_label, v_words, v_q, p_sources, p_min_probability, p_max_probability, v_key, v_seq,
      v_limit + 1, v_common + 1;
  end if;

  if not v_selective or v_hits > v_common then
    if v_label is not null and p_sort in ('seq', '-seq') then
      execute
        'select array(
           select i.id from labelcrew.item_labels l join labelcrew.items i on i.id = l.item_id
           where l.dataset_id = $1 and l.label = $3 and i.state = any ($2)' || v_filter
        || replace(v_after, 'i.seq', 'l.seq') || ' order by ' || replace(v_order, 'i.seq', 'l.seq') || ' limit $11)'
      into v_ids
      using p_dataset, v_states, v_label, v_words, v_q, p_sources, p_min_probability, p_max_probability, v_key, v_seq,
        v_limit + 1;
    else
      v_from := '(select i.id, i.seq, i.priority, i.probability, i.updated_at from labelcrew.items i
        where i.dataset_id = $1 and i.state = s.state' || v_filter;
      if p_sort not like '%probability' then
        v_branches := v_from || v_after || ' order by ' || v_order || ' limit $11)';
      else
        v_branches := v_from || ' and i.probability is null'
          || case when v_seq is null or v_key is not null then '' when p_sort = 'probability' then ' and i.seq > $10'
             else ' and i.seq < $10' end
          || case when p_sort = 'probability' then ' order by i.probability, i.seq'
             else ' order by i.probability desc, i.seq desc' end || ' limit $11)';
        if v_seq is null or v_key is not null then
          v_branches := v_from || ' and i.probability is not null' || v_after
            || case when p_sort = 'probability' then ' order by i.probability, i.seq'
               else ' order by i.probability desc, i.seq desc' end
            || ' limit $11) union all ' || v_branches;
        end if;
      end if;
      execute
        'select array(select i.id from unnest($2) s (state) cross join lateral (' || v_branches || ') i order by '
        || v_order || ' limit $11)'
      into v_ids
      using p_dataset, v_states, v_label, v_words, v_q, p_sources, p_min_probability, p_max_probability, v_key, v_seq,
        v_limit + 1;
    end if;
  end if;

  if not v_selective then
    select coalesce(sum(n), 0) into v_total from labelcrew.item_counts
    where dataset_id = p_dataset and state = any (v_states);
  end if;
  if cardinality(v_ids) > v_limit then
    select * into v_last from labelcrew.items where id = v_ids[v_limit];
  end if;
  return jsonb_build_object(
    'items', labelcrew.items_json(v_ids[:v_limit], p_actor),
    'next_cursor', case when v_last.id is not null then labelcrew.cursor_of(p_sort, v_last) end,
    'total', v_total
  );
end
$$;
