-- How well people do: what is counted here gets its intervals in learning/scorecards. Answers given with a file are nobody's
-- work, and what was taken back does not count.

-- One row for everybody who has answered or been judged in the dataset, or for one person. `shared` counts the standing
-- answers to items where the others' answers have one most frequent among them, `agreed` those that are the same as it:
-- nobody is compared with a majority that they are part of. Of an answer that was reviewed more than once the last word
-- counts. Planned anew each time: for one person and for all are different plans.
create or replace function labelcrew.count_quality(p_dataset uuid, p_user uuid default null)
returns table (
  user_id uuid, answers bigint, answers_week bigint, last_at timestamptz, gold bigint, gold_right bigint, shared bigint,
  agreed bigint, reviewed bigint, approved bigint, corrected bigint, rejected bigint
)
language plpgsql stable
set search_path = '' set work_mem = '64MB' set jit = off set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  with given as (
    select a.user_id, count(*) as answers, count(*) filter (where a.created_at > n.now - interval '7 days') as answers_week,
      max(a.created_at) as last_at
    from (select labelcrew.now() as now) n, labelcrew.annotations a
    where a.dataset_id = p_dataset and (p_user is null or a.user_id = p_user) and a.source = 'human' and a.level = 1
      and a.withdrawn_at is null and a.replaces is null
    group by a.user_id
  ), votes as (
    select a.item_id, array_agg(a.user_id) as users, count(*) as c
    from labelcrew.annotations a
    where a.dataset_id = p_dataset and a.current and a.source = 'human' and a.level = 1
      and (p_user is null or a.item_id in (
        select o.item_id from labelcrew.annotations o
        where o.dataset_id = p_dataset and o.user_id = p_user and o.current and o.source = 'human' and o.level = 1
      ))
    -- Several classes say the same in any order.
    group by a.item_id, case when jsonb_array_length(a.payload -> 'labels') > 1 then (
      select jsonb_agg(l order by l) from jsonb_array_elements(a.payload -> 'labels') l
    ) else a.payload end
  ), ranked as (
    select v.users, v.c - 1 as with_me, row_number() over by_votes as place, v.n,
      coalesce(nth_value(v.c, 1) over by_votes, 0) as c1, coalesce(nth_value(v.c, 2) over by_votes, 0) as c2,
      coalesce(nth_value(v.c, 3) over by_votes, 0) as c3
    from (select x.*, sum(x.c) over (partition by x.item_id) as n from votes x) v
    where v.n > 1
    window by_votes as (
      partition by v.item_id order by v.c desc rows between unbounded preceding and unbounded following
    )
  ), judged as (
    -- The most votes for another payload than mine, and the next most: two that are level are no majority.
    select r.users, r.with_me, case r.place when 1 then r.c2 else r.c1 end as most,
      case when r.place <= 2 then r.c3 else r.c2 end as next
    from ranked r
  ), agreeing as (
    select u.user_id, count(*) as shared, count(*) filter (where j.with_me > j.most) as agreed
    from judged j, unnest(j.users) u (user_id)
    where (j.with_me > j.most or (j.most > j.with_me and j.most > j.next)) and (p_user is null or u.user_id = p_user)
    group by u.user_id
  ), known as (
    select g.user_id, count(*) as gold, count(*) filter (where g.agrees) as gold_right
    from labelcrew.gold_answers g
    where g.dataset_id = p_dataset and (p_user is null or g.user_id = p_user) and g.withdrawn_at is null
    group by g.user_id
  ), verdicts as (
    select w.author_id as user_id, count(*) as reviewed, count(*) filter (where w.decision = 'approved') as approved,
      count(*) filter (where w.decision = 'corrected') as corrected, count(*) filter (where w.decision = 'rejected') as rejected
    from (
      select distinct on (r.annotation_id) r.author_id, r.decision
      from labelcrew.reviews r join labelcrew.annotations a on a.id = r.annotation_id and a.level = 1
      where r.dataset_id = p_dataset and (p_user is null or r.author_id = p_user) and r.author_id is not null
        and r.withdrawn_at is null
      order by r.annotation_id, r.number desc
    ) w
    group by w.author_id
  )
  select user_id, coalesce(g.answers, 0), coalesce(g.answers_week, 0), g.last_at, coalesce(k.gold, 0),
    coalesce(k.gold_right, 0), coalesce(a.shared, 0), coalesce(a.agreed, 0), coalesce(v.reviewed, 0),
    coalesce(v.approved, 0), coalesce(v.corrected, 0), coalesce(v.rejected, 0)
  from given g full join agreeing a using (user_id) full join known k using (user_id) full join verdicts v using (user_id);
