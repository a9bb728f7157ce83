-- The platform's own bot of Telegram: the chats of those who run a tenant, and what they and the administrators are to be told there.

-- With it somebody shows in a chat who they are; the newest of a user counts, and it is gone when it was used.
create table assistant_codes (
    tenant_id  uuid        not null,
    user_id    uuid        not null,
    -- SHA-256 of the whole code; the code itself is kept nowhere.
    code_hash  bytea       not null,
    expires_at timestamptz not null,
    constraint assistant_codes_pkey primary key (tenant_id, user_id),
    constraint assistant_codes_code_hash_key unique (code_hash),
    constraint assistant_codes_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint assistant_codes_code_hash_check check (octet_length(code_hash) = 32)
);

-- Who speaks in a chat. What they may see and do is asked in the tenant's schema each time.
create table assistant_chats (
    chat_id   bigint      not null,
    tenant_id uuid        not null,
    user_id   uuid        not null,
    linked_at timestamptz not null,
    constraint assistant_chats_pkey primary key (chat_id),
    constraint assistant_chats_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);

create index assistant_chats_tenant_id_idx on assistant_chats (tenant_id, user_id);

-- What is to be told. It is gone when it was told.
create table assistant_notices (
    -- What happened, and to what: told once in each chat.
    kind      text        not null,
    subject   uuid        not null,
    -- 0: the administrators' chat.
    chat_id   bigint      not null,
    -- Whom it is about; no foreign key: what happened is told although the tenant is removed meanwhile.
    tenant_id uuid,
    attempts  integer     not null default 0,
    due_at    timestamptz not null,
    noted_at  timestamptz not null,
    constraint assistant_notices_pkey primary key (kind, subject, chat_id),
    constraint assistant_notices_kind_check
        check (kind in ('welcome', 'invoice_issued', 'payment_received', 'dunning', 'suspended', 'canceled', 'usage_alert', 'backup_failed', 'payment_finding')),
    constraint assistant_notices_attempts_check check (attempts >= 0)
);

create index assistant_notices_due_at_idx on assistant_notices (due_at);

-- Of the processes that could, one speaks for the bot.
create table assistant_speaker (
    one        boolean     not null default true,
    held_by    uuid        not null,
    held_until timestamptz not null,
    constraint assistant_speaker_pkey primary key (one),
    constraint assistant_speaker_one_check check (one)
);

-- What a mail has told somebody, their chat is told too, and some of it the administrators. Not before it was sent: until then it may
-- be taken back.
create function notice_mail() returns trigger
    language plpgsql set search_path from current as $$
begin
    insert into assistant_notices (kind, subject, chat_id, tenant_id, due_at, noted_at)
    select new.kind, new.id, c.chat_id, new.tenant_id, new.updated_at, new.updated_at
    from assistant_chats c
    where c.tenant_id = new.tenant_id and new.kind in ('invoice_issued', 'payment_received', 'dunning', 'suspended', 'canceled', 'usage_alert')
    union all
    select new.kind, new.id, 0, new.tenant_id, new.updated_at, new.updated_at
    where new.kind in ('welcome', 'payment_received', 'suspended', 'canceled', 'backup_failed')
    on conflict on constraint assistant_notices_pkey do nothing;
    return null;
end $$;

create trigger mails_notice after update on mails
    for each row when (old.state <> 'sent' and new.state = 'sent') execute function notice_mail();

create function notice_payment_finding() returns trigger
    language plpgsql set search_path from current as $$
begin
    insert into assistant_notices (kind, subject, chat_id, due_at, noted_at)
    values ('payment_finding', new.id, 0, new.noted_at, new.noted_at)
    on conflict on constraint assistant_notices_pkey do nothing;
    return null;
end $$;

create trigger payment_findings_notice after insert on payment_findings
    for each row execute function notice_payment_finding();
