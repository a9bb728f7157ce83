-- The people a tenant talks to, and the sales it hopes to make with them.
-- `search`: names are neither stemmed nor stripped of stop words, accents are ignored, and a phone is also
-- found without its country and area codes. ../README.md has the expression for the asking side.

create table contacts (
    id         uuid        not null,
    name       text,
    -- E.164. One person, one contact: both forms of a Brazilian number are made one before they come here.
    phone      text,
    email      text,
    notes      text,
    version    integer     not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint contacts_pkey primary key (id),
    constraint contacts_phone_key unique (phone),
    constraint contacts_name_check check (char_length(name) between 1 and 200),
    constraint contacts_phone_check check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    constraint contacts_email_check
        check (email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and char_length(email) <= 254),
    constraint contacts_notes_check check (char_length(notes) <= 10000),
    constraint contacts_version_check check (version > 0)
);

-- Rows come from seed.sql; a tenant may add its own.
create table lead_stages (
    code     text     not null,
    name_pt  text     not null,
    name_en  text     not null,
    position smallint not null,
    constraint lead_stages_pkey primary key (code),
    constraint lead_stages_code_check check (code ~ '^[a-z][a-z0-9_]{0,39}$')
);

create table leads (
    id          uuid        not null,
    name        text        not null,
    phone       text,
    email       text,
    source      text,
    stage       text        not null,
    notes       text,
    contact_id  uuid,
    assigned_to uuid,
    version     integer     not null default 1,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    search      tsvector    not null generated always as (
        to_tsvector('simple', lower(translate(coalesce(name, '') || ' ' || coalesce(email, '') || ' ' || coalesce(notes, '')
            || ' ' || coalesce(ltrim(phone, '+') || ' ' || right(phone, 11) || ' ' || right(phone, 9) || ' ' || right(phone, 8), ''),
            E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
            'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    ')))
    ) stored,
    constraint leads_pkey primary key (id),
    constraint leads_stage_fkey foreign key (stage) references lead_stages (code),
    constraint leads_contact_id_fkey foreign key (contact_id) references contacts (id) on delete set null,
    constraint leads_assigned_to_fkey foreign key (assigned_to) references users (id) on delete set null,
    constraint leads_name_check check (char_length(name) between 1 and 200),
    constraint leads_phone_check check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    constraint leads_email_check
        check (email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and char_length(email) <= 254),
    constraint leads_source_check check (char_length(source) between 1 and 100),
    constraint leads_notes_check check (char_length(notes) <= 10000),
    constraint leads_version_check check (version > 0)
);

-- The list: newest first, by cursor; a filter by stage or person reads along it.
create index leads_created_at_id_idx on leads (created_at desc, id desc);
create index leads_search_idx on leads using gin (search);