end
$$;

-- What an answer takes this person: the median of their newest 500 that say how long they took.
create or replace function labelcrew.median_lead_time(p_dataset uuid, p_user uuid) returns float8
language sql stable set search_path = ''
as $$
  select percentile_cont(0.5) within group (order by x.lead_time_ms)
  from (
    select a.lead_time_ms from labelcrew.annotations a
    where a.dataset_id = p_dataset and a.user_id = p_user and a.source = 'human' and a.level = 1
      and a.lead_time_ms is not null and a.withdrawn_at is null
    order by a.number desc limit 500
  ) x
$$;

-- Counts of everybody who works or worked here, by name: [{user_id, name, email, role, active, answers, answers_week,
-- last_at, median_ms, gold: [right, of], consensus: […], acceptance: […], corrected, rejected}].
create or replace function labelcrew_api.list_scorecards(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  return (
    select coalesce(jsonb_agg(labelcrew.scorecard_json(p_dataset, u, m.role, to_jsonb(q))
      order by lower(coalesce(nullif(u.name, ''), u.email)), u.id), '[]')
    from labelcrew.count_quality(p_dataset) q
      full join (select * from labelcrew.members x where x.dataset_id = p_dataset) m using (user_id)
      join labelcrew.users u on u.id = user_id
    where q.user_id is not null or m.role = 'annotator'
  );
end
$$;

-- The actor's own counts, in the same shape, and all that they have earned here, in minor units of `currency`; null where
-- work is not paid.
create or replace function labelcrew_api.get_scorecard(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_role text := labelcrew.require_role(p_actor, p_dataset);
begin
  return (
    select labelcrew.scorecard_json(p_dataset, u, v_role, to_jsonb(q)) || jsonb_build_object(
      'earned', labelcrew.balance_of(p_actor, p_dataset),
      'currency', (select w.currency from labelcrew.wallets w where w.dataset_id = p_dataset))
    from labelcrew.users u left join labelcrew.count_quality(p_dataset, p_actor) q on q.user_id = u.id
    where u.id = p_actor
  );
end
$$;

create or replace function labelcrew.scorecard_json(
  p_dataset uuid, p_user labelcrew.users, p_role text, p_counts jsonb
) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'user_id', p_user.id, 'name', p_user.name, 'email', p_user.email, 'role', p_role, 'active', p_user.active,
    'answers', coalesce(p_counts -> 'answers', '0'), 'answers_week', coalesce(p_counts -> 'answers_week', '0'),
    'last_at', p_counts -> 'last_at', 'median_ms', labelcrew.median_lead_time(p_dataset, p_user.id),
    'gold', jsonb_build_array(coalesce(p_counts -> 'gold_right', '0'), coalesce(p_counts -> 'gold', '0')),
    'consensus', jsonb_build_array(coalesce(p_counts -> 'agreed', '0'), coalesce(p_counts -> 'shared', '0')),
    'acceptance', jsonb_build_array(coalesce(p_counts -> 'approved', '0'), coalesce(p_counts -> 'reviewed', '0')),
    'corrected', coalesce(p_counts -> 'corrected', '0'), 'rejected', coalesce(p_counts -> 'rejected', '0')
  )
$$;
