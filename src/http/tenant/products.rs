//! `/api/products`: what any other business sells, products and services. A tenant of another niche has none: 404.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;

use crate::db::DbError;
use crate::db::tenant::audit;
use crate::db::tenant::photos::PhotosOf;
use crate::db::tenant::products::{self, ProductFilter};
use crate::domain::ids::ProductId;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::money::Cents;
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::product::{DurationMinutes, Product, ProductKind, ProductStatus, Stock};
use crate::domain::tenant::Niche;
use crate::domain::text::{Name, line, text};
use crate::http::body::{Body, Params, number, paging, path_id, search_text};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

const DESCRIPTION_MAX: usize = 20_000;
const SKU_MAX: usize = 60;
const CATEGORY_MAX: usize = 100;

form! {
    /// A product or service to be.
    CreateProduct,
    /// Changes to a product or service: what is left out stays, `null` empties.
    UpdateProduct,
    required {
        /// Its headline.
        title: String as Name => Name::parse(&title),
    }
    default {
        /// `product` when left out.
        kind: String as ProductKind = ProductKind::Product.as_str() => ProductKind::parse(&kind),
        /// `draft` when left out; `published` ones are on offer.
        status: String as ProductStatus = ProductStatus::Draft.as_str() => ProductStatus::parse(&status),
    }
    optional {
        /// The seller's own code of it: at most 60 characters, of no other product.
        sku: String as String => line(&sku, SKU_MAX),
        /// At most 100 characters.
        category: String as String => line(&category, CATEGORY_MAX),
        /// Empty: on request.
        price_cents: i64 as Cents => Cents::parse(price_cents),
        /// Of a product only. Empty: not counted.
        stock: i64 as Stock => Stock::parse(stock),
        /// Of a service only.
        duration_minutes: i64 as DurationMinutes => DurationMinutes::parse(duration_minutes),
        /// At most 20,000 characters in any number of lines.
        description: String as String => text(&description, DESCRIPTION_MAX),
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListProducts {
    /// In this state.
    #[param(value_type = Option<ProductStatus>)]
    status: Option<String>,
    /// Products or services.
    #[param(value_type = Option<ProductKind>)]
    kind: Option<String>,
    /// Of this category; case and accents do not matter.
    category: Option<String>,
    /// Of exactly this code.
    sku: Option<String>,
    /// Not cheaper.
    #[param(value_type = Option<Cents>)]
    min_price_cents: Option<String>,
    /// Not dearer.
    #[param(value_type = Option<Cents>)]
    max_price_cents: Option<String>,
    /// With these words, accents ignored; the last word may be a beginning.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListProducts {
    fn check(self) -> Result<(ProductFilter, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let cents = |value: String| number(&value).and_then(Cents::parse).map(Cents::get);
        let filter = ProductFilter {
            status: errors
                .check_opt("status", self.status, |status| ProductStatus::parse(&status))
                .map(ProductStatus::as_str),
            kind: errors
                .check_opt("kind", self.kind, |kind| ProductKind::parse(&kind))
                .map(ProductKind::as_str),
            category: errors.check_opt("category", self.category, |category| {
                line(&category, CATEGORY_MAX)
            }),
            sku: errors.check_opt("sku", self.sku, |sku| line(&sku, SKU_MAX)),
            min_price_cents: errors.check_opt("min_price_cents", self.min_price_cents, cents),
            max_price_cents: errors.check_opt("max_price_cents", self.max_price_cents, cents),
            text: errors.check_opt("q", self.q, |q| search_text(&q)),
        };
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((filter, cursor, limit)))
    }
}

/// What one field says may not fit what another says, or what is stored.
fn refuse(error: &DbError) -> Option<Problem> {
    let not_of = |field, what| {
        Some(Problem::invalid_field(
            field,
            Invalid::new("not_of_this_kind", what),
        ))
    };
    match error {
        DbError::Constraint(name) if name == "items_sku_key" => {
            Some(Problem::conflict("sku_taken", "Another product has this code."))
        }
        DbError::Constraint(name) if name == "items_stock_check" => {
            not_of("stock", "a service has no stock: empty it")
        }
        DbError::Constraint(name) if name == "items_duration_minutes_check" => {
            not_of("duration_minutes", "a product has no duration: empty it")
        }
        _ => None,
    }
}

/// List products and services, newest first.
#[utoipa::path(
    tag = "products", operation_id = "list_products", params(ListProducts), security(("bearer" = [])),
    responses((status = 200, body = Page<Product>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/products")]
pub async fn list_products(
    access: TenantAccess<ReadData>,
    params: Params<ListProducts>,
) -> Result<web::Json<Page<Product>>, Problem> {
    access.niche(Niche::GENERAL).await?;
    let params = access.check(params.0).await?;
    let (filter, after, limit) = access.check(params.check()).await?;
    let rows = access.run(products::list(filter, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.offer.id)
    })))
}

/// Add a product or service.
#[utoipa::path(
    tag = "products", operation_id = "create_product", request_body = CreateProduct, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Product), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/products")]
pub async fn create_product(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateProduct>,
) -> Result<HttpResponse, Problem> {
    access.niche(Niche::GENERAL).await?;
    let product = access.check(body.value).await?;
    let fields = access.check(product.check()).await?;
    let id = ProductId::new();
    let batch = (
        products::insert(id, fields, access.access.session(), access.now),
        audit::insert(&access.access, "product.create", "items", id),
    );
    let creation = Creation {
        operation: "create_product",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    access
        .create(creation, batch, |(product, _)| product, refuse)
        .await
}

/// Read a product or service.
#[utoipa::path(
    tag = "products", operation_id = "get_product", params(("id" = ProductId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Product), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/products/{id}")]
pub async fn get_product(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Product>, Problem> {
    access.niche(Niche::GENERAL).await?;
    let id = access.check(path_id(&id)).await?;
    let product = access.run(products::find(id)).await?.output;
    product.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a product or service.
#[utoipa::path(
    tag = "products", operation_id = "update_product", params(("id" = ProductId, Path)), request_body = UpdateProduct,
    security(("bearer" = [])),
    responses((status = 200, body = Product), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/products/{id}")]
pub async fn update_product(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateProduct>,
) -> Result<web::Json<Product>, Problem> {
    access.niche(Niche::GENERAL).await?;
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        products::lock(id, version),
        products::update(id, changes, access.now),
        audit::insert(&access.access, "product.update", "items", id),
    );
    let (_, product, _) = access.run_or(batch, refuse).await?.output;
    Ok(web::Json(product))
}

/// Remove a product or service.
#[utoipa::path(
    tag = "products", operation_id = "delete_product", params(("id" = ProductId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/products/{id}")]
pub async fn delete_product(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    access.niche(Niche::GENERAL).await?;
    let id: ProductId = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "product.delete", "items", id);
    let photos = PhotosOf::Products.ids(id.as_uuid());
    let batch = (products::lock(id, None), photos, products::delete(id), audit);
    let (_, photos, _, _) = access.run(batch).await?.output;
    access
        .platform()
        .photos
        .remove(access.tenant.home.id, &photos)
        .await;
    Ok(HttpResponse::NoContent().finish())
}
