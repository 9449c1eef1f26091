-- Datasets: what a team works on, how its work flows, and how far it is.

-- Nobody changes the workflow of a dataset while an answer is being settled by it, and the other way round. Those who
-- answer share the lock; it is advisory, so that twenty of them do not write to one row.
create or replace function labelcrew.share_workflow(p_dataset uuid) returns void
language sql set search_path = ''
as $$ select pg_advisory_xact_lock_shared(hashtextextended('workflow ' || p_dataset, 0)) $$;

create or replace function labelcrew.own_workflow(p_dataset uuid) returns void
language sql set search_path = ''
as $$ select pg_advisory_xact_lock(hashtextextended('workflow ' || p_dataset, 0)) $$;

-- Refuses settings that schemas.world.DatasetSettings would not read back.
create or replace function labelcrew.check_settings(p_settings jsonb) returns void
language plpgsql immutable set search_path = ''
as $$
declare
  v_key text;
  v_value jsonb;
  v_least numeric;
  v_most numeric;
begin
  if jsonb_typeof(p_settings) is distinct from 'object' then
    perform labelcrew.fail('invalid', 'settings are an object');
  end if;
  for v_key, v_value in select key, value from jsonb_each(p_settings) loop
    if v_key = 'model' then
      if jsonb_typeof(v_value) not in ('string', 'null') then
        perform labelcrew.fail('invalid', 'the setting model is a name or null', jsonb_build_object('setting', v_key));
      end if;
      continue;
    end if;
    if v_key = 'queue_order' then
      if v_value not in ('"adaptive"', '"arrival"') then
        perform labelcrew.fail('invalid', 'the setting queue_order is adaptive or arrival',
          jsonb_build_object('setting', v_key));
      end if;
      continue;
    end if;
    if v_key = 'consensus' then
      if jsonb_typeof(v_value) <> 'string' or v_value #>> '{}' not in (
        'majority', 'weighted', 'dawid_skene', 'pooled', 'glad', 'mace', 'crowdlab', 'with_model'
      ) then
        perform labelcrew.fail('invalid',
          'the setting consensus is majority, weighted, dawid_skene, pooled, glad, mace, crowdlab or with_model',
          jsonb_build_object('setting', v_key));
      end if;
      continue;
    end if;
    if v_key = 'pseudo_labels' then
      if jsonb_typeof(v_value) <> 'boolean' then
        perform labelcrew.fail('invalid', 'the setting pseudo_labels is true or false', jsonb_build_object('setting', v_key));
      end if;
      continue;
    end if;
    if v_key in ('budget_usd', 'max_per_day') and v_value = 'null' then
      continue;
    end if;
    if v_key = 'sla_minutes' then
      if jsonb_typeof(v_value) <> 'object' or exists (
        select from jsonb_each(case jsonb_typeof(v_value) when 'object' then v_value else '{}' end) s
        where s.key not in ('annotated', 'reviewed', 'returned', 'skipped') or case jsonb_typeof(s.value)
          when 'number' then s.value::numeric not between 1 and 525600 or s.value::numeric <> trunc(s.value::numeric)
          else true
        end
      ) then
        perform labelcrew.fail('invalid',
          'the setting sla_minutes gives minutes, 1 to 525600, for annotated, reviewed, returned, skipped',
          jsonb_build_object('setting', v_key));
      end if;
      continue;
    end if;
    select least_value, most_value into v_least, v_most
    from (values
      ('review_levels', 1, 3), ('overlap', 1, 50), ('lease_seconds', 10, 86400), ('gold_share', 0, 0.5),
      ('blind_share', 0, 0.5), ('audit_share', 0, 0.5), ('crew_threshold', 0, 1), ('budget_usd', 0, 1e12),
      ('review_share_new', 0, 1), ('review_share_trusted', 0, 1), ('review_trusted_after', 1, 1000),
      ('review_lease_seconds', 10, 86400), ('return_seconds', 0, 2592000), ('appeal_seconds', 0, 2592000),
      ('expiry_limit', 1, 1000), ('max_open', 1, 100), ('max_per_day', 1, 100000)
    ) as known (name, least_value, most_value)
    where known.name = v_key;
    if not found then
      perform labelcrew.fail('invalid', format('there is no setting %s', v_key), jsonb_build_object('setting', v_key));
    end if;
    if jsonb_typeof(v_value) <> 'number' or v_value::numeric not between v_least and v_most
      or (v_key in ('review_levels', 'overlap', 'lease_seconds', 'review_trusted_after', 'review_lease_seconds', 'return_seconds',
        'appeal_seconds', 'expiry_limit', 'max_open', 'max_per_day') and v_value::numeric <> trunc(v_value::numeric))
    then
      perform labelcrew.fail('invalid', format('the setting %s lies between %s and %s', v_key, v_least, v_most),
        jsonb_build_object('setting', v_key));
    end if;
  end loop;
