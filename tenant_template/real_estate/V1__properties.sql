-- An estate agent's listings, for sale and for rent. Codes are English, search also knows their Portuguese words.

create table properties (
    id                uuid          not null,
    title             text          not null,
    -- The agent's own code of the listing, as on its signs.
    reference         text,
    purpose           text          not null,
    kind              text          not null,
    -- Sale price, or rent per month. Null: on request.
    price_cents       bigint,
    condo_fee_cents   bigint,
    -- IPTU, per year.
    iptu_cents        bigint,
    bedrooms          smallint,
    suites            smallint,
    bathrooms         smallint,
    parking           smallint,
    area_m2           numeric(12, 2),
    postal_code       text,
    street            text,
    street_number     text,
    complement        text,
    neighbourhood     text,
    city              text,
    state             text,
    description       text,
    status            text          not null,
    version           integer       not null default 1,
    published_at      timestamptz,
    created_by        uuid,
    created_at        timestamptz   not null,
    updated_at        timestamptz   not null,
    search            tsvector      not null generated always as (
        setweight(to_tsvector('simple', lower(translate(title || ' ' || coalesce(neighbourhood, '') || ' ' || coalesce(city, '') || ' ' || coalesce(state, '') || ' ' || coalesce(reference, '')
            || case kind when 'house' then ' casa' when 'apartment' then ' apartamento' when 'land' then ' terreno lote'
                when 'commercial' then ' comercial' when 'rural' then ' rural sitio chacara fazenda' else '' end
            || case purpose when 'sale' then ' venda' when 'rent' then ' aluguel locacao' else '' end,
            E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
            'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    '))), 'A')
        || setweight(to_tsvector('portuguese', regexp_replace(regexp_replace(regexp_replace(
            lower(translate(title || ' ' || coalesce(neighbourhood, '') || ' ' || coalesce(city, '') || ' ' || coalesce(state, '') || ' ' || coalesce(reference, '')
            || case kind when 'house' then ' casa' when 'apartment' then ' apartamento' when 'land' then ' terreno lote'
                when 'commercial' then ' comercial' when 'rural' then ' rural sitio chacara fazenda' else '' end
            || case purpose when 'sale' then ' venda' when 'rent' then ' aluguel locacao' else '' end,
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
    constraint properties_pkey primary key (id),
    constraint properties_reference_key unique (reference),
    constraint properties_created_by_fkey foreign key (created_by) references users (id) on delete set null,
    constraint properties_title_check check (char_length(title) between 1 and 200),
    constraint properties_reference_check check (char_length(reference) between 1 and 50),
    constraint properties_purpose_check check (purpose in ('sale', 'rent')),
    constraint properties_kind_check check (kind in ('house', 'apartment', 'land', 'commercial', 'rural')),
    constraint properties_price_cents_check check (price_cents >= 0),
    constraint properties_condo_fee_cents_check check (condo_fee_cents >= 0),
    constraint properties_iptu_cents_check check (iptu_cents >= 0),
    constraint properties_rooms_check
        check (bedrooms between 0 and 500 and suites between 0 and 500 and bathrooms between 0 and 500 and parking between 0 and 5000),
    constraint properties_area_m2_check check (area_m2 > 0),
    constraint properties_postal_code_check check (postal_code ~ '^[0-9]{8}$'),
    constraint properties_street_check check (char_length(street) between 1 and 200),
    constraint properties_street_number_check check (char_length(street_number) between 1 and 20),
    constraint properties_complement_check check (char_length(complement) between 1 and 100),
    constraint properties_neighbourhood_check check (char_length(neighbourhood) between 1 and 100),
    constraint properties_city_check check (char_length(city) between 1 and 100),
    constraint properties_state_check check (state ~ '^[A-Z]{2}$'),
    constraint properties_description_check check (char_length(description) <= 20000),
    constraint properties_status_check check (status in ('draft', 'published', 'reserved', 'sold', 'rented', 'archived')),
    constraint properties_published_at_check check (status <> 'published' or published_at is not null),
    constraint properties_version_check check (version > 0)
);

-- The storefront: the newest published.
create index properties_published_idx on properties (published_at desc, id desc) where status = 'published';
-- The list behind the login: newest first, by cursor.
create index properties_created_at_id_idx on properties (created_at desc, id desc);
create index properties_search_idx on properties using gin (search);

create table property_photos (
    id           uuid        not null,
    property_id  uuid        not null,
    position     smallint    not null,
    -- A path in the tenant's own storage, or an address elsewhere.
    url          text        not null,
    content_type text,
    byte_size    bigint,
    alt_text     text,
    created_at   timestamptz not null,
    constraint property_photos_pkey primary key (id),
    -- Checked at commit, so that photos can change places in one transaction.
    constraint property_photos_property_id_position_key unique (property_id, position) deferrable initially deferred,
    constraint property_photos_property_id_fkey foreign key (property_id) references properties (id) on delete cascade,
    constraint property_photos_position_check check (position >= 0),
    constraint property_photos_url_check check (char_length(url) between 1 and 2000),
    constraint property_photos_content_type_check check (content_type ~ '^image/[a-z0-9.+-]+$'),
    constraint property_photos_byte_size_check check (byte_size >= 0)
);

-- The street and number of a listing are not for everybody, so they are no attribute.
create view catalog_items with (security_invoker = true) as
select
    id,
    'property'::text as kind,
    title,
    description,
    price_cents,
    jsonb_strip_nulls(jsonb_build_object(
        'reference', reference, 'purpose', purpose, 'kind', kind, 'bedrooms', bedrooms, 'suites', suites,
        'bathrooms', bathrooms, 'parking', parking, 'area_m2', area_m2, 'condo_fee_cents', condo_fee_cents,
        'iptu_cents', iptu_cents, 'neighbourhood', neighbourhood, 'city', city, 'state', state
    )) as attributes,
    search,
    status = 'published' as published
from properties;
