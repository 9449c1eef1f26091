-- Search: words, meaning, and the labels that the question speaks of, each a ranking of its own, fused into one.
--
-- Reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009): an item scores 1 / (60 + rank) in each ranking that has
-- it. No scale of one ranking has to be made comparable with another's.

-- Any of the words, without beginnings; short ones, which mostly stand everywhere, only where there are no others.
create or replace function labelcrew.any_word_query(p_words text) returns tsquery
language sql immutable set search_path = ''
as $$
  select string_agg('''' || replace(replace(word, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery
  from (
    select word, rank() over (order by length(word) >= 4 desc) as place
    from unnest(tsvector_to_array(to_tsvector('simple', left(p_words, 1000)))) word
  ) w
  where place = 1
$$;

-- Ids by how well their words fit, best first, of the first thousand that have them.
create or replace function labelcrew.ids_by_words(p_dataset uuid, p_words tsquery, p_limit int, p_filter jsonb) returns uuid[]
language plpgsql stable set search_path = ''
as $$
declare
  v_more text := labelcrew.filter_conditions(p_filter);
  v_ids uuid[];
begin
  execute
    'select array_agg(x.item_id order by x.fit desc, x.item_id)
     from (
       select f.item_id, ts_rank(f.words, $8) as fit
       from (
         select w.item_id, w.words from labelcrew.item_words w
         where w.dataset_id = $1 and w.words @@ $8'
    || case when v_more = 'true' then '' else ' and (select ' || v_more || ' from labelcrew.items i where i.id = w.item_id)' end
    || ' limit 1000
       ) f
       order by 2 desc, 1 limit $9
     ) x'
  into v_ids
  using p_dataset, labelcrew.texts_of(p_filter, 'states'), p_filter ->> 'label', labelcrew.texts_of(p_filter, 'sources'),
    (p_filter ->> 'annotator')::uuid, (p_filter ->> 'since')::timestamptz, (p_filter ->> 'until')::timestamptz,
    p_words, p_limit;
  return v_ids;
end
$$;

-- [{item, score, by, similarity}], best first. `p_q` is searched for by its words, `p_vector` (of the same question, or
-- null) by its meaning, and `p_labels` are class keys that the question speaks of: items that carry one and are near to it
-- rank in a list of their own. With `p_item` instead, what is like it. Not stable only because words may have to be
-- indexed first.
create or replace function labelcrew_api.search_items(
  p_actor uuid, p_dataset uuid, p_q text default null, p_vector jsonb default null, p_item uuid default null,
  p_labels text[] default null, p_filter jsonb default null, p_limit int default 20
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(coalesce(p_limit, 20), 1), 100);
  v_deep int := 2 * v_limit + 30;
  v_filter jsonb := labelcrew.check_filter(p_filter);
  v_q text := nullif(btrim(p_q), '');
  v_all tsquery := labelcrew.words_query(v_q);
  v_vector @extensions@.halfvec(384);
  v_words uuid[];
  v_some uuid[];
  v_meaning uuid[];
  v_distances float8[];
  v_labelled uuid[] := '{}';
  v_label text;
  v_near uuid[];
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  if p_item is not null then
    if not exists (select from labelcrew.items where id = p_item and dataset_id = p_dataset) then
      perform labelcrew.fail('not-found', 'no such item in this dataset', jsonb_build_object('item', p_item));
    end if;
    select vector into v_vector from labelcrew.embeddings where item_id = p_item;
  elsif nullif(p_vector, 'null') is not null then
    v_vector := labelcrew.vector_of(p_vector);
  end if;
  if v_q is not null then
    perform labelcrew.index_words(p_dataset, 200000);
    if v_all is not null then
      v_words := labelcrew.ids_by_words(p_dataset, v_all, v_deep, v_filter);
      if coalesce(cardinality(v_words), 0) < v_limit then
        v_some := labelcrew.ids_by_words(p_dataset, labelcrew.any_word_query(v_q), v_deep, v_filter);
        v_words := coalesce(v_words, '{}') || array(
          select s.id from unnest(v_some) with ordinality s (id, n) where s.id <> all (coalesce(v_words, '{}')) order by s.n
        );
      end if;
    end if;
    -- Who pastes an external id, and narrows nothing, means that item.
    v_words := array(
      select i.id from labelcrew.items i
      where i.dataset_id = p_dataset and i.external_id = v_q and v_filter = '{}'
    ) || coalesce(v_words, '{}');
  end if;
  if v_vector is not null then
    select n.o_ids, n.o_distances into v_meaning, v_distances
    from labelcrew.nearest_ids(p_dataset, v_vector, v_deep, v_filter, p_item) n;
    foreach v_label in array coalesce(p_labels, '{}') loop
      continue when v_filter ? 'label';
      select n.o_ids into v_near
      from labelcrew.nearest_ids(p_dataset, v_vector, v_deep, v_filter || jsonb_build_object('label', v_label), p_item) n;
      v_labelled := v_labelled || coalesce(v_near, '{}');
    end loop;
  end if;
  return (
    with ranked as (
      select id, n, 'words' as by from unnest(v_words) with ordinality w (id, n)
      union all
      select id, n, 'meaning' from unnest(v_meaning) with ordinality m (id, n)
      union all
      select id, min(n), 'label' from unnest(v_labelled) with ordinality l (id, n) group by 1
    ), fused as (
      select id, sum(1.0 / (60 + n)) as score, array_agg(by order by by) as by
      from ranked group by id order by 2 desc, 1 limit v_limit
    )
    select coalesce(jsonb_agg(jsonb_build_object(
      'item', j.item, 'score', f.score, 'by', f.by, 'similarity', (
        select 1 - (e.vector operator(@extensions@.<=>) v_vector) from labelcrew.embeddings e
        where e.item_id = f.id and v_vector is not null
      )) order by f.score desc, f.id), '[]')
    from fused f
      join jsonb_array_elements(labelcrew.items_json(array(select id from fused), p_actor)) j (item) on (j.item ->> 'id')::uuid = f.id
  );
end
$$;
