-- Labelsets: what may be answered about the items of a dataset, version by version, and the check of an answer by one.

create or replace function labelcrew.labelset_json(p_labelset labelcrew.labelsets) returns jsonb
language sql immutable
as $$
  select jsonb_build_object(
    'kind', (p_labelset).kind, 'classes', (p_labelset).classes, 'multi', (p_labelset).multi,
    'allow_overlap', (p_labelset).allow_overlap, 'version', (p_labelset).version
  )
$$;

-- The version asked for, or the newest. `no-labelset` when there is none, `not-found` for a version that never was.
create or replace function labelcrew.find_labelset(p_dataset uuid, p_version int default null) returns labelcrew.labelsets
language plpgsql stable set search_path = ''
as $$
declare
  v_labelset labelcrew.labelsets;
begin
  select * into v_labelset from labelcrew.labelsets
  where dataset_id = p_dataset and (p_version is null or version = p_version)
  order by version desc limit 1;
  if v_labelset.version is null then
    if p_version is null or not exists (select from labelcrew.labelsets where dataset_id = p_dataset) then
      perform labelcrew.fail('no-labelset', 'the dataset has no labelset yet', jsonb_build_object('dataset', p_dataset));
    end if;
    perform labelcrew.fail('not-found', format('the dataset has no labelset version %s', p_version),
      jsonb_build_object('labelset_version', p_version));
  end if;
  return v_labelset;
end
$$;

-- The classes as they are stored: names trimmed, keys filled in. A class without a key is the old class of the same name,
-- if there is one, else its name becomes its key. Old classes that are missing stay, retired: answers may name them.
create or replace function labelcrew.settled_classes(p_classes jsonb, p_old jsonb) returns jsonb
language sql immutable set search_path = ''
as $$
  with given as (
    select g.n, jsonb_strip_nulls(g.class) as class, btrim(g.class ->> 'name') as name,
      coalesce(
        nullif(g.class ->> 'key', ''),
        (
          select o.class ->> 'key' from jsonb_array_elements(p_old) o (class)
          where o.class ->> 'name' = btrim(g.class ->> 'name')
          order by coalesce((o.class ->> 'retired')::bool, false) limit 1
        ),
        btrim(g.class ->> 'name')
      ) as key
    from jsonb_array_elements(p_classes) with ordinality g (class, n)
  )
  select jsonb_agg(c.class order by c.retired_late, c.n)
  from (
    select 0 as retired_late, n,
      jsonb_build_object('description', '', 'color', '', 'hotkey', '', 'examples', '[]'::jsonb, 'retired', false)
        || class || jsonb_build_object('name', name, 'key', key) as class
    from given
    union all
    select 1, o.n, o.class || '{"retired": true, "hotkey": ""}'
    from jsonb_array_elements(p_old) with ordinality o (class, n)
    where o.class ->> 'key' not in (select key from given)
  ) c
$$;

create or replace function labelcrew.check_classes(p_classes jsonb) returns void
language plpgsql immutable set search_path = ''
as $$
declare
  v_class jsonb;
  v_twice text;
begin
  for v_class in select value from jsonb_array_elements(p_classes) loop
    if coalesce(length(v_class ->> 'name'), 0) not between 1 and 200 or length(v_class ->> 'key') not between 1 and 200 then
      perform labelcrew.fail('invalid-labelset', 'the name and the key of a class have 1 to 200 characters');
    end if;
    if v_class - array['name', 'key', 'description', 'color', 'hotkey', 'examples', 'retired'] <> '{}'
      or jsonb_typeof(v_class -> 'retired') <> 'boolean' or jsonb_typeof(v_class -> 'examples') <> 'array'
      or jsonb_typeof(v_class -> 'description') <> 'string' or jsonb_typeof(v_class -> 'color') <> 'string'
      or jsonb_typeof(v_class -> 'hotkey') <> 'string' or v_class ->> 'color' !~ '^(#[0-9a-fA-F]{6})?$' or length(v_class ->> 'hotkey') > 1
      or length(v_class ->> 'description') > 4000 or jsonb_array_length(v_class -> 'examples') > 50
    then
      perform labelcrew.fail('invalid-labelset', format('the class %s is not well-formed', v_class ->> 'name'));
    end if;
  end loop;
  select t.what || ' ' || t.value into v_twice
  from (
    select 'name' as what, lower(c ->> 'name') as value
    from jsonb_array_elements(p_classes) c where not (c ->> 'retired')::bool
    union all
    select 'key', c ->> 'key' from jsonb_array_elements(p_classes) c
    union all
    select 'hotkey', c ->> 'hotkey'
    from jsonb_array_elements(p_classes) c where not (c ->> 'retired')::bool and c ->> 'hotkey' <> ''
  ) t
  group by t.what, t.value having count(*) > 1 order by 1 limit 1;
  if found then
    perform labelcrew.fail('invalid-labelset', format('two classes share the %s', v_twice));
  end if;
  if not exists (select from jsonb_array_elements(p_classes) c where not (c ->> 'retired')::bool) then
    perform labelcrew.fail('invalid-labelset', 'no class is left that can be given');
  end if;
  if jsonb_array_length(p_classes) > 1000 then
    perform labelcrew.fail('invalid-labelset', 'a labelset has at most 1000 classes, retired ones included');
  end if;
