//! Every route of the program. A route that is not registered here does not exist, in the program or in its document.

use actix_web::http::StatusCode;
use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;

use super::problem::Problem;
use super::{admin, public, tenant};

/// Registers all documented routes.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(public::health::get_health)
        .service(public::health::get_readiness)
        .service(public::health::get_metrics)
        .service(admin::sessions::create_admin_session)
        .service(admin::sessions::delete_admin_session)
        .service(admin::tenants::create_tenant)
        .service(admin::tenants::list_tenants)
        .service(admin::tenants::get_tenant)
        .service(admin::tenants::suspend_tenant)
        .service(admin::tenants::activate_tenant)
        .service(tenant::sessions::create_session)
        .service(tenant::sessions::delete_session)
        .service(tenant::me::get_me)
        .service(tenant::me::change_my_password)
        .service(tenant::leads::list_leads)
        .service(tenant::leads::create_lead)
        .service(tenant::leads::get_lead)
        .service(tenant::leads::update_lead)
        .service(tenant::leads::delete_lead)
        .service(tenant::vehicles::list_vehicles)
        .service(tenant::vehicles::create_vehicle)
        .service(tenant::vehicles::get_vehicle)
        .service(tenant::vehicles::update_vehicle)
        .service(tenant::vehicles::delete_vehicle)
        .service(tenant::storefront::get_vehicle_storefront);
}

/// What no route answers: 404, or 405 where the address exists for another method.
pub async fn not_found(request: actix_web::HttpRequest) -> Problem {
    if request.match_pattern().is_some() {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This address does not take this method.",
        )
    } else {
        Problem::not_found()
    }
}

/// Registers what is not part of the document.
pub fn fallbacks(config: &mut web::ServiceConfig) {
    config.default_service(web::to(|request| async move {
        Err::<String, _>(not_found(request).await)
    }));
}
