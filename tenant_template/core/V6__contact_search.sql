-- Contacts become a list that people look through: the same search as leads have.

alter table contacts add column search tsvector not null generated always as (
    to_tsvector('simple', lower(translate(coalesce(name, '') || ' ' || coalesce(email, '') || ' ' || coalesce(notes, '')
        || ' ' || coalesce(ltrim(phone, '+') || ' ' || right(phone, 11) || ' ' || right(phone, 9) || ' ' || right(phone, 8), ''),
        E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327',
        'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    ')))
) stored;

-- The list: newest first, by cursor.
create index contacts_created_at_id_idx on contacts (created_at desc, id desc);
-- Who is meant by a name or a part of a number; also asked by the list of conversations.
create index contacts_search_idx on contacts using gin (search);
