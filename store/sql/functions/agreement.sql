-- What the reports on learning are made from: answers of several people to one item, drafts beside the answers that
-- counted, students in their order, and how long an answer takes. The statistics are made outside (learning/agreement).

-- {answers: [{item, user, payload}], drafts: [{item, payload, answer, probability, model, route, arm}]}: of items with at
-- least two people's answers all that stand, and of items decided by people the draft they were shown or spared, newest
-- first.
create or replace function labelcrew_api.list_answers(p_actor uuid, p_dataset uuid, p_limit int default 20000)
returns json
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(p_limit, 1), 50000);
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'reviewer');
  return json_build_object(
    'answers', (
      select coalesce(json_agg(json_build_object('item', x.item_id, 'user', x.user_id, 'payload', x.payload)), '[]')
      from (
        select a.item_id, a.user_id, a.payload,
          count(*) over (partition by a.item_id) as people
        from labelcrew.annotations a
        where a.dataset_id = p_dataset and a.current and a.source = 'human'
        order by a.number desc limit v_limit
      ) x where x.people > 1
    ),
    'drafts', (
      select coalesce(json_agg(json_build_object(
        'item', x.id, 'payload', x.draft, 'answer', x.payload, 'probability', x.probability, 'model', x.model, 'route', x.route,
        'arm', x.arm
      )), '[]')
      from (
        select i.id, p.payload as draft, a.payload, p.probability, p.model, p.route, i.arm
        from labelcrew.items i
          join labelcrew.annotations a on a.id = i.annotation_id and a.source = 'human'
          join lateral (
            select p.* from labelcrew.predictions p
            where p.item_id = i.id and p.payload is not null and p.created_at <= a.created_at
            order by p.number desc limit 1
          ) p on true
        where i.dataset_id = p_dataset and i.state = 'verified'
        order by a.number desc limit v_limit
      ) x
    )
  );
end
$$;

-- The students of a dataset, oldest first: [{version, trained_on, labelset_version, model, metrics, created_at}].
create or replace function labelcrew_api.list_students(p_actor uuid, p_dataset uuid, p_limit int default 500) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'version', s.version, 'trained_on', s.trained_on, 'labelset_version', s.labelset_version, 'model', s.model,
      'metrics', s.metrics, 'created_at', s.created_at
    ) order by s.version), '[]')
    from (
      select x.version, x.trained_on, x.labelset_version, x.model, x.metrics, x.created_at
      from labelcrew.students x where x.dataset_id = p_dataset order by x.version desc limit least(greatest(p_limit, 1), 5000)
    ) s
  );
end
$$;

-- What an item takes: {answers, median_ms, usd}, the time of the newest 2,000 answers of people that say how long they
-- took, and what drafting has cost an item; null where nothing is known.
create or replace function labelcrew_api.measure_lead_times(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select jsonb_build_object(
      'answers', count(*), 'median_ms', percentile_cont(0.5) within group (order by x.lead_time_ms),
      'usd', (
        select sum(j.cost_usd) / nullif(sum(j.done), 0) from labelcrew.jobs j
        where j.dataset_id = p_dataset and j.kind = 'prelabel'
      ))
    from (
      select a.lead_time_ms from labelcrew.annotations a
      where a.dataset_id = p_dataset and a.source = 'human' and a.lead_time_ms is not null and a.withdrawn_at is null
      order by a.number desc limit 2000
    ) x
  );
end
$$;
