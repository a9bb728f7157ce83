//! Pieces of statement text that several resources share, put together when the program is compiled.

/// The text as search stores it: lower case, without accents. `tenant_template/README.md` has the same expression;
/// a test compares them.
macro_rules! fold {
    ($arg:literal) => {
        concat!(
            "lower(translate(",
            $arg,
            r", E'ÁÀÂÃÄáàâãäÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÕÖóòôõöÚÙÛÜúùûüÇçÑñªº-/_@\u0300\u0301\u0302\u0303\u0308\u0327', ",
            "'aaaaaaaaaaeeeeeeeeiiiiiiiioooooooooouuuuuuuuccnnao    '))"
        )
    };
}

/// People: the words as typed, the last one a prefix.
macro_rules! search_people {
    ($arg:literal) => {
        concat!(
            "search @@ (nullif(plainto_tsquery('simple', ",
            crate::db::tenant::text::fold!($arg),
            ")::text, '') || ':*')::tsquery"
        )
    };
}

/// A catalogue: whole words by their stem, or the words as typed, the last one a prefix.
macro_rules! search_catalog {
    ($arg:literal) => {
        concat!(
            "search @@ (plainto_tsquery('portuguese', regexp_replace(regexp_replace(regexp_replace(",
            crate::db::tenant::text::fold!($arg),
            r", '([a-z])(oes|aes|aos)\M', '\1ao', 'g'), '([a-z]{2}[aeou])is\M', '\1l', 'g'), ",
            r"'([a-z][eio])ns\M', '\1m', 'g')) || (nullif(plainto_tsquery('simple', ",
            crate::db::tenant::text::fold!($arg),
            ")::text, '') || ':*')::tsquery)"
        )
    };
}

/// Locks the row `$1` of a table before it is changed: raises when there is none, or when `$2` names another version
/// than the row has. What follows in the batch then runs for that row, or not at all.
macro_rules! lock_row {
    ($table:literal) => {
        concat!(
            "select case when t.id is null then helixai.refuse('HX404') ",
            "when $2 <> t.version then helixai.refuse('HX409') else 0 end ",
            "from (values (true)) as request (one) ",
            "left join (select id, version from ",
            $table,
            " where id = $1 for update) t on true"
        )
    };
}

/// Two statements that refuse with [`crate::db::Refusal::LimitReached`] when there are `$most` rows (`None`: there may be any number): one
/// that waits for a lock counts what was there before it waited. There may be no row to be locked, but there always is an owner.
macro_rules! room {
    ($rows:literal, $most:expr) => {
        (
            Query::execute(
                "select id from users where role = 'owner' and status = 'active' order by id for no key update",
            ),
            Query::execute(concat!(
                "select case when count(*) >= $1 then helixai.refuse('HX402') else 0 end from ",
                $rows
            ))
            .bind($most),
        )
    };
}

/// A column that a PATCH sets when the object `$2` has it: its new value, else the one it has.
macro_rules! patched {
    ($($column:literal as $kind:literal),+ $(,)?) => {
        concat!($(
            $column, " = case when $2 ? '", $column, "' then ($2 ->> '", $column, "')::", $kind, " else ", $column, " end, "
        ),+)
    };
}

/// The names of columns that a form has, followed by a comma.
macro_rules! named {
    ($($column:literal as $kind:literal),+ $(,)?) => { concat!($($column, ", "),+) };
}

/// The values that the object `$2` has for the columns of a form, followed by a comma.
macro_rules! given {
    ($($column:literal as $kind:literal),+ $(,)?) => { concat!($("($2 ->> '", $column, "')::", $kind, ", "),+) };
}

/// A call that tells sockets of this tenant about a row `$row` of `messages`: ids and states, never words.
macro_rules! tell_message {
    ($kind:literal, $row:literal) => {
        concat!(
            "helixai.tell('",
            $kind,
            "', null, jsonb_build_object('id', ",
            $row,
            ".id, 'conversation_id', ",
            $row,
            ".conversation_id, 'direction', ",
            $row,
            ".direction, 'author', ",
            $row,
            ".author, 'status', ",
            $row,
            ".status))"
        )
    };
}

/// As [`tell_message`], about a row of `conversations`.
macro_rules! tell_conversation {
    ($row:literal) => {
        concat!(
            "helixai.tell('conversation.updated', null, jsonb_build_object('id', ",
            $row,
            ".id, 'status', ",
            $row,
            ".status, 'assigned_to', ",
            $row,
            ".assigned_to, 'unread_count', ",
            $row,
            ".unread_count, 'version', ",
            $row,
            ".version))"
        )
    };
}

/// As [`tell_message`], about a row of `instances`, to whoever may have that bot. A code to be scanned is fetched, not told.
macro_rules! tell_bot {
    ($row:literal) => {
        concat!(
            "helixai.tell('bot.state', jsonb_build_object('owner', ",
            $row,
            ".owner_id), jsonb_build_object('id', ",
            $row,
            ".id, 'channel', ",
            $row,
            ".channel, 'state', ",
            $row,
            ".state, 'is_active', ",
            $row,
            ".is_active))"
        )
    };
}

/// As [`tell_message`], about a row of `notifications`, to whom it is for.
macro_rules! tell_notification {
    ($row:literal) => {
        concat!(
            "helixai.tell('notification.created', jsonb_build_object('user', ",
            $row,
            ".user_id), jsonb_build_object('id', ",
            $row,
            ".id, 'kind', ",
            $row,
            ".kind, 'conversation_id', ",
            $row,
            ".conversation_id, 'instance_id', ",
            $row,
            ".instance_id))"
        )
    };
}

/// Has processes that have sockets of this tenant look who may have them still.
macro_rules! tell_access {
    () => {
        "select helixai.tell('access.changed', null, '{}')"
    };
}

pub(in crate::db) use {
    fold, given, lock_row, named, patched, room, search_catalog, search_people, tell_access, tell_bot,
    tell_conversation, tell_message, tell_notification,
};
