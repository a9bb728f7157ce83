-- The administrators' chat is told once a day that backups fail, although each administrator has a mail of it.

create or replace function notice_mail() returns trigger
    language plpgsql set search_path from current as $$
declare
    what uuid := new.id;
begin
    if new.kind = 'backup_failed' then
        -- `backup_failed:<day>:<administrator>`: those of a day are about the same.
        what := md5(new.kind || split_part(new.dedupe_key, ':', 2))::uuid;
        if exists (select from mails m where m.kind = new.kind and m.state = 'sent' and m.id <> new.id
                                         and split_part(m.dedupe_key, ':', 2) = split_part(new.dedupe_key, ':', 2)) then
            return null;
        end if;
    end if;
    insert into assistant_notices (kind, subject, chat_id, tenant_id, due_at, noted_at)
    select new.kind, new.id, c.chat_id, new.tenant_id, new.updated_at, new.updated_at
    from assistant_chats c
    where c.tenant_id = new.tenant_id and new.kind in ('invoice_issued', 'payment_received', 'dunning', 'suspended', 'canceled', 'usage_alert')
    union all
    select new.kind, what, 0, new.tenant_id, new.updated_at, new.updated_at
    where new.kind in ('welcome', 'payment_received', 'suspended', 'canceled', 'backup_failed')
    on conflict on constraint assistant_notices_pkey do nothing;
    return null;
end $$;
