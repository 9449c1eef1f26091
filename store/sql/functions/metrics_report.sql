-- Reading the counts of functions/metrics.sql: one call, a few hundred rows out, whatever the size of the dataset.

-- Counts of a dataset in a span of time, by what they are of. Percentiles, rates and curves are made of them outside
-- (jobs/metrics.py). `p_bucket` is in seconds, a multiple of 900; buckets begin on a Monday at midnight UTC. What people
-- did is told to annotators of themselves only. Counts up to 500 rows itself that nobody has counted yet, so that who
-- answers and looks sees it; with a worker running there are hardly any.
create or replace function labelcrew_api.get_metrics(
  p_actor uuid, p_dataset uuid, p_since timestamptz default null, p_until timestamptz default null,
  p_bucket int default 86400
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_all bool := labelcrew.rank_of(labelcrew.require_role(p_actor, p_dataset)) >= 2;
  v_since timestamptz := labelcrew.slot_of(coalesce(p_since, '-infinity'));
  v_until timestamptz := coalesce(p_until, 'infinity');
  v_bucket interval := make_interval(secs => p_bucket);
  v_person text := p_actor::text;
  v_behind bool;
begin
  if p_bucket < 900 or p_bucket % 900 <> 0 then
    perform labelcrew.fail('invalid', 'a bucket is a multiple of 900 seconds');
  end if;
  if p_since >= p_until then
    perform labelcrew.fail('invalid', 'the span ends before it begins');
  end if;
  v_behind := (labelcrew.roll_up(500) ->> 'behind')::bool;
  return (
    with c as materialized (
      select m.measure, m.slot, m.a, m.b, m.bin, m.n, m.total,
        date_bin(v_bucket, m.slot, '2000-01-03 00:00:00+00') as bucket
      from labelcrew.metric_counts m
      where m.dataset_id = p_dataset and m.measure in ('answers', 'judged', 'drafts', 'confidence', 'probability')
        and m.slot >= v_since and m.slot < v_until and m.n <> 0
    ), l as materialized (
      select date_bin(v_bucket, m.slot, '2000-01-03 00:00:00+00') as bucket, m.a as source, m.b as label, sum(m.n) as n
      from labelcrew.metric_counts m
      where m.dataset_id = p_dataset and m.measure = 'labels' and m.slot >= v_since and m.slot < v_until and m.n <> 0
      group by 1, 2, 3
    )
    select jsonb_build_object(
      'behind', v_behind,
      'states', (
        select coalesce(jsonb_object_agg(x.state, x.n), '{}')
        from (
          select state, sum(n) as n from labelcrew.item_counts where dataset_id = p_dataset group by 1 having sum(n) > 0
        ) x
      ),
      'judged', (
        select coalesce(jsonb_agg(jsonb_build_array(x.a, x.b, x.bin, x.n, x.total)), '[]')
        from (select a, b, bin, sum(n) as n, sum(total) as total from c where measure = 'judged' group by 1, 2, 3) x
      ),
      'judged_series', (
        select coalesce(jsonb_agg(jsonb_build_array(x.bucket, x.a, x.b, x.n, x.total) order by x.bucket), '[]')
        from (select bucket, a, b, sum(n) as n, sum(total) as total from c where measure = 'judged' group by 1, 2, 3) x
      ),
      'people', (
        select coalesce(jsonb_agg(jsonb_build_array(x.a, u.name, u.email, x.b, x.bin, x.n, x.total)), '[]')
        from (
          select a, b, bin, sum(n) as n, sum(total) as total from c
          where measure = 'answers' and (v_all or a = v_person) group by 1, 2, 3
        ) x left join labelcrew.users u on u.id = x.a::uuid
      ),
      'people_series', (
        select coalesce(jsonb_agg(jsonb_build_array(x.bucket, x.a, x.n, x.timed, x.total) order by x.bucket, x.a), '[]')
        from (
          select bucket, a, sum(n) as n, sum(n) filter (where bin >= 0) as timed, sum(total) as total from c
          where measure = 'answers' and (v_all or a = v_person) group by 1, 2
        ) x
      ),
      'shown', (
        select coalesce(jsonb_agg(jsonb_build_array(x.b, x.bin, x.n, x.total)), '[]')
        from (select b, bin, sum(n) as n, sum(total) as total from c where measure = 'answers' group by 1, 2) x
      ),
      'drafts', (
        select coalesce(jsonb_agg(jsonb_build_array(x.a, x.b, x.bin, x.n, x.total)), '[]')
        from (select a, b, bin, sum(n) as n, sum(total) as total from c where measure = 'drafts' group by 1, 2, 3) x
      ),
      'drafts_series', (
        select coalesce(jsonb_agg(jsonb_build_array(x.bucket, x.a, x.n, x.total) order by x.bucket), '[]')
        from (select bucket, a, sum(n) as n, sum(total) as total from c where measure = 'drafts' group by 1, 2) x
      ),
      'histograms', (
        select coalesce(jsonb_agg(jsonb_build_array(x.measure, x.a, x.bin, x.n, x.total)), '[]')
        from (
          select measure, a, bin, sum(n) as n, sum(total) as total from c
          where measure in ('confidence', 'probability') group by 1, 2, 3
        ) x
      ),
      'labels_series', (
        select coalesce(jsonb_agg(jsonb_build_array(x.bucket, x.source, x.label, x.n) order by x.bucket), '[]') from l x
      ),
      'states_series', (
        select coalesce(jsonb_agg(jsonb_build_array(x.bucket, x.a, x.n) order by x.bucket), '[]')
        from (
          select distinct on (1, 2) date_bin(v_bucket, m.slot, '2000-01-03 00:00:00+00') as bucket, m.a, m.n
          from labelcrew.metric_counts m
          where m.dataset_id = p_dataset and m.measure = 'states' and m.slot >= v_since and m.slot < v_until
          order by 1, 2, m.slot desc
        ) x
      ),
      'conflicts', (
        select coalesce(jsonb_agg(jsonb_build_array(x.kind, x.state, x.n)), '[]')
        from (select kind, state, count(*) as n from labelcrew.conflicts where dataset_id = p_dataset group by 1, 2) x
      ),
      'drift', (
        select jsonb_build_object('score', r.score, 'alarm', m.alarmed_at is not null, 'at', r.created_at)
        from labelcrew.drift_monitors m join lateral (
          select * from labelcrew.drift_reports r where r.dataset_id = m.dataset_id and r.run = m.run
          order by r.look desc limit 1
        ) r on true
        where m.dataset_id = p_dataset
      ),
      'snapshot', (
        select s.data || jsonb_build_object('at', s.taken_at) from labelcrew.metric_snapshots s where s.dataset_id = p_dataset
      )
    )
  );
end
$$;
