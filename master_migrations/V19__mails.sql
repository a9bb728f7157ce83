-- What the platform writes to people, decided in the transaction of what it is about and sent after that; and how an
-- administrator who has forgotten the password gets another.

-- No foreign key: what was decided about a tenant is told to its owner although the tenant is removed meanwhile.
create table mails (
    id             uuid        not null,
    kind           text        not null,
    -- Whom it is about; null: the platform.
    tenant_id      uuid,
    locale         text        not null,
    -- To whom, and what is filled into the template. Gone a day after the end.
    address_sealed bytea,
    values_sealed  bytea,
    state          text        not null,
    due_at         timestamptz not null,
    attempts       integer     not null default 0,
    max_attempts   integer     not null,
    leased_until   timestamptz,
    leased_by      uuid,
    -- What the mail server said, without anybody's address.
    last_error     text,
    -- What it is about and which step of it: the same mail is decided once, by whomever and however often.
    dedupe_key     text        not null,
    updated_at     timestamptz not null,
    constraint mails_pkey primary key (id),
    constraint mails_dedupe_key_key unique (dedupe_key),
    constraint mails_kind_check
        check (kind in ('welcome', 'invitation', 'password_reset', 'invoice_issued', 'payment_received', 'dunning', 'suspended',
                        'canceled', 'usage_alert', 'backup_failed', 'customer_message')),
    constraint mails_locale_check check (locale in ('pt-BR', 'en')),
    constraint mails_state_check check (state in ('pending', 'sent', 'failed', 'canceled')),
    constraint mails_content_check
        check (state <> 'pending' or (address_sealed is not null and values_sealed is not null)),
    constraint mails_attempts_check check (attempts >= 0 and max_attempts > 0),
    constraint mails_lease_check check ((leased_until is null) = (leased_by is null)),
    constraint mails_last_error_check check (char_length(last_error) <= 200),
    constraint mails_dedupe_key_check check (char_length(dedupe_key) between 1 and 200)
);

-- What is to be sent.
create index mails_due_at_idx on mails (due_at) where state = 'pending';
-- What is to be emptied.
create index mails_updated_at_idx on mails (updated_at) where address_sealed is not null and state <> 'pending';

-- A way to another password, sent to the administrator's address; gone when it was used.
create table admin_password_links (
    -- SHA-256 of the whole token; the token itself is kept nowhere but in its mail, sealed.
    token_hash bytea       not null,
    admin_id   uuid        not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint admin_password_links_pkey primary key (token_hash),
    constraint admin_password_links_admin_id_fkey foreign key (admin_id) references admins (id) on delete cascade,
    constraint admin_password_links_token_hash_check check (octet_length(token_hash) = 32),
    constraint admin_password_links_expiry_check check (expires_at > created_at)
);
