-- The vectors of verified items, once more, side by side: examples for people and models are looked for among these only.
-- They are few, so all of them are read, exactly, at half a microsecond each; from the vectors of all items it is two and
-- more, and the index, of which three in a hundred pass, takes as long and misses some. A column on the vectors themselves
-- would not do: every change of it would be a new entry in that index.

create table labelcrew.verified_vectors (
  item_id uuid primary key references labelcrew.embeddings (item_id) on delete cascade,
  dataset_id uuid not null,
  vector @extensions@.halfvec(384) not null
);
alter table labelcrew.verified_vectors alter column vector set storage plain;
create index verified_vectors_dataset on labelcrew.verified_vectors (dataset_id);

insert into labelcrew.verified_vectors (item_id, dataset_id, vector)
select e.item_id, e.dataset_id, e.vector
from labelcrew.embeddings e join labelcrew.items i on i.id = e.item_id
where i.state = 'verified';

create function labelcrew.follow_verified_item() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if new.state = 'verified' then
    insert into labelcrew.verified_vectors (item_id, dataset_id, vector)
    select item_id, dataset_id, vector from labelcrew.embeddings where item_id = new.id
    on conflict (item_id) do nothing;
  else
    delete from labelcrew.verified_vectors where item_id = new.id;
  end if;
  return null;
end
$$;
create trigger items_verified after update of state on labelcrew.items
for each row when (old.state <> new.state and 'verified' in (old.state, new.state))
execute function labelcrew.follow_verified_item();

-- The items are locked, so that none becomes verified between our looking and its own trigger's.
create function labelcrew.follow_vectors() returns trigger
language plpgsql set search_path = ''
as $$
begin
  with held as (
    select i.id, i.state from labelcrew.items i
    where i.id in (select item_id from new_vectors)
    order by i.seq for share
  )
  insert into labelcrew.verified_vectors (item_id, dataset_id, vector)
  select n.item_id, n.dataset_id, n.vector from new_vectors n join held on held.id = n.item_id
  where held.state = 'verified'
  on conflict (item_id) do update set vector = excluded.vector;
  return null;
end
$$;
create trigger embeddings_inserted after insert on labelcrew.embeddings
referencing new table as new_vectors for each statement execute function labelcrew.follow_vectors();
create trigger embeddings_updated after update on labelcrew.embeddings
referencing new table as new_vectors for each statement execute function labelcrew.follow_vectors();
