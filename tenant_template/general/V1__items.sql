-- What any other business sells: products, counted or not, and services, with how long they take.

create table items (
    id               uuid        not null,
    kind             text        not null,
    title            text        not null,
    sku              text,
    category         text,
    -- Null: on request.
    price_cents      bigint,
    -- Null: not counted.
    stock            integer,
    duration_minutes integer,
    description      text,
    status           text        not null,
    version          integer     not null default 1,
    published_at     timestamptz,
    created_by       uuid,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    search           tsvector    not null generated always as (
        setweight(to_tsvector('simple', lower(translate(title || ' ' || coalesce(category, '') || ' ' || coalesce(sku, '')
            || case kind when 'product' then ' produto' when 'service' then ' servico' else '' end,
            E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
            'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    '))), 'A')
        || setweight(to_tsvector('portuguese', regexp_replace(regexp_replace(regexp_replace(
            lower(translate(title || ' ' || coalesce(category, '') || ' ' || coalesce(sku, '')
            || case kind when 'product' then ' produto' when 'service' then ' servico' else '' end,
            E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
            'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    ')),
            '([a-z])(oes|aes|aos)\M', '\1ao', 'g'),
            '([a-z]{2}[aeou])is\M', '\1l', 'g'),
            '([a-z][eio])ns\M', '\1m', 'g')), 'A')
        || setweight(to_tsvector('portuguese', regexp_replace(regexp_replace(regexp_replace(
            lower(translate(coalesce(description, ''),
            E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
            'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    ')),
            '([a-z])(oes|aes|aos)\M', '\1ao', 'g'),
            '([a-z]{2}[aeou])is\M', '\1l', 'g'),
            '([a-z][eio])ns\M', '\1m', 'g')), 'C')
    ) stored,
    constraint items_pkey primary key (id),
    constraint items_sku_key unique (sku),
    constraint items_created_by_fkey foreign key (created_by) references users (id) on delete set null,
    constraint items_kind_check check (kind in ('product', 'service')),
    constraint items_title_check check (char_length(title) between 1 and 200),
    constraint items_sku_check check (char_length(sku) between 1 and 60),
    constraint items_category_check check (char_length(category) between 1 and 100),
    constraint items_price_cents_check check (price_cents >= 0),
    constraint items_stock_check check (stock is null or (stock >= 0 and kind = 'product')),
    constraint items_duration_minutes_check check (duration_minutes is null or (duration_minutes > 0 and kind = 'service')),
    constraint items_description_check check (char_length(description) <= 20000),
    constraint items_status_check check (status in ('draft', 'published', 'archived')),
    constraint items_published_at_check check (status <> 'published' or published_at is not null),
    constraint items_version_check check (version > 0)
);

-- The storefront: the newest published.
create index items_published_idx on items (published_at desc, id desc) where status = 'published';
-- The list behind the login: newest first, by cursor.
create index items_created_at_id_idx on items (created_at desc, id desc);
create index items_search_idx on items using gin (search);

create table item_photos (
    id           uuid        not null,
    item_id      uuid        not null,
    position     smallint    not null,
    -- A path in the tenant's own storage, or an address elsewhere.
    url          text        not null,
    content_type text,
    byte_size    bigint,
    alt_text     text,
    created_at   timestamptz not null,
    constraint item_photos_pkey primary key (id),
    -- Checked at commit, so that photos can change places in one transaction.
    constraint item_photos_item_id_position_key unique (item_id, position) deferrable initially deferred,
    constraint item_photos_item_id_fkey foreign key (item_id) references items (id) on delete cascade,
    constraint item_photos_position_check check (position >= 0),
    constraint item_photos_url_check check (char_length(url) between 1 and 2000),
    constraint item_photos_content_type_check check (content_type ~ '^image/[a-z0-9.+-]+$'),
    constraint item_photos_byte_size_check check (byte_size >= 0)
);

create view catalog_items with (security_invoker = true) as
select
    id,
    kind,
    title,
    description,
    price_cents,
    jsonb_strip_nulls(jsonb_build_object(
        'sku', sku, 'category', category, 'stock', stock, 'duration_minutes', duration_minutes
    )) as attributes,
    search,
    status = 'published' as published
from items;
