-- How a user who has forgotten the password, or was asked in, comes to one: by a link that is mailed to their own address.

create table password_links (
    -- SHA-256 of the whole token; the token itself is kept nowhere but in its mail, sealed.
    token_hash bytea       not null,
    user_id    uuid        not null,
    purpose    text        not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint password_links_pkey primary key (token_hash),
    constraint password_links_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint password_links_token_hash_check check (octet_length(token_hash) = 32),
    constraint password_links_purpose_check check (purpose in ('reset', 'invitation')),
    constraint password_links_expiry_check check (expires_at > created_at)
);
