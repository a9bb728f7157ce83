//! Photos of what is in a catalogue: one table in each niche, whose rows go with the item that they show.
//!
//! A niche that gets photos is one line in [`PhotosOf`] and one in each `match`.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::catalog::photos;
use super::query::Query;
use super::text::lock_row;
use crate::domain::ids::PhotoId;
use crate::domain::photo::Photo;
use crate::domain::tenant::Niche;

/// The catalogue that photos belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotosOf {
    /// A garage's.
    Vehicles,
    /// An estate agent's.
    Properties,
    /// Any other business's.
    Products,
}

/// A photo whose files are kept already.
#[derive(Debug, Clone, Copy)]
pub struct NewPhoto {
    /// Its id, by which its files are found.
    pub id: PhotoId,
    /// What its files take.
    pub byte_size: i64,
}

struct Texts {
    table: &'static str,
    count: &'static str,
    lock: &'static str,
    room: &'static str,
    insert: &'static str,
    list: &'static str,
    ids: &'static str,
    complete: &'static str,
    arrange: &'static str,
    known: &'static str,
    delete: &'static str,
    published: &'static str,
    unknown: &'static str,
}

macro_rules! texts {
    ($table:literal, $photos:literal, $item:literal) => {
        Texts {
            table: $photos,
            count: concat!(
                "select case when not exists (select from ", $table, " where id = $1) then helixai.refuse('HX404') ",
                "else (select count(*)::int4 from ", $photos, " where ", $item, " = $1) end"
            ),
            lock: lock_row!($table),
            room: concat!(
                "select case when (select count(*) from ", $photos, " where ", $item, " = $1) + $2 > $3 ",
                "then helixai.refuse('HX409') else 0 end"
            ),
            insert: concat!(
                "insert into ", $photos, " (id, ", $item, ", position, url, content_type, byte_size, created_at) ",
                "select new.id, $1, (select coalesce(max(position) + 1, 0) from ", $photos, " where ", $item, " = $1) ",
                "+ new.place - 1, '/photos/' || new.id, 'image/jpeg', new.byte_size, $4 ",
                "from unnest($2, $3) with ordinality as new (id, byte_size, place)"
            ),
            list: concat!("select ", photos!($table, $photos, $item), " from ", $table, " where id = $1"),
            ids: concat!("select id from ", $photos, " where ", $item, " = $1"),
            complete: concat!(
                "select case when (select array_agg(id order by id) from ", $photos, " where ", $item, " = $1) ",
                "is not distinct from (select array_agg(named.id order by named.id) from unnest($2) as named (id)) ",
                "then 0 else helixai.refuse('HX409') end"
            ),
            arrange: concat!(
                "update ", $photos, " p set position = named.place - 1 ",
                "from unnest($2) with ordinality as named (id, place) where p.id = named.id and p.", $item, " = $1"
            ),
            known: concat!(
                "select case when exists (select from ", $photos, " where id = $2 and ", $item, " = $1) then 0 ",
                "else helixai.refuse('HX404') end"
            ),
            delete: concat!("delete from ", $photos, " where id = $2 and ", $item, " = $1"),
            published: concat!(
                "select i.status = 'published' from ", $photos, " p join ", $table, " i on i.id = p.", $item,
                " where p.id = $1"
            ),
            unknown: concat!(
                "select asked.id from unnest($1) as asked (id) ",
                "where not exists (select from ", $photos, " p where p.id = asked.id)"
            ),
        }
    };
}

const VEHICLES: Texts = texts!("vehicles", "vehicle_photos", "vehicle_id");
const PROPERTIES: Texts = texts!("properties", "property_photos", "property_id");
const PRODUCTS: Texts = texts!("items", "item_photos", "item_id");

fn uuids(photos: &[PhotoId]) -> Vec<Uuid> {
    photos.iter().map(|photo| photo.as_uuid()).collect()
}

