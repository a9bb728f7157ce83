//! `/api/vehicles`: the stock of a garage. A tenant of another niche has none: 404.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;

use crate::db::DbError;
use crate::db::tenant::audit;
use crate::db::tenant::photos::PhotosOf;
use crate::db::tenant::vehicles::{self, VehicleFilter};
use crate::domain::ids::VehicleId;
use crate::domain::invalid::FieldErrors;
use crate::domain::money::Cents;
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::tenant::Niche;
use crate::domain::text::{Name, line, text};
use crate::domain::vehicle::{Fuel, MileageKm, Plate, Transmission, Vehicle, VehicleStatus, Year};
use crate::http::body::{Body, Params, number, paging, path_id, search_text};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

const DESCRIPTION_MAX: usize = 20_000;

form! {
    /// A vehicle to be.
    CreateVehicle,
    /// Changes to a vehicle: what is left out stays, `null` empties.
    UpdateVehicle,
    required {
        /// Its headline.
        title: String as Name => Name::parse(&title),
        /// Who builds it.
        make: String as String => line(&make, 100),
        /// What it is called.
        model: String as String => line(&model, 100),
    }
    default {
        /// `draft` when left out; `published` ones are in the storefront.
        status: String as VehicleStatus = VehicleStatus::Draft.as_str() => VehicleStatus::parse(&status),
    }
    optional {
        /// When it was built.
        year_manufacture: i64 as Year => Year::parse(year_manufacture),
        /// Of which year's model.
        year_model: i64 as Year => Year::parse(year_model),
        /// Empty: on request.
        price_cents: i64 as Cents => Cents::parse(price_cents),
        /// How far it has been driven.
        mileage_km: i64 as MileageKm => MileageKm::parse(mileage_km),
        /// What it runs on.
        fuel: String as Fuel => Fuel::parse(&fuel),
        /// How gears are changed.
        transmission: String as Transmission => Transmission::parse(&transmission),
        /// At most 50 characters.
        color: String as String => line(&color, 50),
        /// Not shown in the storefront. It is in stock only once.
        plate: String as Plate => Plate::parse(&plate),
        /// At most 20,000 characters in any number of lines.
        description: String as String => text(&description, DESCRIPTION_MAX),
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListVehicles {
    /// In this state.
    #[param(value_type = Option<VehicleStatus>)]
    status: Option<String>,
    /// Of this make; case and accents do not matter.
    make: Option<String>,
    /// Of this model; case and accents do not matter.
    model: Option<String>,
    /// Not cheaper.
    #[param(value_type = Option<Cents>)]
    min_price_cents: Option<String>,
    /// Not dearer.
    #[param(value_type = Option<Cents>)]
    max_price_cents: Option<String>,
    /// Not of an older model.
    #[param(value_type = Option<Year>)]
    min_year_model: Option<String>,
    /// Not of a newer model.
    #[param(value_type = Option<Year>)]
    max_year_model: Option<String>,
    /// That runs on this.
    #[param(value_type = Option<Fuel>)]
    fuel: Option<String>,
    /// With this gearbox.
    #[param(value_type = Option<Transmission>)]
    transmission: Option<String>,
    /// With these words, accents ignored; the last word may be a beginning.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListVehicles {
    fn check(self) -> Result<(VehicleFilter, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let cents = |value: String| number(&value).and_then(Cents::parse).map(Cents::get);
        let year = |value: String| number(&value).and_then(Year::parse).map(Year::get);
        let filter = VehicleFilter {
            status: errors
                .check_opt("status", self.status, |status| VehicleStatus::parse(&status))
                .map(VehicleStatus::as_str),
            make: errors.check_opt("make", self.make, |make| line(&make, 100)),
            model: errors.check_opt("model", self.model, |model| line(&model, 100)),
            min_price_cents: errors.check_opt("min_price_cents", self.min_price_cents, cents),
            max_price_cents: errors.check_opt("max_price_cents", self.max_price_cents, cents),
            min_year_model: errors.check_opt("min_year_model", self.min_year_model, year),
            max_year_model: errors.check_opt("max_year_model", self.max_year_model, year),
            fuel: errors
                .check_opt("fuel", self.fuel, |fuel| Fuel::parse(&fuel))
                .map(Fuel::as_str),
            transmission: errors
                .check_opt("transmission", self.transmission, |gears| {
                    Transmission::parse(&gears)
                })
                .map(Transmission::as_str),
            text: errors.check_opt("q", self.q, |q| search_text(&q)),
        };
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((filter, cursor, limit)))
    }
}

fn refuse(error: &DbError) -> Option<Problem> {
    error.is_constraint("vehicles_plate_key").then(|| {
        Problem::conflict(
            "plate_taken",
            "Another vehicle in stock has this plate: it may be the same one.",
        )
    })
}

/// List vehicles, newest first.
#[utoipa::path(
    tag = "vehicles", operation_id = "list_vehicles", params(ListVehicles), security(("bearer" = [])),
    responses((status = 200, body = Page<Vehicle>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/vehicles")]
pub async fn list_vehicles(
    access: TenantAccess<ReadData>,
    params: Params<ListVehicles>,
) -> Result<web::Json<Page<Vehicle>>, Problem> {
    access.niche(Niche::CARS).await?;
    let params = access.check(params.0).await?;
    let (filter, after, limit) = access.check(params.check()).await?;
    let rows = access.run(vehicles::list(filter, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.offer.id)
    })))
}

