-- Reading the counts of functions/metrics.sql: one call, a few hundred rows out, whatever the size of the dataset.

-- Counts of a dataset by what they are of. Percentiles, rates and curves are made of them outside (jobs/metrics.py).
-- Totals are of all time, or with a span of its whole days. Series have a point every `p_bucket` seconds, a multiple of
-- 900; buckets begin on a Monday at midnight UTC. Without `p_since` series hold the last 60 buckets. What people did is
-- told to annotators of themselves only. Counts up to 500 rows itself that nobody has counted yet, so that who answers
-- and looks sees it; with a worker running there are hardly any.
create or replace function labelcrew_api.get_metrics(
  p_actor uuid, p_dataset uuid, p_since timestamptz default null, p_until timestamptz default null,
  p_bucket int default 86400
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_all bool := labelcrew.rank_of(labelcrew.require_role(p_actor, p_dataset)) >= 2;
  v_person text := p_actor::text;
  v_grain int := case when p_since is null and p_until is null then 0 else 1 end;
  v_since timestamptz := coalesce(labelcrew.slot_of(1, p_since), '-infinity');
  v_until timestamptz := coalesce(p_until, 'infinity');
  v_bucket interval := make_interval(secs => p_bucket);
  v_fine int := case when p_bucket % 86400 = 0 then 1 else 2 end;
  v_from timestamptz;
  v_counted jsonb;
  v_behind bool;
begin
  if p_bucket < 900 or p_bucket % 900 <> 0 then
    perform labelcrew.fail('invalid', 'a bucket is a multiple of 900 seconds');
  end if;
  if p_since >= p_until then
    perform labelcrew.fail('invalid', 'the span ends before it begins');
  end if;
  v_from := date_bin(v_bucket, coalesce(p_since, least(p_until, labelcrew.now()) - 59 * v_bucket), '2000-01-03 00:00:00+00');
  v_counted := labelcrew.roll_up(500);
  v_behind := (v_counted ->> 'behind')::bool and (v_counted ->> 'counted')::int > 0;  -- while another counts, it catches up
  return (
    with total as materialized (
      select m.measure, m.a, m.b, m.bin, sum(m.n) as n, sum(m.total) as total
      from labelcrew.metric_counts m
      where m.dataset_id = p_dataset and m.measure in ('answers', 'judged', 'drafts', 'confidence', 'probability')
        and m.grain = v_grain and m.slot >= v_since and m.slot < v_until
      group by 1, 2, 3, 4 having sum(m.n) <> 0
    ), course as materialized (
      select m.measure, date_bin(v_bucket, m.slot, '2000-01-03 00:00:00+00') as at, m.a, m.b, m.bin, sum(m.n) as n,
        sum(m.total) as total
      from labelcrew.metric_counts m
      where m.dataset_id = p_dataset and m.measure in ('work', 'verdicts', 'drafts', 'labels') and m.grain = v_fine
        and m.slot >= v_from and m.slot < v_until
      group by 1, 2, 3, 4, 5 having sum(m.n) <> 0
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
        select coalesce(jsonb_agg(jsonb_build_array(a, b, bin, n, total)), '[]') from total where measure = 'judged'
      ),
      'people', (
        select coalesce(jsonb_agg(jsonb_build_array(x.a, u.name, u.email, x.b, x.bin, x.n, x.total)), '[]')
        from total x left join labelcrew.users u on u.id = x.a::uuid
        where x.measure = 'answers' and (v_all or x.a = v_person)
      ),
      'shown', (
        select coalesce(jsonb_agg(jsonb_build_array(x.b, x.bin, x.n, x.total)), '[]')
        from (select b, bin, sum(n) as n, sum(total) as total from total where measure = 'answers' group by 1, 2) x
      ),
      'drafts', (
        select coalesce(jsonb_agg(jsonb_build_array(a, b, bin, n, total)), '[]') from total where measure = 'drafts'
      ),
      'histograms', (
        select coalesce(jsonb_agg(jsonb_build_array(measure, a, bin, n, total)), '[]') from total
        where measure in ('confidence', 'probability')
      ),
      'people_series', (
        select coalesce(jsonb_agg(jsonb_build_array(x.at, x.a, x.n, x.timed, x.total) order by x.at, x.a), '[]')
        from (
          select at, a, sum(n) as n, sum(n) filter (where bin = 1) as timed, sum(total) as total from course
          where measure = 'work' and (v_all or a = v_person) group by 1, 2
        ) x
      ),
      'judged_series', (
        select coalesce(jsonb_agg(jsonb_build_array(at, a, b, n) order by at), '[]') from course where measure = 'verdicts'
      ),
      'drafts_series', (
        select coalesce(jsonb_agg(jsonb_build_array(x.at, x.a, x.n, x.total) order by x.at), '[]')
        from (select at, a, sum(n) as n, sum(total) as total from course where measure = 'drafts' group by 1, 2) x
      ),
      'labels_series', (
        select coalesce(jsonb_agg(jsonb_build_array(x.at, x.a, x.labels) order by x.at, x.a), '[]')
        from (select at, a, jsonb_object_agg(b, n) as labels from course where measure = 'labels' group by 1, 2) x
      ),
      'states_series', (
        select coalesce(jsonb_agg(jsonb_build_array(y.at, y.states) order by y.at), '[]')
        from (
          select x.at, jsonb_object_agg(x.a, x.n) as states
          from (
            select distinct on (1, 2) date_bin(v_bucket, m.slot, '2000-01-03 00:00:00+00') as at, m.a, m.n
            from labelcrew.metric_counts m
            where m.dataset_id = p_dataset and m.measure = 'states' and m.grain = v_fine and m.slot >= v_from
              and m.slot < v_until
            order by 1, 2, m.slot desc
          ) x
          group by 1
        ) y
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