impl PhotosOf {
    /// Of a tenant of this niche.
    pub fn niche(niche: &str) -> Option<Self> {
        match niche {
            Niche::CARS => Some(Self::Vehicles),
            Niche::REAL_ESTATE => Some(Self::Properties),
            Niche::GENERAL => Some(Self::Products),
            _ => None,
        }
    }

    fn texts(self) -> &'static Texts {
        match self {
            Self::Vehicles => &VEHICLES,
            Self::Properties => &PROPERTIES,
            Self::Products => &PRODUCTS,
        }
    }

    /// The table that they are in.
    pub fn table(self) -> &'static str {
        self.texts().table
    }

    /// How many photos an item has; refuses as not found when there is no such item.
    pub fn count(self, item: Uuid) -> Query<i32> {
        Query::one(self.texts().count, |mut row| row.next()).bind(item)
    }

    /// Locks an item until the end of the transaction; refuses as not found when there is none.
    pub fn lock(self, item: Uuid) -> Query<u64> {
        Query::execute(self.texts().lock).bind(item).bind(None::<i32>)
    }

    /// Locks an item, and refuses as stale when `new` photos more would be more than `most`. Two statements: one that
    /// waits for a lock counts what was there before it waited.
    pub fn room(self, item: Uuid, new: i64, most: i64) -> (Query<u64>, Query<u64>) {
        let count = Query::execute(self.texts().room).bind(item).bind(new).bind(most);
        (self.lock(item), count)
    }

    /// Adds photos behind those that an item has. Runs after [`PhotosOf::room`].
    pub fn insert(self, item: Uuid, photos: &[NewPhoto], now: DateTime<Utc>) -> Query<u64> {
        let ids: Vec<Uuid> = photos.iter().map(|photo| photo.id.as_uuid()).collect();
        let sizes: Vec<i64> = photos.iter().map(|photo| photo.byte_size).collect();
        Query::execute(self.texts().insert)
            .bind(item)
            .bind(ids)
            .bind(sizes)
            .bind(now)
    }

    /// The photos of an item that exists, in their order.
    pub fn list(self, item: Uuid) -> Query<Vec<Photo>> {
        Query::one(self.texts().list, |mut row| Ok(row.next::<Json<_>>()?.0)).bind(item)
    }

    /// The ids of an item's photos.
    pub fn ids(self, item: Uuid) -> Query<Vec<PhotoId>> {
        Query::all(self.texts().ids, |mut row| Ok(PhotoId::from_uuid(row.next()?))).bind(item)
    }

    /// Refuses as stale unless `photos` are all photos of an item, each once, in whatever order. Runs after
    /// [`PhotosOf::room`].
    pub fn complete(self, item: Uuid, photos: &[PhotoId]) -> Query<u64> {
        Query::execute(self.texts().complete)
            .bind(item)
            .bind(uuids(photos))
    }

    /// Puts an item's photos in this order. Runs after [`PhotosOf::complete`].
    pub fn arrange(self, item: Uuid, photos: &[PhotoId]) -> Query<u64> {
        Query::execute(self.texts().arrange)
            .bind(item)
            .bind(uuids(photos))
    }

    /// Removes a photo of an item: two statements, of which the first refuses as not found.
    pub fn delete(self, item: Uuid, photo: PhotoId) -> (Query<u64>, Query<u64>) {
        let with = |text| Query::execute(text).bind(item).bind(photo.as_uuid());
        (with(self.texts().known), with(self.texts().delete))
    }

    /// Whether the item that a photo shows is in the storefront; `None` when there is no such photo.
    pub fn published(self, photo: PhotoId) -> Query<Option<bool>> {
        Query::optional(self.texts().published, |mut row| row.next()).bind(photo.as_uuid())
    }

    /// Those of `photos` that are not here.
    pub fn unknown(self, photos: &[PhotoId]) -> Query<Vec<PhotoId>> {
        Query::all(self.texts().unknown, |mut row| {
            Ok(PhotoId::from_uuid(row.next()?))
        })
        .bind(uuids(photos))
    }
}