/// Add a vehicle.
#[utoipa::path(
    tag = "vehicles", operation_id = "create_vehicle", request_body = CreateVehicle, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Vehicle), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/vehicles")]
pub async fn create_vehicle(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateVehicle>,
) -> Result<HttpResponse, Problem> {
    access.niche(Niche::CARS).await?;
    let vehicle = access.check(body.value).await?;
    let fields = access.check(vehicle.check()).await?;
    let id = VehicleId::new();
    let batch = (
        vehicles::insert(id, fields, access.access.session(), access.now),
        audit::insert(&access.access, "vehicle.create", "vehicles", id),
    );
    let creation = Creation {
        operation: "create_vehicle",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    access
        .create(creation, batch, |(vehicle, _)| vehicle, refuse)
        .await
}

/// Read a vehicle.
#[utoipa::path(
    tag = "vehicles", operation_id = "get_vehicle", params(("id" = VehicleId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Vehicle), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/vehicles/{id}")]
pub async fn get_vehicle(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Vehicle>, Problem> {
    access.niche(Niche::CARS).await?;
    let id = access.check(path_id(&id)).await?;
    let vehicle = access.run(vehicles::find(id)).await?.output;
    vehicle.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a vehicle.
#[utoipa::path(
    tag = "vehicles", operation_id = "update_vehicle", params(("id" = VehicleId, Path)), request_body = UpdateVehicle,
    security(("bearer" = [])),
    responses((status = 200, body = Vehicle), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/vehicles/{id}")]
pub async fn update_vehicle(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateVehicle>,
) -> Result<web::Json<Vehicle>, Problem> {
    access.niche(Niche::CARS).await?;
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        vehicles::lock(id, version),
        vehicles::update(id, changes, access.now),
        audit::insert(&access.access, "vehicle.update", "vehicles", id),
    );
    let (_, vehicle, _) = access.run_or(batch, refuse).await?.output;
    Ok(web::Json(vehicle))
}

/// Remove a vehicle.
#[utoipa::path(
    tag = "vehicles", operation_id = "delete_vehicle", params(("id" = VehicleId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/vehicles/{id}")]
pub async fn delete_vehicle(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    access.niche(Niche::CARS).await?;
    let id: VehicleId = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "vehicle.delete", "vehicles", id);
    let photos = PhotosOf::Vehicles.ids(id.as_uuid());
    let batch = (vehicles::lock(id, None), photos, vehicles::delete(id), audit);
    let (_, photos, _, _) = access.run(batch).await?.output;
    access
        .platform()
        .photos
        .remove(access.tenant.home.id, &photos)
        .await;
    Ok(HttpResponse::NoContent().finish())
}
