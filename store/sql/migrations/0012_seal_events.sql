-- The audit log, made to show tampering: what an event changed and which request made it, and seals. A seal closes a run
-- of a dataset's events: it keeps the SHA-256 of each, and its own covers those and the seal before. Workers write seals
-- behind the writers' backs, so nobody waits for a chain (docs/decisions/events-are-sealed-behind-the-writers.md).

-- The id of the request that is being served: told by the direct transport as a setting of its statement, by PostgREST
-- as a header. Null for workers, and for an id that could not be one.
create function labelcrew.request_id() returns text
language sql stable set search_path = ''
return substring(
  coalesce(
    nullif(current_setting('labelcrew.request_id', true), ''),
    nullif(current_setting('request.headers', true), '')::json ->> 'x-labelcrew-request-id'
  ) from '^[A-Za-z0-9._-]{1,64}$'
);

-- `before` and `after` hold what changed of the event's subject in its transaction, where that is known.
alter table labelcrew.events
  add column before jsonb,
  add column after jsonb,
  add column request_id text;
alter table labelcrew.events alter column request_id set default labelcrew.request_id();

-- Notes what a statement changes, for the event that is recorded after it in the same transaction. The trigger's
-- arguments name the column that is the event's subject, and the columns worth telling; of texts only the hash is kept.
-- The last subject to change is remembered, from what it was first to what it is last.
create function labelcrew.note_change() returns trigger
language plpgsql set search_path = ''
as $$
declare
  v_old jsonb := '{}';
  v_new jsonb := '{}';
  v_row_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  v_row_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  v_subject text := coalesce(v_row_new, v_row_old) ->> tg_argv[0];
  v_noted jsonb := nullif(current_setting('labelcrew.changed', true), '')::jsonb;
  v_column text;
begin
  foreach v_column in array string_to_array(tg_argv[1], ' ') loop
    if v_row_old -> v_column is distinct from v_row_new -> v_column then
      v_old := v_old || jsonb_build_object(v_column, case
        when v_column = 'guidelines' then to_jsonb(md5(v_row_old ->> v_column)) else v_row_old -> v_column end);
      v_new := v_new || jsonb_build_object(v_column, case
        when v_column = 'guidelines' then to_jsonb(md5(v_row_new ->> v_column)) else v_row_new -> v_column end);
    end if;
  end loop;
  if v_old = '{}' and v_new = '{}' then
    return null;
  end if;
  if v_noted ->> 'subject' = v_subject then
    v_old := v_old || (v_noted -> 'before');
    v_new := (v_noted -> 'after') || v_new;
  end if;
  perform set_config('labelcrew.changed',
    jsonb_build_object('subject', v_subject, 'before', v_old, 'after', v_new)::text, true);
  return null;
end
$$;

-- The same for items, without reading whole rows: this one runs with every answer and every draft.
create function labelcrew.note_item_change() returns trigger
language plpgsql set search_path = ''
as $$
declare
  v_noted jsonb := nullif(current_setting('labelcrew.changed', true), '')::jsonb;
  v_before jsonb := jsonb_build_object('state', old.state, 'annotation_id', old.annotation_id);
begin
  if v_noted ->> 'subject' = new.id::text then
    v_before := v_noted -> 'before';
  end if;
  perform set_config('labelcrew.changed', jsonb_build_object('subject', new.id, 'before', v_before,
    'after', jsonb_build_object('state', new.state, 'annotation_id', new.annotation_id))::text, true);
  return null;
end
$$;

create trigger items_note_change after update of state, annotation_id on labelcrew.items
for each row when (old.annotation_id is distinct from new.annotation_id or (old.state <> new.state and new.state <> 'drafted'))
execute function labelcrew.note_item_change();
create trigger datasets_note_change after update on labelcrew.datasets
for each row execute function labelcrew.note_change('id', 'name guidelines settings');
create trigger members_note_change after insert or update or delete on labelcrew.members
for each row execute function labelcrew.note_change('user_id', 'role');
create trigger users_note_change after update on labelcrew.users
for each row execute function labelcrew.note_change('id', 'email name active is_owner');

-- Up to which id every event that will ever be there is there. An id is drawn before its transaction commits, so a larger
-- one may be seen first: see labelcrew.settle_events.
create table labelcrew.settled_events (
  one bool primary key default true check (one),
  last_id bigint not null default 0,
  sealed_id bigint not null default 0,
  waiting_id bigint,
  waiting_for text[] not null default '{}'
);
comment on column labelcrew.settled_events.sealed_id is 'the events up to here are sealed';
comment on column labelcrew.settled_events.waiting_id is 'the ids up to here are settled when these transactions have ended';

-- One a run of events. Events without a dataset (accounts) have a chain of their own, under the nil UUID. `hash` is the
-- SHA-256 of the seal's line (labelcrew.seal_line), a line feed, and the hashes of its events, which are 32 bytes each.
create table labelcrew.event_seals (
  dataset_id uuid not null,
  number int not null check (number >= 1),
  first_id bigint not null,
  last_id bigint not null check (last_id >= first_id),
  count int not null check (count >= 1),
  ids bigint[] not null check (cardinality(ids) = count),
  hashes bytea not null check (length(hashes) = 32 * count),
  previous bytea not null check (length(previous) = 32),
  hash bytea not null check (length(hash) = 32),
  created_at timestamptz not null default labelcrew.now(),
  primary key (dataset_id, number)
);
create unique index event_seals_end on labelcrew.event_seals (dataset_id, last_id);
create index events_everywhere on labelcrew.events (id) where dataset_id is null;

create trigger event_seals_append_only before update or delete on labelcrew.event_seals
for each row execute function labelcrew.refuse_change();
create trigger event_seals_no_truncate before truncate on labelcrew.event_seals
for each statement execute function labelcrew.refuse_change();
