-- Calibrations: how often a model that claims so much is right, learnt from its drafts that people have judged since.

-- Whether two payloads say the same: labels and spans in any order.
create or replace function labelcrew.same_answer(p_one jsonb, p_other jsonb) returns bool
language sql immutable
as $$
  select p_one = p_other or case
    when p_one ? 'labels' then p_one -> 'labels' @> (p_other -> 'labels') and p_one -> 'labels' <@ (p_other -> 'labels')
    when p_one ? 'spans' then p_one -> 'spans' @> (p_other -> 'spans') and p_one -> 'spans' <@ (p_other -> 'spans')
      and jsonb_array_length(p_one -> 'spans') = jsonb_array_length(p_other -> 'spans')
    else false
  end
$$;

-- A model's drafts that people have judged since, newest first: [{confidence, right, route, signals, labelset_version}],
-- one an item. With a route or a labelset version, only those. Asked by workers and the gateway, for nobody.
create or replace function labelcrew_api.list_judged_drafts(
  p_dataset uuid, p_model text, p_limit int default 5000, p_route text default null, p_labelset_version int default null
) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'confidence', j.confidence, 'right', j.is_right, 'route', j.route, 'signals', j.signals,
    'labelset_version', j.labelset_version
  )), '[]')
  from (
    select p.confidence, p.route, p.signals, p.labelset_version,
      coalesce(labelcrew.same_answer(p.payload, a.payload), false) as is_right
    from labelcrew.items i
      join labelcrew.annotations a on a.id = i.annotation_id and a.source = 'human'
      join lateral (
        select p.confidence, p.payload, p.route, p.signals, p.labelset_version from labelcrew.predictions p
        where p.item_id = i.id and p.model = p_model and p.payload is not null and p.confidence is not null
          and p.created_at <= a.created_at
          and (p_route is null or p.route = p_route)
          and (p_labelset_version is null or p.labelset_version = p_labelset_version)
        order by p.number desc limit 1
      ) p on true
    where i.dataset_id = p_dataset and i.state = 'verified'
    order by a.number desc limit least(greatest(p_limit, 1), 20000)
  ) j
$$;

-- Which models have judged drafts whose number differs from what their newest calibration was taught:
-- [{model, route, labelset_version, judged, trained_on}]. The embedded model is left out: its student is calibrated by itself.
create or replace function labelcrew_api.list_stale_calibrations(p_dataset uuid) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'model', j.model, 'route', j.route, 'labelset_version', j.labelset_version, 'judged', j.judged,
    'trained_on', c.trained_on
  )), '[]')
  from (
    select p.model, p.route, p.labelset_version, count(distinct i.id) as judged
    from labelcrew.items i
      join labelcrew.annotations a on a.id = i.annotation_id and a.source = 'human'
      join labelcrew.predictions p on p.item_id = i.id and p.created_at <= a.created_at
    where i.dataset_id = p_dataset and i.state = 'verified' and p.payload is not null and p.confidence is not null
      and p.route in ('llm', 'crew', 'import')
    group by 1, 2, 3
  ) j
    left join lateral (
      select c.trained_on from labelcrew.calibrations c
      where c.dataset_id = p_dataset and c.model = j.model and c.route = j.route
        and c.labelset_version = j.labelset_version
      order by c.version desc limit 1
    ) c on true
  where j.judged is distinct from c.trained_on
$$;

create or replace function labelcrew.calibration_json(c labelcrew.calibrations) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'model', (c).model, 'route', (c).route, 'labelset_version', (c).labelset_version, 'version', (c).version,
    'curve', (c).curve, 'blend', (c).blend, 'metrics', (c).metrics, 'trained_on', (c).trained_on,
    'created_at', (c).created_at
  )
$$;

-- The next version.
create or replace function labelcrew_api.save_calibration(
  p_dataset uuid, p_model text, p_route text, p_labelset_version int, p_curve jsonb, p_blend jsonb, p_metrics jsonb,
  p_trained_on int
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_made labelcrew.calibrations;
begin
  perform from labelcrew.datasets where id = p_dataset for no key update;
  if not found then
    perform labelcrew.fail('not-found', 'no such dataset', jsonb_build_object('dataset', p_dataset));
  end if;
  insert into labelcrew.calibrations (
    dataset_id, model, route, labelset_version, version, curve, blend, metrics, trained_on
  )
  select p_dataset, p_model, p_route, p_labelset_version, 1 + coalesce(max(version), 0), p_curve, nullif(p_blend, 'null'),
    coalesce(p_metrics, '{}'), p_trained_on
  from labelcrew.calibrations
  where dataset_id = p_dataset and model = p_model and route = p_route and labelset_version = p_labelset_version
  returning * into v_made;
  perform labelcrew.record_event(p_dataset, null, 'calibration_saved', p_dataset, jsonb_build_object(
    'model', p_model, 'route', p_route, 'labelset_version', p_labelset_version, 'version', v_made.version,
    'trained_on', p_trained_on));
  return jsonb_build_object('version', v_made.version);
end
$$;

-- The curves in force for a model, one a route: those of the labelset version asked for, else of the newest before it.
-- Asked by workers and the gateway, for nobody.
create or replace function labelcrew_api.find_calibrations(p_dataset uuid, p_model text, p_labelset_version int)
returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(labelcrew.calibration_json(c)), '[]')
  from (
    select distinct on (c.route) c.* from labelcrew.calibrations c
    where c.dataset_id = p_dataset and c.model = p_model and c.labelset_version <= p_labelset_version
    order by c.route, c.labelset_version desc, c.version desc
  ) c
$$;

-- The newest of each model, route and labelset version.
create or replace function labelcrew_api.list_calibrations(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select coalesce(jsonb_agg(labelcrew.calibration_json(c) order by c.model, c.route, c.labelset_version), '[]')
    from (
      select distinct on (c.model, c.route, c.labelset_version) c.* from labelcrew.calibrations c
      where c.dataset_id = p_dataset
      order by c.model, c.route, c.labelset_version, c.version desc
    ) c
  );
end
$$;
