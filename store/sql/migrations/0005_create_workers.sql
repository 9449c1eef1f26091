-- Worker processes say here that they are alive, so that another can take over what a dead one left half done.

create table labelcrew.workers (
  executor_id text primary key check (length(executor_id) between 1 and 200),
  info jsonb not null default '{}' check (jsonb_typeof(info) = 'object'),
  started_at timestamptz not null default labelcrew.now(),
  seen_at timestamptz not null default labelcrew.now()
);

-- How often a job was started: a resumed job is a new workflow, and its number keeps two workers from both starting it.
alter table labelcrew.jobs add column runs int not null default 1;

create function labelcrew.count_job_runs() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if old.state <> 'queued' and new.state = 'queued' then
    new.runs := old.runs + 1;
  end if;
  return new;
end
$$;

create trigger jobs_count_runs before update of state on labelcrew.jobs
for each row execute function labelcrew.count_job_runs();

-- The rows of a file that an import did not take, by line.
create table labelcrew.job_rejections (
  job_id uuid not null references labelcrew.jobs (id) on delete cascade,
  line bigint not null,
  reason text not null check (length(reason) <= 2000),
  code text not null,
  primary key (job_id, line)
);