end
$$;

-- The next version. The kind may change only as long as nothing was answered.
create or replace function labelcrew_api.create_labelset(
  p_actor uuid, p_dataset uuid, p_kind text, p_classes jsonb, p_multi bool default false, p_allow_overlap bool default false
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_old labelcrew.labelsets;
  v_new labelcrew.labelsets;
  v_classes jsonb;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  if p_kind not in ('classification', 'spans', 'boxes', 'polygons', 'segments') then
    perform labelcrew.fail('invalid-labelset', format('there is no kind %s', p_kind));
  end if;
  if jsonb_typeof(p_classes) is distinct from 'array'
    or exists (select from jsonb_array_elements(p_classes) c where jsonb_typeof(c) <> 'object')
  then
    perform labelcrew.fail('invalid-labelset', 'classes are a list of objects');
  end if;
  perform from labelcrew.datasets where id = p_dataset for no key update;
  select * into v_old from labelcrew.labelsets where dataset_id = p_dataset order by version desc limit 1;
  if v_old.kind <> p_kind and (
    exists (select from labelcrew.predictions where dataset_id = p_dataset)
    or exists (select from labelcrew.annotations where dataset_id = p_dataset)
  ) then
    perform labelcrew.fail('invalid-labelset', format('items were answered with %s already', v_old.kind), '{}',
      'Make another dataset for another kind of label.');
  end if;
  v_classes := labelcrew.settled_classes(p_classes, coalesce(v_old.classes, '[]'));
  perform labelcrew.check_classes(coalesce(v_classes, '[]'));
  insert into labelcrew.labelsets (dataset_id, version, kind, classes, keys, multi, allow_overlap, created_by)
  values (
    p_dataset, coalesce(v_old.version, 0) + 1, p_kind, v_classes,
    array(select c ->> 'key' from jsonb_array_elements(v_classes) c where not (c ->> 'retired')::bool),
    p_multi, p_allow_overlap, p_actor
  )
  returning * into v_new;
  update labelcrew.datasets set updated_at = labelcrew.now() where id = p_dataset;
  perform labelcrew.record_event(p_dataset, p_actor, 'labelset_created', p_dataset,
    jsonb_build_object('version', v_new.version, 'kind', p_kind, 'classes', cardinality(v_new.keys)));
  return labelcrew.labelset_json(v_new);
end
$$;

-- Newest first.
create or replace function labelcrew_api.list_labelsets(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select coalesce(jsonb_agg(labelcrew.labelset_json(l) order by l.version desc), '[]')
    from labelcrew.labelsets l where l.dataset_id = p_dataset
  );
end
$$;

create or replace function labelcrew_api.get_labelset(p_actor uuid, p_dataset uuid, p_version int default null) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return labelcrew.labelset_json(labelcrew.find_labelset(p_dataset, p_version));
end
$$;

-- Answers ------------------------------------------------------------------------------------------------------------

-- The class keys that a payload names, each once.
create or replace function labelcrew.labels_of(p_payload jsonb) returns text[]
language plpgsql immutable set search_path = ''
as $$
begin
  if p_payload ? 'labels' then
    return array(select jsonb_array_elements_text(p_payload -> 'labels'));
  end if;
  return array(select distinct e ->> 'label' from jsonb_each(p_payload) k, jsonb_array_elements(k.value) e order by 1);
end
$$;

-- Why `p_payload` is no legal answer under the labelset, in words; null if it is one. `p_length` is the length of the
-- text in code points; null where there is none. The same rules as schemas.labelsets.check_payload.
create or replace function labelcrew.payload_problem(p_labelset labelcrew.labelsets, p_payload jsonb, p_length int)
returns text
language plpgsql immutable set search_path = ''
as $$
declare
  v_kind text := p_labelset.kind;
  v_shape text := case v_kind when 'classification' then 'labels' else v_kind end;
  v_list jsonb := p_payload -> v_shape;
  v_labels text[];
  v_unknown text;
  v_bad jsonb;
begin
  if jsonb_typeof(p_payload) is distinct from 'object' or jsonb_typeof(v_list) is distinct from 'array'
    or p_payload - v_shape <> '{}'
  then
    return format('this dataset takes %s', v_kind);
  end if;
  if v_kind = 'classification' then
    if exists (select from jsonb_array_elements(v_list) e where jsonb_typeof(e) <> 'string') then
      return 'labels are names';
    end if;
    v_labels := array(select jsonb_array_elements_text(v_list));
  else
    if exists (select from jsonb_array_elements(v_list) e where jsonb_typeof(e -> 'label') is distinct from 'string') then
      return format('each of the %s has a label', v_kind);
    end if;
    v_labels := array(select e ->> 'label' from jsonb_array_elements(v_list) e);
  end if;
  select l into v_unknown from unnest(v_labels) l where l <> all (p_labelset.keys) limit 1;
  if found then
    return format('unknown class %s', quote_literal(v_unknown));
  end if;
  case v_kind
    when 'classification' then
      if not p_labelset.multi and cardinality(v_labels) <> 1 then
        return format('exactly one label is needed, %s were given', cardinality(v_labels));
      end if;
      if (select count(distinct l) from unnest(v_labels) l) <> cardinality(v_labels) then
        return 'a label is given twice';
      end if;
    when 'spans' then
      select e into v_bad from jsonb_array_elements(v_list) e
      where e - array['start', 'end', 'label'] <> '{}'
        or not labelcrew.is_count(e -> 'start') or not labelcrew.is_count(e -> 'end')
        or (e ->> 'end')::numeric <= (e ->> 'start')::numeric
      limit 1;
      if found then
        return 'a span starts at a code point and ends after it';
      end if;
      select e into v_bad from jsonb_array_elements(v_list) e where (e ->> 'end')::numeric > p_length limit 1;
      if found then
        return format('a span from %s to %s lies outside the text of %s characters',
          v_bad ->> 'start', v_bad ->> 'end', p_length);
      end if;
      if not p_labelset.allow_overlap and labelcrew.places_overlap(v_list, 'start', 'end') then
        return 'two spans overlap';
      end if;
    when 'segments' then
      select e into v_bad from jsonb_array_elements(v_list) e
      where e - array['start_s', 'end_s', 'label'] <> '{}' or jsonb_typeof(e -> 'start_s') is distinct from 'number'
        or jsonb_typeof(e -> 'end_s') is distinct from 'number'
        or (e ->> 'start_s')::numeric < 0 or (e ->> 'end_s')::numeric <= (e ->> 'start_s')::numeric
      limit 1;
      if found then
        return 'a segment starts at a second and ends after it';
      end if;
      if not p_labelset.allow_overlap and labelcrew.places_overlap(v_list, 'start_s', 'end_s') then
        return 'two segments overlap';
      end if;
    when 'boxes' then
      select e into v_bad from jsonb_array_elements(v_list) e
      where e - array['x', 'y', 'width', 'height', 'rotation', 'label'] <> '{}'
        or jsonb_typeof(e -> 'x') is distinct from 'number' or jsonb_typeof(e -> 'y') is distinct from 'number'
        or jsonb_typeof(e -> 'width') is distinct from 'number' or jsonb_typeof(e -> 'height') is distinct from 'number'
        or jsonb_typeof(coalesce(e -> 'rotation', '0')) <> 'number'
        or (e ->> 'width')::numeric <= 0 or (e ->> 'height')::numeric <= 0
      limit 1;
      if found then
        return 'a box has x, y, width and height in pixels';
      end if;
    when 'polygons' then
      select e into v_bad from jsonb_array_elements(v_list) e
      where e - array['points', 'label'] <> '{}' or jsonb_typeof(e -> 'points') is distinct from 'array'
        or jsonb_array_length(e -> 'points') < 3
        or exists (
          select from jsonb_array_elements(e -> 'points') p
          where jsonb_typeof(p) <> 'array' or jsonb_array_length(p) <> 2
            or jsonb_typeof(p -> 0) <> 'number' or jsonb_typeof(p -> 1) <> 'number'
        )
      limit 1;
      if found then
        return 'a polygon has three points or more, each an x and a y in pixels';
      end if;
  end case;
  return null;
end
$$;

create or replace function labelcrew.is_count(p_value jsonb) returns bool
language sql immutable set search_path = ''
as $$
  select coalesce(
    jsonb_typeof(p_value) = 'number' and p_value::text::numeric >= 0 and p_value::text::numeric = trunc(p_value::text::numeric),
    false
  )
$$;

create or replace function labelcrew.places_overlap(p_places jsonb, p_start text, p_end text) returns bool
language sql immutable set search_path = ''
as $$
  select coalesce(bool_or(p.starts < p.latest_end), false)
  from (
    select (e ->> p_start)::numeric as starts,
      max((e ->> p_end)::numeric) over (
        order by (e ->> p_start)::numeric, (e ->> p_end)::numeric rows between unbounded preceding and 1 preceding
      ) as latest_end
    from jsonb_array_elements(p_places) e
  ) p
$$;
