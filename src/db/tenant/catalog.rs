//! The queries that the tables of every catalogue have alike: vehicles, properties, and whatever the next niche sells.
//!
//! A niche's file says what its columns are and how its list is narrowed, and takes the rest from here:
//! `catalog_queries!("vehicles", VehicleId, Vehicle, VehicleOffer)`. It expects there the macros `fields!` (columns of
//! the form), `offer_columns!` and `columns!`, and the functions `read_offer` and `read` that fit them.

/// The photos of an item, as a JSON array.
macro_rules! photos {
    ($table:literal, $photos:literal, $item:literal) => {
        concat!(
            "coalesce((select jsonb_agg(jsonb_build_object('id', p.id, 'url', p.url, 'content_type', p.content_type, ",
            "'thumbnail_url', case when p.url = '/photos/' || p.id then p.url || '/thumbnail' end, ",
            "'alt_text', p.alt_text) order by p.position) from ",
            $photos,
            " p where p.",
            $item,
            " = ",
            $table,
            ".id), '[]')"
        )
    };
}

macro_rules! catalog_queries {
    ($table:literal, $id:ident, $item:ident, $offer:ident) => {
        /// Adds an item of these fields for the user of the session `creator`.
        pub fn insert(
            id: $id,
            fields: Map<String, Value>,
            creator: Option<&TokenHash>,
            now: DateTime<Utc>,
        ) -> Query<$item> {
            const INSERT: &str = concat!(
                "insert into ",
                $table,
                " (id, ",
                fields!(named),
                "published_at, created_by, created_at, updated_at) select $1, ",
                fields!(given),
                "case when $2 ->> 'status' = 'published' then $3 end, ",
                "(select s.user_id from sessions s where s.token_hash = $4), $3, $3 returning ",
                columns!()
            );
            Query::one(INSERT, read)
                .bind(id.as_uuid())
                .bind(Value::Object(fields))
                .bind(now)
                .bind(creator.map(|hash| hash.as_bytes().to_vec()))
        }

        /// One item.
        pub fn find(id: $id) -> Query<Option<$item>> {
            const FIND: &str = concat!("select ", columns!(), " from ", $table, " where id = $1");
            Query::optional(FIND, read).bind(id.as_uuid())
        }

        /// The public part of the most recently published of those that are on offer.
        pub fn list_offers(limit: i64) -> Query<Vec<$offer>> {
            const LIST: &str = concat!(
                "select ",
                offer_columns!(),
                " from ",
                $table,
                " where status = 'published' order by published_at desc, id desc limit $1"
            );
            Query::all(LIST, |mut row| read_offer(&mut row)).bind(limit)
        }

        /// Locks an item, refusing when there is none or when it has another version.
        pub fn lock(id: $id, version: Option<i32>) -> Query<u64> {
            Query::execute(lock_row!($table)).bind(id.as_uuid()).bind(version)
        }

        /// Changes the fields named in `changes`; the day of the first publication stays. Runs after [`lock`].
        pub fn update(id: $id, changes: Map<String, Value>, now: DateTime<Utc>) -> Query<$item> {
            const UPDATE: &str = concat!(
                "update ",
                $table,
                " set ",
                fields!(patched),
                "published_at = case when $2 ->> 'status' = 'published' then coalesce(published_at, $3) else published_at end, ",
                "version = version + 1, updated_at = $3 where id = $1 returning ",
                columns!()
            );
            Query::one(UPDATE, read)
                .bind(id.as_uuid())
                .bind(Value::Object(changes))
                .bind(now)
        }

        /// Removes an item and its photos. Runs after [`lock`].
        pub fn delete(id: $id) -> Query<u64> {
            Query::execute(concat!("delete from ", $table, " where id = $1")).bind(id.as_uuid())
        }
    };
}

pub(in crate::db) use {catalog_queries, photos};
