//! Vehicles: what a garage sells.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::catalog::{catalog_queries, photos};
use super::query::{Columns, Query};
use super::text::{fold, given, lock_row, named, patched, search_catalog};
use crate::db::DbError;
use crate::domain::ids::{UserId, VehicleId};
use crate::domain::page::{Cursor, Limit};
use crate::domain::token::TokenHash;
use crate::domain::vehicle::{Vehicle, VehicleOffer};

/// What a list is narrowed to; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct VehicleFilter {
    /// In this state.
    pub status: Option<&'static str>,
    /// Of this make, whatever its case and accents.
    pub make: Option<String>,
    /// Of this model, whatever its case and accents.
    pub model: Option<String>,
    /// Not cheaper.
    pub min_price_cents: Option<i64>,
    /// Not dearer.
    pub max_price_cents: Option<i64>,
    /// Not of an older model.
    pub min_year_model: Option<i32>,
    /// Not of a newer model.
    pub max_year_model: Option<i32>,
    /// That runs on this.
    pub fuel: Option<&'static str>,
    /// With this gearbox.
    pub transmission: Option<&'static str>,
    /// With these words.
    pub text: Option<String>,
}

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "title" as "text",
            "make" as "text",
            "model" as "text",
            "year_manufacture" as "smallint",
            "year_model" as "smallint",
            "price_cents" as "bigint",
            "mileage_km" as "integer",
            "fuel" as "text",
            "transmission" as "text",
            "color" as "text",
            "plate" as "text",
            "description" as "text",
            "status" as "text",
        )
    };
}

macro_rules! offer_columns {
    () => {
        concat!(
            "id, title, make, model, year_manufacture, year_model, price_cents, mileage_km, fuel, transmission, color, ",
            "description, ",
            photos!("vehicles", "vehicle_photos", "vehicle_id"),
            ", published_at"
        )
    };
}

macro_rules! columns {
    () => {
        concat!(
            offer_columns!(),
            ", plate, status, version, created_by, created_at, updated_at"
        )
    };
}

fn read_offer(row: &mut Columns<'_>) -> Result<VehicleOffer, DbError> {
    Ok(VehicleOffer {
        id: VehicleId::from_uuid(row.next()?),
        title: row.next()?,
        make: row.next()?,
        model: row.next()?,
        year_manufacture: row.next()?,
        year_model: row.next()?,
        price_cents: row.next()?,
        mileage_km: row.next()?,
        fuel: row.next()?,
        transmission: row.next()?,
        color: row.next()?,
        description: row.next()?,
        photos: row.next::<Json<_>>()?.0,
        published_at: row.next()?,
    })
}

fn read(mut row: Columns<'_>) -> Result<Vehicle, DbError> {
    Ok(Vehicle {
        offer: read_offer(&mut row)?,
        plate: row.next()?,
        status: row.next()?,
        version: row.next()?,
        created_by: row.next::<Option<Uuid>>()?.map(UserId::from_uuid),
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

// Constraint `vehicles_plate_key` refuses a plate that is in stock.
catalog_queries!("vehicles", VehicleId, Vehicle, VehicleOffer);

// Two texts, so that the planner is not asked to serve both with one generic plan.
macro_rules! list {
    ($search:expr) => {
        concat!(
            "select ",
            columns!(),
            " from vehicles where ($4::text is null or status = $4)",
            " and ($5::text is null or ",
            fold!("make"),
            " = ",
            fold!("$5"),
            ") and ($6::text is null or ",
            fold!("model"),
            " = ",
            fold!("$6"),
            ") and ($7::bigint is null or price_cents >= $7) and ($8::bigint is null or price_cents <= $8)",
            " and ($9::integer is null or year_model >= $9) and ($10::integer is null or year_model <= $10)",
            " and ($11::text is null or fuel = $11) and ($12::text is null or transmission = $12)",
            " and ($1::timestamptz is null or (created_at, id) < ($1, $2))",
            $search,
            " order by created_at desc, id desc limit $3"
        )
    };
}

/// Vehicles, newest first; one more than the page holds, to know whether there is another.
pub fn list(filter: VehicleFilter, after: Option<Cursor>, limit: Limit) -> Query<Vec<Vehicle>> {
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
        .bind(filter.make)
        .bind(filter.model)
        .bind(filter.min_price_cents)
        .bind(filter.max_price_cents)
        .bind(filter.min_year_model)
        .bind(filter.max_year_model)
        .bind(filter.fuel)
        .bind(filter.transmission);
    match filter.text {
        Some(text) => query.bind(Some(text)),
        None => query,
    }
}
