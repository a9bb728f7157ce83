//! `/api/properties`: the listings of an estate agent. A tenant of another niche has none: 404.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;

use crate::db::DbError;
use crate::db::tenant::audit;
use crate::db::tenant::photos::PhotosOf;
use crate::db::tenant::properties::{self, PropertyFilter};
use crate::domain::ids::PropertyId;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::money::Cents;
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::property::{
    AreaM2, ParkingSpaces, PostalCode, Property, PropertyKind, PropertyStatus, Purpose, Rooms, State,
};
use crate::domain::tenant::Niche;
use crate::domain::text::{Name, line, text};
use crate::http::body::{Body, Params, number, paging, path_id, search_text};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

const DESCRIPTION_MAX: usize = 20_000;

form! {
    /// A property to be.
    CreateProperty,
    /// Changes to a property: what is left out stays, `null` empties.
    UpdateProperty,
    required {
        /// Its headline.
        title: String as Name => Name::parse(&title),
        /// What it is offered for.
        purpose: String as Purpose => Purpose::parse(&purpose),
        /// What it is.
        kind: String as PropertyKind => PropertyKind::parse(&kind),
    }
    default {
        /// `draft` when left out; `published` ones are in the storefront.
        status: String as PropertyStatus = PropertyStatus::Draft.as_str() => PropertyStatus::parse(&status),
    }
    optional {
        /// The agent's own code, as on the signs. No two properties have the same.
        reference: String as String => line(&reference, 50),
        /// To buy it, or to rent it for a month. Empty: on request.
        price_cents: i64 as Cents => Cents::parse(price_cents),
        /// Per month.
        condo_fee_cents: i64 as Cents => Cents::parse(condo_fee_cents),
        /// IPTU, per year.
        iptu_cents: i64 as Cents => Cents::parse(iptu_cents),
        /// Of any size.
        bedrooms: i64 as Rooms => Rooms::parse(bedrooms),
        /// Bedrooms with a bathroom.
        suites: i64 as Rooms => Rooms::parse(suites),
        /// Of any kind.
        bathrooms: i64 as Rooms => Rooms::parse(bathrooms),
        /// Room for cars.
        parking: i64 as ParkingSpaces => ParkingSpaces::parse(parking),
        /// Square metres, with at most two decimals.
        area_m2: f64 as AreaM2 => AreaM2::parse(area_m2),
        /// Not shown in the storefront.
        postal_code: String as PostalCode => PostalCode::parse(&postal_code),
        /// Not shown in the storefront.
        street: String as String => line(&street, 200),
        /// Not shown in the storefront.
        street_number: String as String => line(&street_number, 20),
        /// Not shown in the storefront.
        complement: String as String => line(&complement, 100),
        /// Bairro.
        neighbourhood: String as String => line(&neighbourhood, 100),
        /// Município.
        city: String as String => line(&city, 100),
        /// Two letters.
        state: String as State => State::parse(&state),
        /// At most 20,000 characters in any number of lines.
        description: String as String => text(&description, DESCRIPTION_MAX),
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListProperties {
    /// In this state.
    #[param(value_type = Option<PropertyStatus>)]
    status: Option<String>,
    /// Offered for this.
    #[param(value_type = Option<Purpose>)]
    purpose: Option<String>,
    /// Of this kind.
    #[param(value_type = Option<PropertyKind>)]
    kind: Option<String>,
    /// In this city; case and accents do not matter.
    city: Option<String>,
    /// In this neighbourhood; case and accents do not matter.
    neighbourhood: Option<String>,
    /// Not cheaper.
    #[param(value_type = Option<Cents>)]
    min_price_cents: Option<String>,
    /// Not dearer.
    #[param(value_type = Option<Cents>)]
    max_price_cents: Option<String>,
    /// With at least as many.
    #[param(value_type = Option<Rooms>)]
    min_bedrooms: Option<String>,
    /// Not smaller.
    #[param(value_type = Option<AreaM2>)]
    min_area_m2: Option<String>,
    /// With these words, accents ignored; the last word may be a beginning.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListProperties {
    fn check(self) -> Result<(PropertyFilter, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let cents = |value: String| number(&value).and_then(Cents::parse).map(Cents::get);
        let filter = PropertyFilter {
            status: errors
                .check_opt("status", self.status, |status| PropertyStatus::parse(&status))
                .map(PropertyStatus::as_str),
            purpose: errors
                .check_opt("purpose", self.purpose, |purpose| Purpose::parse(&purpose))
                .map(Purpose::as_str),
            kind: errors
                .check_opt("kind", self.kind, |kind| PropertyKind::parse(&kind))
                .map(PropertyKind::as_str),
            city: errors.check_opt("city", self.city, |city| line(&city, 100)),
            neighbourhood: errors.check_opt("neighbourhood", self.neighbourhood, |name| line(&name, 100)),
            min_price_cents: errors.check_opt("min_price_cents", self.min_price_cents, cents),
            max_price_cents: errors.check_opt("max_price_cents", self.max_price_cents, cents),
            min_bedrooms: errors.check_opt("min_bedrooms", self.min_bedrooms, |rooms| {
                number(&rooms).and_then(Rooms::parse).map(Rooms::get)
            }),
            min_area_m2: errors.check_opt("min_area_m2", self.min_area_m2, |area| {
                let area = area.parse().map_err(|_| Invalid::format("must be a number"))?;
                AreaM2::parse(area).map(AreaM2::get)
            }),
            text: errors.check_opt("q", self.q, |q| search_text(&q)),
        };
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((filter, cursor, limit)))
    }
}

fn refuse(error: &DbError) -> Option<Problem> {
    error.is_constraint("properties_reference_key").then(|| {
        Problem::conflict(
            "reference_taken",
            "Another property has this reference: choose another.",
        )
    })
}

/// List properties, newest first.
#[utoipa::path(
    tag = "properties", operation_id = "list_properties", params(ListProperties), security(("bearer" = [])),
    responses((status = 200, body = Page<Property>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/properties")]
pub async fn list_properties(
    access: TenantAccess<ReadData>,
    params: Params<ListProperties>,
) -> Result<web::Json<Page<Property>>, Problem> {
    access.niche(Niche::REAL_ESTATE).await?;
    let params = access.check(params.0).await?;
    let (filter, after, limit) = access.check(params.check()).await?;
    let rows = access.run(properties::list(filter, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.offer.id)
    })))
}

