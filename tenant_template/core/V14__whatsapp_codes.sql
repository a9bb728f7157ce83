-- What a telephone has to scan or be told, so that a bot may speak in WhatsApp with its number: for a minute each.

create table whatsapp_codes (
    instance_id uuid        not null,
    -- A QR code, or the code that is typed into the telephone of a number.
    kind        text        not null,
    phone       text,
    -- Sealed for this tenant and this bot: whoever has it links a device. Null while it is wanted and not there.
    code_sealed bytea,
    expires_at  timestamptz,
    -- The how manieth it is since the bot was started.
    n           integer     not null,
    updated_at  timestamptz not null,
    constraint whatsapp_codes_pkey primary key (instance_id, kind),
    constraint whatsapp_codes_instance_id_fkey foreign key (instance_id) references instances (id) on delete cascade,
    constraint whatsapp_codes_kind_check check (kind in ('qr', 'pair_code')),
    constraint whatsapp_codes_phone_check check ((kind = 'pair_code') = (phone is not null) and phone ~ '^\+[1-9][0-9]{6,14}$'),
    constraint whatsapp_codes_expires_at_check check ((code_sealed is null) = (expires_at is null)),
    constraint whatsapp_codes_n_check check (n >= 0)
);
