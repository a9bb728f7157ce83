//! Products and services: what a business of the niche `general` sells. The table is `items`.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::catalog::{catalog_queries, photos};
use super::query::{Columns, Query};
use super::text::{fold, given, lock_row, named, patched, search_catalog};
use crate::db::DbError;
use crate::domain::ids::{ProductId, UserId};
use crate::domain::page::{Cursor, Limit};
use crate::domain::product::{Product, ProductOffer};
use crate::domain::token::TokenHash;

/// What a list is narrowed to; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct ProductFilter {
    /// In this state.
    pub status: Option<&'static str>,
    /// Things or work.
    pub kind: Option<&'static str>,
    /// Of this category, whatever its case and accents.
    pub category: Option<String>,
    /// Of exactly this code.
    pub sku: Option<String>,
    /// Not cheaper.
    pub min_price_cents: Option<i64>,
    /// Not dearer.
    pub max_price_cents: Option<i64>,
    /// With these words.
    pub text: Option<String>,
}

/// The columns of the form.
macro_rules! fields {
    ($as:ident) => {
        $as!(
            "kind" as "text",
            "title" as "text",
            "sku" as "text",
            "category" as "text",
            "price_cents" as "bigint",
            "stock" as "integer",
            "duration_minutes" as "integer",
            "description" as "text",
            "status" as "text",
        )
    };
}

macro_rules! offer_columns {
    () => {
        concat!(
            "id, kind, title, sku, category, price_cents, stock, duration_minutes, description, ",
            photos!("items", "item_photos", "item_id"),
            ", published_at"
        )
    };
}

macro_rules! columns {
    () => {
        concat!(
            offer_columns!(),
            ", status, version, created_by, created_at, updated_at"
        )
    };
}

fn read_offer(row: &mut Columns<'_>) -> Result<ProductOffer, DbError> {
    Ok(ProductOffer {
        id: ProductId::from_uuid(row.next()?),
        kind: row.next()?,
        title: row.next()?,
        sku: row.next()?,
        category: row.next()?,
        price_cents: row.next()?,
        stock: row.next()?,
        duration_minutes: row.next()?,
        description: row.next()?,
        photos: row.next::<Json<_>>()?.0,
        published_at: row.next()?,
    })
}

fn read(mut row: Columns<'_>) -> Result<Product, DbError> {
    Ok(Product {
        offer: read_offer(&mut row)?,
        status: row.next()?,
        version: row.next()?,
        created_by: row.next::<Option<Uuid>>()?.map(UserId::from_uuid),
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

// Constraint `items_sku_key` refuses a code that another item has; `items_stock_check` and `items_duration_minutes_check`
// refuse a stock of a service and a duration of a product.
catalog_queries!("items", ProductId, Product, ProductOffer);

// Two texts, so that the planner is not asked to serve both with one generic plan.
macro_rules! list {
    ($search:expr) => {
        concat!(
            "select ",
            columns!(),
            " from items where ($4::text is null or status = $4) and ($5::text is null or kind = $5)",
            " and ($6::text is null or ",
            fold!("category"),
            " = ",
            fold!("$6"),
            ") and ($7::text is null or sku = $7)",
            " and ($8::bigint is null or price_cents >= $8) and ($9::bigint is null or price_cents <= $9)",
            " and ($1::timestamptz is null or (created_at, id) < ($1, $2))",
            $search,
            " order by created_at desc, id desc limit $3"
        )
    };
}

/// Products, newest first; one more than the page holds, to know whether there is another.
pub fn list(filter: ProductFilter, after: Option<Cursor>, limit: Limit) -> Query<Vec<Product>> {
    let text = if filter.text.is_some() {
        list!(concat!(" and ", search_catalog!("$10")))
    } else {
        list!("")
    };
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let query = Query::narrowed(text, read)
        .bind(at)
        .bind(id)
        .bind(limit.rows())
        .bind(filter.status)
        .bind(filter.kind)
        .bind(filter.category)
        .bind(filter.sku)
        .bind(filter.min_price_cents)
        .bind(filter.max_price_cents);
    match filter.text {
        Some(text) => query.bind(Some(text)),
        None => query,
    }
}