end
$$;

create or replace function labelcrew.overlap_of(p_settings jsonb) returns int
language sql immutable as $$ select coalesce((p_settings ->> 'overlap')::int, 1) $$;

create or replace function labelcrew.review_levels_of(p_settings jsonb) returns int
language sql immutable as $$ select coalesce((p_settings ->> 'review_levels')::int, 1) $$;

create or replace function labelcrew.lease_seconds_of(p_settings jsonb) returns int
language sql immutable as $$ select coalesce((p_settings ->> 'lease_seconds')::int, 600) $$;

create or replace function labelcrew.state_counts(p_dataset uuid) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_object_agg(s.state, coalesce(c.n, 0))
  from unnest(labelcrew.item_states()) s (state) left join (
    select state, sum(n) as n from labelcrew.item_counts where dataset_id = p_dataset group by state
  ) c using (state)
$$;

create or replace function labelcrew.dataset_json(p_dataset labelcrew.datasets, p_role text) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'id', (p_dataset).id, 'name', (p_dataset).name, 'modality', (p_dataset).modality,
    'guidelines', (p_dataset).guidelines, 'settings', (p_dataset).settings, 'role', p_role,
    'items', (select coalesce(sum(s.value::bigint), 0) from jsonb_each_text(c.states) s), 'states', c.states,
    'labelset', (
      select labelcrew.labelset_json(l) from labelcrew.labelsets l
      where l.dataset_id = (p_dataset).id order by l.version desc limit 1
    ),
    'embedding_model', (p_dataset).embedding_model,
    'created_at', (p_dataset).created_at, 'updated_at', (p_dataset).updated_at
  )
  from labelcrew.state_counts((p_dataset).id) as c (states)
$$;

create or replace function labelcrew.checked_name(p_name text) returns text
language plpgsql immutable set search_path = ''
as $$
begin
  if coalesce(length(btrim(p_name)), 0) not between 1 and 200 then
    perform labelcrew.fail('invalid', 'a name has 1 to 200 characters');
  end if;
  return btrim(p_name);
end
$$;

-- The creator becomes its admin. Two datasets of one person may not share a name.
create or replace function labelcrew_api.create_dataset(
  p_actor uuid, p_name text, p_modality text default 'text', p_guidelines text default '', p_settings jsonb default '{}'
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset labelcrew.datasets;
  v_name text := labelcrew.checked_name(p_name);
begin
  if not exists (select from labelcrew.users where id = p_actor and active) then
    perform labelcrew.fail('not-found', 'no such user');
  end if;
  perform labelcrew.check_settings(p_settings);
  insert into labelcrew.datasets (owner_id, name, modality, guidelines, settings)
  values (p_actor, v_name, p_modality, coalesce(p_guidelines, ''), p_settings)
  on conflict (owner_id, name) do nothing
  returning * into v_dataset;
  if v_dataset.id is null then
    perform labelcrew.fail('duplicate-name', format('you have a dataset named %s already', v_name));
  end if;
  insert into labelcrew.members (dataset_id, user_id, role) values (v_dataset.id, p_actor, 'admin');
  perform labelcrew.record_event(v_dataset.id, p_actor, 'dataset_created', v_dataset.id,
    jsonb_build_object('name', v_name, 'modality', p_modality));
  return labelcrew.dataset_json(v_dataset, 'admin');
end
$$;

-- Newest first.
create or replace function labelcrew_api.list_datasets(p_actor uuid) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(labelcrew.dataset_json(d, m.role) order by d.created_at desc, d.id desc), '[]')
  from labelcrew.members m
    join labelcrew.users u on u.id = m.user_id and u.active
    join labelcrew.datasets d on d.id = m.dataset_id
  where m.user_id = p_actor
