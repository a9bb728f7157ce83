-- Through which stages a lead went and who looked after it. It is read newest first by its key, ids being in order of time.

create table lead_history (
    lead_id    uuid        not null,
    id         uuid        not null,
    at         timestamptz not null,
    actor_kind text        not null,
    -- A user or an API key; either may be gone.
    actor_id   uuid,
    field      text        not null,
    -- A stage's code or a user's id. Null: there was none, or the lead was made at this moment.
    from_value text,
    to_value   text,
    constraint lead_history_pkey primary key (lead_id, id),
    constraint lead_history_lead_id_fkey foreign key (lead_id) references leads (id) on delete cascade,
    constraint lead_history_actor_kind_check check (actor_kind in ('user', 'api_key', 'bot', 'system')),
    constraint lead_history_field_check check (field in ('stage', 'assigned_to'))
);

-- The leads of a contact: asked beside each conversation, and before a contact is removed.
create index leads_contact_id_idx on leads (contact_id);
