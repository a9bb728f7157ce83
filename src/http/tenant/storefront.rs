//! `/veiculos` and `/imoveis`: what a tenant offers, for anybody to see, under the names that its customers know.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web;
use actix_web::{Responder, get};
use serde::Serialize;

use crate::db::tenant::vehicles;
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
    let veiculos = access.run(vehicles::list_offers(SHOWN)).await?.output;
    Ok(fresh(VehicleStorefront {
        success: true,
        tenant: access.tenant.name.clone(),
        veiculos,
    }))
}