$$;

create or replace function labelcrew_api.get_dataset(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_role text := labelcrew.require_role(p_actor, p_dataset);
begin
  return (select labelcrew.dataset_json(d, v_role) from labelcrew.datasets d where d.id = p_dataset);
end
$$;

-- `p_patch` may hold name, guidelines and settings; settings that it does not name stay. A smaller overlap, or fewer
-- review levels, finish the items that now have answers enough.
create or replace function labelcrew_api.update_dataset(p_actor uuid, p_dataset uuid, p_patch jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_role text := labelcrew.require_role(p_actor, p_dataset, 'admin');
  v_old labelcrew.datasets;
  v_new labelcrew.datasets;
  v_item uuid;
  v_unknown text;
begin
  if jsonb_typeof(p_patch) is distinct from 'object' then
    perform labelcrew.fail('invalid', 'a patch is an object');
  end if;
  select key into v_unknown from jsonb_object_keys(p_patch) key where key not in ('name', 'guidelines', 'settings');
  if found then
    perform labelcrew.fail('invalid', format('%s cannot be changed', v_unknown));
  end if;
  if p_patch ? 'settings' then
    perform labelcrew.check_settings(p_patch -> 'settings');
    perform labelcrew.own_workflow(p_dataset);
  end if;
  select * into v_old from labelcrew.datasets where id = p_dataset for no key update;
  v_new := v_old;
  v_new.name := case when p_patch ? 'name' then labelcrew.checked_name(p_patch ->> 'name') else v_old.name end;
  if exists (
    select from labelcrew.datasets where owner_id = v_old.owner_id and name = v_new.name and id <> p_dataset
  ) then
    perform labelcrew.fail('duplicate-name', format('there is a dataset named %s already', v_new.name));
  end if;
  update labelcrew.datasets
  set name = v_new.name,
      guidelines = coalesce(p_patch ->> 'guidelines', guidelines),
      settings = settings || coalesce(p_patch -> 'settings', '{}'),
      updated_at = labelcrew.now()
  where id = p_dataset
  returning * into v_new;
  if labelcrew.overlap_of(v_new.settings) < labelcrew.overlap_of(v_old.settings) then
    for v_item in
      select id from labelcrew.items
      where dataset_id = p_dataset and state in ('new', 'drafted', 'returned', 'skipped')
        and cardinality(answered_by) >= labelcrew.overlap_of(v_new.settings)
      order by seq for no key update
    loop
      perform labelcrew.settle_item(v_item);
    end loop;
  end if;
  if labelcrew.review_levels_of(v_new.settings) < labelcrew.review_levels_of(v_old.settings) then
    for v_item in
      select id from labelcrew.items
      where dataset_id = p_dataset and state in ('annotated', 'reviewed') order by seq for no key update
    loop
      perform labelcrew.settle_item(v_item);
    end loop;
  end if;
  perform labelcrew.record_event(p_dataset, p_actor, 'dataset_updated', p_dataset, p_patch - 'guidelines'
    || case when p_patch ? 'guidelines' then '{"guidelines": "changed"}' else '{}' end::jsonb);
  return labelcrew.dataset_json(v_new, v_role);
end
$$;

-- Everything in it goes, table by table: cascades would do it row by row. The audit log stays.
create or replace function labelcrew_api.delete_dataset(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_name text;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  select name into v_name from labelcrew.datasets where id = p_dataset for update;
  delete from labelcrew.predictions where dataset_id = p_dataset;
  delete from labelcrew.annotations where dataset_id = p_dataset;
  delete from labelcrew.embeddings where dataset_id = p_dataset;
  delete from labelcrew.items where dataset_id = p_dataset;
  delete from labelcrew.item_counts where dataset_id = p_dataset;
  delete from labelcrew.datasets where id = p_dataset;
  perform labelcrew.record_event(p_dataset, p_actor, 'dataset_deleted', p_dataset, jsonb_build_object('name', v_name));
  return jsonb_build_object('deleted', true);
end
$$;
