-- The way to a socket for a page that cannot send credentials: a ticket opens one socket, once, within half a minute, in the name of the session that asked for it.
create table socket_tickets (
    token_hash bytea       not null,
    session_id uuid        not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint socket_tickets_pkey primary key (token_hash),
    constraint socket_tickets_session_id_fkey foreign key (session_id) references sessions (id) on delete cascade,
    constraint socket_tickets_token_hash_check check (octet_length(token_hash) = 32)
);