/// Add a property.
#[utoipa::path(
    tag = "properties", operation_id = "create_property", request_body = CreateProperty, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Property), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/properties")]
pub async fn create_property(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateProperty>,
) -> Result<HttpResponse, Problem> {
    access.niche(Niche::REAL_ESTATE).await?;
    let property = access.check(body.value).await?;
    let fields = access.check(property.check()).await?;
    let id = PropertyId::new();
    let batch = (
        properties::insert(id, fields, access.access.session(), access.now),
        audit::insert(&access.access, "property.create", "properties", id),
    );
    let creation = Creation {
        operation: "create_property",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    access
        .create(creation, batch, |(property, _)| property, refuse)
        .await
}

/// Read a property.
#[utoipa::path(
    tag = "properties", operation_id = "get_property", params(("id" = PropertyId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Property), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/properties/{id}")]
pub async fn get_property(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Property>, Problem> {
    access.niche(Niche::REAL_ESTATE).await?;
    let id = access.check(path_id(&id)).await?;
    let property = access.run(properties::find(id)).await?.output;
    property.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a property.
#[utoipa::path(
    tag = "properties", operation_id = "update_property", params(("id" = PropertyId, Path)), request_body = UpdateProperty,
    security(("bearer" = [])),
    responses((status = 200, body = Property), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/properties/{id}")]
pub async fn update_property(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateProperty>,
) -> Result<web::Json<Property>, Problem> {
    access.niche(Niche::REAL_ESTATE).await?;
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        properties::lock(id, version),
        properties::update(id, changes, access.now),
        audit::insert(&access.access, "property.update", "properties", id),
    );
    let (_, property, _) = access.run_or(batch, refuse).await?.output;
    Ok(web::Json(property))
}

/// Remove a property.
#[utoipa::path(
    tag = "properties", operation_id = "delete_property", params(("id" = PropertyId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/properties/{id}")]
pub async fn delete_property(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    access.niche(Niche::REAL_ESTATE).await?;
    let id: PropertyId = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "property.delete", "properties", id);
    let photos = PhotosOf::Properties.ids(id.as_uuid());
    let batch = (properties::lock(id, None), photos, properties::delete(id), audit);
    let (_, photos, _, _) = access.run(batch).await?.output;
    access
        .platform()
        .photos
        .remove(access.tenant.home.id, &photos)
        .await;
    Ok(HttpResponse::NoContent().finish())
}
