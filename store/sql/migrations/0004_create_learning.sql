-- What the models learn from and what they become: the embedding of each item, and the students trained on the answers.

-- Stored plain: a vector read for its distance should not pass through TOAST. The HNSW index is made later, when there is
-- enough to search (labelcrew_api.index_embeddings): inserting into it costs 0.2-0.6 ms a vector, building it 0.1 ms.
create table labelcrew.embeddings (
  item_id uuid primary key references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  model text not null,
  vector @extensions@.halfvec(384) not null
);
alter table labelcrew.embeddings alter column vector set storage plain;
create index embeddings_dataset on labelcrew.embeddings (dataset_id);

create table labelcrew.students (
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  version int not null check (version >= 1),
  labelset_version int not null,
  model text not null,
  metrics jsonb not null default '{}' check (jsonb_typeof(metrics) = 'object'),
  blob bytea not null,
  trained_on int not null check (trained_on >= 0),
  seen_change timestamptz,
  created_at timestamptz not null default labelcrew.now(),
  primary key (dataset_id, version),
  foreign key (dataset_id, labelset_version) references labelcrew.labelsets (dataset_id, version) on delete cascade
);
comment on column labelcrew.students.seen_change is 'the last change of the verified answers when they were read';
