//! `/veiculos` and `/imoveis`: what a tenant offers, for anybody to see, under the names that its customers know.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{Responder, get, web};
use serde::Serialize;

use crate::db::tenant::{properties, vehicles};
use crate::domain::property::PropertyOffer;
use crate::domain::tenant::Niche;
use crate::domain::vehicle::VehicleOffer;
use crate::http::extract::{PublicTenant, ReadData};
use crate::http::problem::{Problem, ProblemBody};

/// How many items a storefront shows.
const SHOWN: i64 = 50;

/// The storefront of a garage.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VehicleStorefront {
    /// Always `true`.
    success: bool,
    /// Name of the business.
    tenant: String,
    /// The most recently published, at most 50.
    veiculos: Vec<VehicleOffer>,
}

/// The storefront of an estate agent.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PropertyStorefront {
    /// Always `true`.
    success: bool,
    /// Name of the business.
    tenant: String,
    /// The most recently published, at most 50.
    imoveis: Vec<PropertyOffer>,
}

/// Never kept by anybody in between: what is sold, or whose seller is suspended, is gone at once.
fn fresh(body: impl Serialize) -> impl Responder {
    web::Json(body)
        .customize()
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// Vehicles for sale.
#[utoipa::path(
    tag = "storefront", operation_id = "get_vehicle_storefront", security(()),
    responses(
        (status = 200, body = VehicleStorefront), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/veiculos")]
pub async fn get_vehicle_storefront(public: PublicTenant<ReadData>) -> Result<impl Responder, Problem> {
    let access = public.0;
    access.niche(Niche::CARS).await?;
    Ok(fresh(VehicleStorefront {
        success: true,
        veiculos: access.run(vehicles::list_offers(SHOWN)).await?.output,
        tenant: access.tenant.name.clone(),
    }))
}

/// Properties for sale and for rent.
#[utoipa::path(
    tag = "storefront", operation_id = "get_property_storefront", security(()),
    responses(
        (status = 200, body = PropertyStorefront), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/imoveis")]
pub async fn get_property_storefront(public: PublicTenant<ReadData>) -> Result<impl Responder, Problem> {
    let access = public.0;
    access.niche(Niche::REAL_ESTATE).await?;
    Ok(fresh(PropertyStorefront {
        success: true,
        imoveis: access.run(properties::list_offers(SHOWN)).await?.output,
        tenant: access.tenant.name.clone(),
    }))
}
