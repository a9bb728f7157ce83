//! Properties: what an estate agent sells and lets.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::catalog::{catalog_queries, photos};
use super::query::{Columns, Query};
use super::text::{fold, given, lock_row, named, patched, search_catalog};
use crate::db::DbError;
use crate::domain::ids::{PropertyId, UserId};
use crate::domain::page::{Cursor, Limit};
use crate::domain::property::{Property, PropertyOffer};
use crate::domain::token::TokenHash;

/// What a list is narrowed to; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct PropertyFilter {
    /// In this state.
    pub status: Option<&'static str>,
    /// Offered for this.
    pub purpose: Option<&'static str>,
    /// Of this kind.
    pub kind: Option<&'static str>,
    /// In this city, whatever its case and accents.
    pub city: Option<String>,
    /// In this neighbourhood, whatever its case and accents.
    pub neighbourhood: Option<String>,
    /// Not cheaper.
    pub min_price_cents: Option<i64>,
    /// Not dearer.
    pub max_price_cents: Option<i64>,
    /// With at least as many.
    pub min_bedrooms: Option<i32>,
    /// Not smaller.
    pub min_area_m2: Option<f64>,
    /// With these words.
    pub text: Option<String>,
}

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "title" as "text",
            "reference" as "text",
            "purpose" as "text",
            "kind" as "text",
            "price_cents" as "bigint",
            "condo_fee_cents" as "bigint",
            "iptu_cents" as "bigint",
            "bedrooms" as "smallint",
            "suites" as "smallint",
            "bathrooms" as "smallint",
            "parking" as "smallint",
            "area_m2" as "numeric",
            "postal_code" as "text",
            "street" as "text",
            "street_number" as "text",
            "complement" as "text",
            "neighbourhood" as "text",
            "city" as "text",
            "state" as "text",
            "description" as "text",
            "status" as "text",
        )
    };
}

macro_rules! offer_columns {
    () => {
        concat!(
            "id, title, reference, purpose, kind, price_cents, condo_fee_cents, iptu_cents, bedrooms, suites, bathrooms, ",
            "parking, area_m2::float8, neighbourhood, city, state, description, ",
            photos!("properties", "property_photos", "property_id"),
            ", published_at"
        )
    };
}

macro_rules! columns {
    () => {
        concat!(
            offer_columns!(),
            ", postal_code, street, street_number, complement, status, version, created_by, created_at, updated_at"
        )
    };
}

fn read_offer(row: &mut Columns<'_>) -> Result<PropertyOffer, DbError> {
    Ok(PropertyOffer {
        id: PropertyId::from_uuid(row.next()?),
        title: row.next()?,
        reference: row.next()?,
        purpose: row.next()?,
        kind: row.next()?,
        price_cents: row.next()?,
        condo_fee_cents: row.next()?,
        iptu_cents: row.next()?,
        bedrooms: row.next()?,
        suites: row.next()?,
        bathrooms: row.next()?,
        parking: row.next()?,
        area_m2: row.next()?,
        neighbourhood: row.next()?,
        city: row.next()?,
        state: row.next()?,
        description: row.next()?,
        photos: row.next::<Json<_>>()?.0,
        published_at: row.next()?,
    })
}

fn read(mut row: Columns<'_>) -> Result<Property, DbError> {
    Ok(Property {
        offer: read_offer(&mut row)?,
        postal_code: row.next()?,
        street: row.next()?,
        street_number: row.next()?,
        complement: row.next()?,
        status: row.next()?,
        version: row.next()?,
        created_by: row.next::<Option<Uuid>>()?.map(UserId::from_uuid),
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

// Constraint `properties_reference_key` refuses the reference of another one.
catalog_queries!("properties", PropertyId, Property, PropertyOffer);

// Two texts, so that the planner is not asked to serve both with one generic plan.
macro_rules! list {
    ($search:expr) => {
        concat!(
            "select ",
            columns!(),
            " from properties where ($4::text is null or status = $4)",
            " and ($5::text is null or purpose = $5) and ($6::text is null or kind = $6) and ($7::text is null or ",
            fold!("city"),
            " = ",
            fold!("$7"),
            ") and ($8::text is null or ",
            fold!("neighbourhood"),
            " = ",
            fold!("$8"),
            ") and ($9::bigint is null or price_cents >= $9) and ($10::bigint is null or price_cents <= $10)",
            " and ($11::integer is null or bedrooms >= $11) and ($12::float8 is null or area_m2 >= $12::numeric)",
            " and ($1::timestamptz is null or (created_at, id) < ($1, $2))",
            $search,
            " order by created_at desc, id desc limit $3"
        )
    };
}

/// Properties, newest first; one more than the page holds, to know whether there is another.
pub fn list(filter: PropertyFilter, after: Option<Cursor>, limit: Limit) -> Query<Vec<Property>> {
    let text = if filter.text.is_some() {
        list!(concat!(" and ", search_catalog!("$13")))
    } else {
        list!("")
    };
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let query = Query::narrowed(text, read)
        .bind(at)
        .bind(id)
        .bind(limit.rows())
        .bind(filter.status)
        .bind(filter.purpose)
        .bind(filter.kind)
        .bind(filter.city)
        .bind(filter.neighbourhood)
        .bind(filter.min_price_cents)
        .bind(filter.max_price_cents)
        .bind(filter.min_bedrooms)
        .bind(filter.min_area_m2);
    match filter.text {
        Some(text) => query.bind(Some(text)),
        None => query,
    }
}
