-- The chat with the assistant: a history for each person and item (or for the dataset as a whole). Nobody reads another's.

-- The role of who asks. An item must be of the dataset.
create or replace function labelcrew.require_chat(p_actor uuid, p_dataset uuid, p_item uuid) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_role text := labelcrew.require_role(p_actor, p_dataset);
begin
  if p_item is not null and not exists (select from labelcrew.items where id = p_item and dataset_id = p_dataset) then
    perform labelcrew.fail('not-found', 'no such item', jsonb_build_object('item', p_item));
  end if;
  return v_role;
end
$$;

create or replace function labelcrew.chat_message_json(m labelcrew.chat_messages) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'id', (m).id, 'item_id', (m).item_id, 'role', (m).role, 'content', (m).content,
    'data', case when (m).role = 'assistant' then (m).data end,
    'created_at', (m).created_at
  )
$$;

-- Keeps a question, and returns all that its answer starts from: the dataset, the open item, the newest messages before
-- it, oldest first, and the question as it is kept. Raises `blind-item`.
create or replace function labelcrew_api.begin_chat(
  p_actor uuid, p_dataset uuid, p_question text, p_item uuid default null, p_limit int default 12
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_role text := labelcrew.require_chat(p_actor, p_dataset, p_item);
  v_item labelcrew.items;
  v_messages jsonb;
begin
  if p_item is not null then
    select * into v_item from labelcrew.items where id = p_item;
    perform labelcrew.refuse_blind(v_item);
  end if;
  select coalesce(jsonb_agg(labelcrew.chat_message_json(m) order by m.number), '[]') into v_messages
  from (
    select m.* from labelcrew.chat_messages m
    where m.dataset_id = p_dataset and m.user_id = p_actor and m.item_id is not distinct from p_item
    order by m.number desc limit least(greatest(p_limit, 0), 100)
  ) m;
  return jsonb_build_object(
    'dataset', (select labelcrew.dataset_json(d, v_role) from labelcrew.datasets d where d.id = p_dataset),
    'item', labelcrew.item_json_of(p_item, p_actor),
    'messages', v_messages,
    'question', labelcrew_api.add_chat_message(p_actor, p_dataset, 'user', p_question, p_item)
  );
end
$$;

-- An item by how people call it: its id, its external id, or `#` and its number. {item, blind}; a blind one comes without
-- its draft.
create or replace function labelcrew_api.find_item(p_actor uuid, p_dataset uuid, p_name text) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_name text := btrim(p_name);
  v_item labelcrew.items;
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  if v_name ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then
    select * into v_item from labelcrew.items where id = v_name::uuid and dataset_id = p_dataset;
  end if;
  if v_item.id is null then
    select * into v_item from labelcrew.items where dataset_id = p_dataset and external_id = v_name;
  end if;
  if v_item.id is null and v_name ~ '^#?[0-9]{1,18}$' then
    select i.* into v_item
    from unnest(labelcrew.item_states()) s (state) join labelcrew.items i
      on i.dataset_id = p_dataset and i.state = s.state and i.seq = ltrim(v_name, '#')::bigint;
  end if;
  if v_item.id is null then
    perform labelcrew.fail('not-found', 'no such item');
  end if;
  return jsonb_build_object(
    'blind', labelcrew.is_blind(v_item),
    'item', labelcrew.item_json_of(v_item.id, p_actor) || case when labelcrew.is_blind(v_item)
      then '{"draft": null}' else '{}' end::jsonb
  );
end
$$;

-- One message of a history. Returns it.
create or replace function labelcrew_api.add_chat_message(
  p_actor uuid, p_dataset uuid, p_role text, p_content text, p_item uuid default null, p_data jsonb default '{}'
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_new labelcrew.chat_messages;
begin
  perform labelcrew.require_chat(p_actor, p_dataset, p_item);
  if p_role not in ('user', 'assistant') or coalesce(length(p_content), 0) > 100000 then
    perform labelcrew.fail('invalid', 'a message is of the user or the assistant, and has at most 100000 characters');
  end if;
  insert into labelcrew.chat_messages (dataset_id, user_id, item_id, role, content, data)
  values (p_dataset, p_actor, p_item, p_role, coalesce(p_content, ''), coalesce(p_data, '{}'))
  returning * into v_new;
  return labelcrew.chat_message_json(v_new);
end
$$;

-- One's own history about an item, or about the dataset: {messages, next}, oldest first. `p_before` is the `next` of the
-- page after.
create or replace function labelcrew_api.list_chat_messages(
  p_actor uuid, p_dataset uuid, p_item uuid default null, p_before bigint default null, p_limit int default 50
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(coalesce(p_limit, 50), 1), 500);
begin
  perform labelcrew.require_chat(p_actor, p_dataset, p_item);
  return (
    select jsonb_build_object(
      'messages', coalesce(jsonb_agg(labelcrew.chat_message_json(m) order by m.number), '[]'),
      'next', case when count(*) = v_limit then min(m.number) end
    )
    from (
      select m.* from labelcrew.chat_messages m
      where m.dataset_id = p_dataset and m.user_id = p_actor and m.item_id is not distinct from p_item
        and (p_before is null or m.number < p_before)
      order by m.number desc limit v_limit
    ) m
  );
end
$$;

-- Forgets one's own history about an item, or about the dataset. Returns how many messages there were.
create or replace function labelcrew_api.delete_chat_messages(p_actor uuid, p_dataset uuid, p_item uuid default null)
returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_count int;
begin
  perform labelcrew.require_chat(p_actor, p_dataset, p_item);
  delete from labelcrew.chat_messages m
  where m.dataset_id = p_dataset and m.user_id = p_actor and m.item_id is not distinct from p_item;
  get diagnostics v_count = row_count;
  return to_jsonb(v_count);
end
$$;
