-- A garage's stock. Codes are English, search also knows their Portuguese words.

create table vehicles (
    id               uuid        not null,
    title            text        not null,
    make             text        not null,
    model            text        not null,
    year_manufacture smallint,
    year_model       smallint,
    -- Null: on request.
    price_cents      bigint,
    mileage_km       integer,
    fuel             text,
    transmission     text,
    color            text,
    -- Upper case, no hyphen: old (ABC1234) and Mercosul (ABC1D23).
    plate            text,
    description      text,
    status           text        not null,
    version          integer     not null default 1,
    published_at     timestamptz,
    created_by       uuid,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    search           tsvector    not null generated always as (
        setweight(to_tsvector('simple', lower(translate(title || ' ' || make || ' ' || model || ' ' || coalesce(year_model::text, '')
            || ' ' || coalesce(color, '') || ' ' || coalesce(plate, '')
            || case fuel when 'gasoline' then ' gasolina' when 'ethanol' then ' etanol alcool' when 'flex' then ' flex'
                when 'diesel' then ' diesel' when 'electric' then ' eletrico' when 'hybrid' then ' hibrido'
                when 'cng' then ' gnv' else '' end
            || case transmission when 'manual' then ' manual' when 'automatic' then ' automatico'
                when 'automated' then ' automatizado' when 'cvt' then ' automatico cvt' else '' end,
            E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
            'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    '))), 'A')
        || setweight(to_tsvector('portuguese', regexp_replace(regexp_replace(regexp_replace(
            lower(translate(title || ' ' || make || ' ' || model || ' ' || coalesce(year_model::text, '')
            || ' ' || coalesce(color, '') || ' ' || coalesce(plate, '')
            || case fuel when 'gasoline' then ' gasolina' when 'ethanol' then ' etanol alcool' when 'flex' then ' flex'
                when 'diesel' then ' diesel' when 'electric' then ' eletrico' when 'hybrid' then ' hibrido'
                when 'cng' then ' gnv' else '' end
            || case transmission when 'manual' then ' manual' when 'automatic' then ' automatico'
                when 'automated' then ' automatizado' when 'cvt' then ' automatico cvt' else '' end,
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
    constraint vehicles_pkey primary key (id),
    constraint vehicles_created_by_fkey foreign key (created_by) references users (id) on delete set null,
    constraint vehicles_title_check check (char_length(title) between 1 and 200),
    constraint vehicles_make_check check (char_length(make) between 1 and 100),
    constraint vehicles_model_check check (char_length(model) between 1 and 100),
    constraint vehicles_year_manufacture_check check (year_manufacture between 1900 and 2100),
    constraint vehicles_year_model_check check (year_model between 1900 and 2100),
    constraint vehicles_price_cents_check check (price_cents >= 0),
    constraint vehicles_mileage_km_check check (mileage_km >= 0),
    constraint vehicles_fuel_check
        check (fuel in ('gasoline', 'ethanol', 'flex', 'diesel', 'electric', 'hybrid', 'cng')),
    constraint vehicles_transmission_check check (transmission in ('manual', 'automatic', 'automated', 'cvt')),
    constraint vehicles_color_check check (char_length(color) between 1 and 50),
    constraint vehicles_plate_check check (plate ~ '^[A-Z]{3}[0-9][A-Z0-9][0-9]{2}$'),
    constraint vehicles_description_check check (char_length(description) <= 20000),
    constraint vehicles_status_check check (status in ('draft', 'published', 'reserved', 'sold', 'archived')),
    constraint vehicles_published_at_check check (status <> 'published' or published_at is not null),
    constraint vehicles_version_check check (version > 0)
);

-- The storefront: the newest published.
create index vehicles_published_idx on vehicles (published_at desc, id desc) where status = 'published';
-- The list behind the login: newest first, by cursor.
create index vehicles_created_at_id_idx on vehicles (created_at desc, id desc);
create index vehicles_search_idx on vehicles using gin (search);
-- One car is in stock once; a car that was sold may come back.
create unique index vehicles_plate_key on vehicles (plate) where status not in ('sold', 'archived');

create table vehicle_photos (
    id           uuid        not null,
    vehicle_id   uuid        not null,
    position     smallint    not null,
    -- A path in the tenant's own storage, or an address elsewhere.
    url          text        not null,
    content_type text,
    byte_size    bigint,
    alt_text     text,
    created_at   timestamptz not null,
    constraint vehicle_photos_pkey primary key (id),
    -- Checked at commit, so that photos can change places in one transaction.
    constraint vehicle_photos_vehicle_id_position_key unique (vehicle_id, position) deferrable initially deferred,
    constraint vehicle_photos_vehicle_id_fkey foreign key (vehicle_id) references vehicles (id) on delete cascade,
    constraint vehicle_photos_position_check check (position >= 0),
    constraint vehicle_photos_url_check check (char_length(url) between 1 and 2000),
    constraint vehicle_photos_content_type_check check (content_type ~ '^image/[a-z0-9.+-]+$'),
    constraint vehicle_photos_byte_size_check check (byte_size >= 0)
);

create view catalog_items with (security_invoker = true) as
select
    id,
    'vehicle'::text as kind,
    title,
    description,
    price_cents,
    jsonb_strip_nulls(jsonb_build_object(
        'make', make, 'model', model, 'year_manufacture', year_manufacture, 'year_model', year_model,
        'mileage_km', mileage_km, 'fuel', fuel, 'transmission', transmission, 'color', color
    )) as attributes,
    search,
    status = 'published' as published
from vehicles;
