//! Every route of the program. A route that is not registered here does not exist, in the program or in its document.

use actix_web::{HttpRequest, web};
use utoipa::openapi::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;

use super::problem::Problem;
use super::{admin, hooks, public, tenant};

/// Registers all documented routes.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(public::health::get_health)
        .service(public::health::get_readiness)
        .service(public::health::get_metrics)
        .service(public::plans::list_offers)
        .service(admin::sessions::create_admin_session)
        .service(admin::sessions::delete_admin_session)
        .service(admin::password_resets::create_admin_password_reset)
        .service(admin::password_resets::confirm_admin_password_reset)
        .service(admin::onboarding::create_tenant)
        .service(admin::tenants::list_tenants)
        .service(admin::tenants::get_tenant)
        .service(admin::tenants::suspend_tenant)
        .service(admin::tenants::activate_tenant)
        .service(admin::tenants::update_tenant)
        .service(admin::onboarding::retry_tenant)
        .service(admin::lifecycle::rename_tenant)
        .service(admin::lifecycle::archive_tenant)
        .service(admin::lifecycle::restore_tenant)
        .service(admin::lifecycle::delete_tenant)
        .service(admin::domains::list_domains)
        .service(admin::domains::create_domain)
        .service(admin::domains::verify_domain)
        .service(admin::domains::delete_domain)
        .service(admin::shards::list_shards)
        .service(tenant::sessions::create_session)
        .service(tenant::sessions::delete_session)
        .service(tenant::password_links::create_password_reset)
        .service(tenant::password_links::confirm_password_reset)
        .service(tenant::password_links::accept_invitation)
        .service(tenant::me::get_me)
        .service(tenant::me::change_my_password)
        .service(admin::clients::criar_cliente)
        .service(admin::usage::get_tenant_usage)
        .service(admin::plans::list_plans)
        .service(admin::plans::create_plan)
        .service(admin::plans::get_plan)
        .service(admin::plans::update_plan)
        .service(admin::plans::create_plan_version)
        .service(admin::subscriptions::list_subscriptions)
        .service(admin::invoices::list_tenant_invoices)
        .service(admin::invoices::get_tenant_invoice)
        .service(admin::invoices::create_tenant_invoice)
        .service(admin::invoices::void_tenant_invoice)
        .service(admin::audit::list_audit)
        .service(admin::gateway_accounts::list_gateway_accounts)
        .service(admin::gateway_accounts::create_gateway_account)
        .service(admin::gateway_accounts::get_gateway_account)
        .service(admin::gateway_accounts::update_gateway_account)
        .service(admin::gateway_accounts::delete_gateway_account)
        .service(admin::invoice_refunds::refund_invoice)
        .service(admin::payment_findings::list_payment_findings)
        .service(admin::payment_findings::resolve_payment_finding)
        .service(hooks::hear_mercado_pago)
        .service(hooks::hear_stripe)
        .service(hooks::hear_asaas)
        .service(hooks::telegram::hear_telegram)
        .service(tenant::checkout::create_checkout)
        .service(tenant::checkout::pay_invoice)
        .service(tenant::checkout::get_invoice_pix_png)
        .service(tenant::checkout::get_invoice_pix_svg)
        .service(tenant::api_keys::list_api_keys)
        .service(tenant::api_keys::create_api_key)
        .service(tenant::api_keys::get_api_key)
        .service(tenant::api_keys::delete_api_key)
        .service(tenant::users::list_users)
        .service(tenant::users::create_user)
        .service(tenant::users::get_user)
        .service(tenant::users::update_user)
        .service(tenant::users::delete_user)
        .service(tenant::users::reset_user_password)
        .service(tenant::export::export_account)
        .service(tenant::settings::get_settings)
        .service(tenant::settings::update_settings)
        .service(tenant::subscription::get_subscription)
        .service(tenant::subscription_changes::change_subscription)
        .service(tenant::subscription_changes::cancel_subscription)
        .service(tenant::subscription_changes::reactivate_subscription)
        .service(tenant::invoices::list_invoices)
        .service(tenant::invoices::get_invoice)
        .service(tenant::invoice_papers::get_invoice_pdf)
        .service(tenant::invoice_papers::get_tenant_invoice_pdf)
        .service(admin::reports::get_billing_report)
        .service(admin::reports::get_revenue_report)
        .service(admin::reports::get_overdue_report)
        .service(tenant::usage::get_usage)
        .service(tenant::usage::create_reservation)
        .service(tenant::usage::settle_reservation)
        .service(tenant::usage::release_reservation)
        .service(tenant::contacts::list_contacts)
        .service(tenant::contacts::create_contact)
        .service(tenant::contacts::get_contact)
        .service(tenant::contacts::update_contact)
        .service(tenant::contacts::delete_contact)
        .service(tenant::person::export_contact)
        .service(tenant::person::erase_contact)
        .service(tenant::bots::list_my_bots)
        .service(tenant::bots::get_bot_stats)
        .service(tenant::bots::validate_bot_token)
        .service(tenant::bots::create_bot)
        .service(tenant::bots::get_bot)
        .service(tenant::bots::update_bot)
        .service(tenant::bots::delete_bot)
        .service(tenant::bots::set_bot_status)
        .service(tenant::conversations::list_conversations)
        .service(tenant::conversations::create_conversation)
        .service(tenant::conversations::get_conversation)
        .service(tenant::conversations::update_conversation)
        .service(tenant::conversations::read_conversation)
        .service(tenant::conversations::delete_conversation)
        .service(tenant::messages::list_messages)
        .service(tenant::messages::create_message)
        .service(tenant::messages::resend_message)
        .service(tenant::leads::list_leads)
        .service(tenant::leads::create_lead)
        .service(tenant::leads::get_lead)
        .service(tenant::leads::update_lead)
        .service(tenant::leads::delete_lead)
        .service(tenant::lead_history::list_lead_history)
        .service(tenant::lead_stages::list_lead_stages)
        .service(tenant::lead_stages::create_lead_stage)
        .service(tenant::lead_stages::update_lead_stage)
        .service(tenant::lead_stages::delete_lead_stage)
        .service(tenant::customers::list_customers)
        .service(tenant::customers::create_customer)
        .service(tenant::customers::get_customer)
        .service(tenant::customers::update_customer)
        .service(tenant::customers::delete_customer)
        .service(tenant::customers::plans::list_customer_plans)
        .service(tenant::customers::plans::create_customer_plan)
        .service(tenant::customers::plans::get_customer_plan)
        .service(tenant::customers::plans::update_customer_plan)
        .service(tenant::customers::plans::delete_customer_plan)
        .service(tenant::customers::orders::list_orders)
        .service(tenant::customers::orders::create_order)
        .service(tenant::customers::orders::get_order)
        .service(tenant::customers::orders::update_order)
        .service(tenant::customers::orders::cancel_order)
        .service(tenant::customers::dues::list_dues)
        .service(tenant::customers::dues::create_due)
        .service(tenant::customers::dues::get_due)
        .service(tenant::customers::dues::update_due)
        .service(tenant::customers::dues::cancel_due)
        .service(tenant::customers::dues::create_due_payment)
        .service(tenant::customers::dues::delete_due_payment)
        .service(tenant::customers::charges::create_due_charge)
        .service(tenant::customers::charges::get_due_charge)
        .service(tenant::customers::charges::get_due_pix_png)
        .service(tenant::customers::charges::get_due_pix_svg)
        .service(tenant::assistant::invite_assistant)
        .service(tenant::assistant::list_assistant_links)
        .service(tenant::assistant::delete_assistant_links)
        .service(tenant::payment_accounts::list_payment_accounts)
        .service(tenant::payment_accounts::create_payment_account)
        .service(tenant::payment_accounts::get_payment_account)
        .service(tenant::payment_accounts::update_payment_account)
        .service(tenant::customers::templates::list_message_templates)
        .service(tenant::customers::templates::create_message_template)
        .service(tenant::customers::templates::get_message_template)
        .service(tenant::customers::templates::preview_message_template)
        .service(tenant::customers::templates::update_message_template)
        .service(tenant::customers::templates::delete_message_template)
        .service(tenant::customers::rules::list_reminder_rules)
        .service(tenant::customers::rules::create_reminder_rule)
        .service(tenant::customers::rules::get_reminder_rule)
        .service(tenant::customers::rules::update_reminder_rule)
        .service(tenant::customers::rules::delete_reminder_rule)
        .service(tenant::customers::finance::get_finance_report)
        .service(tenant::vehicles::list_vehicles)
        .service(tenant::vehicles::create_vehicle)
        .service(tenant::vehicles::get_vehicle)
        .service(tenant::vehicles::update_vehicle)
        .service(tenant::vehicles::delete_vehicle)
        .service(tenant::properties::list_properties)
        .service(tenant::properties::create_property)
        .service(tenant::properties::get_property)
        .service(tenant::properties::update_property)
        .service(tenant::properties::delete_property)
        .service(tenant::photos::vehicles::upload_vehicle_photos)
        .service(tenant::photos::vehicles::arrange_vehicle_photos)
        .service(tenant::photos::vehicles::delete_vehicle_photo)
        .service(tenant::photos::properties::upload_property_photos)
        .service(tenant::photos::properties::arrange_property_photos)
        .service(tenant::photos::properties::delete_property_photo)
        .service(tenant::photos::products::upload_product_photos)
        .service(tenant::photos::products::arrange_product_photos)
        .service(tenant::photos::products::delete_product_photo)
        .service(tenant::photo_files::get_photo)
        .service(tenant::photo_files::get_photo_thumbnail)
        .service(tenant::products::list_products)
        .service(tenant::products::create_product)
        .service(tenant::products::get_product)
        .service(tenant::products::update_product)
        .service(tenant::products::delete_product)
        .service(tenant::storefront::get_vehicle_storefront)
        .service(tenant::storefront::get_property_storefront);
}

/// What no route answers: 404, or 405 where the address exists for another method.
pub async fn not_found(request: HttpRequest) -> Problem {
    match request.match_pattern() {
        Some(pattern) => Problem::method_not_allowed(methods(&request, &pattern)),
        None => Problem::not_found(),
    }
}

/// The methods that an address takes, for the header `Allow`. What the document does not know is only read.
fn methods(request: &HttpRequest, pattern: &str) -> String {
    let document = request.app_data::<web::Data<OpenApi>>();
    let item = document.and_then(|document| document.paths.paths.get(pattern));
    let known = item.map(|item| {
        [
            ("DELETE", item.delete.is_some()),
            ("GET", item.get.is_some()),
            ("HEAD", item.get.is_some()),
            ("PATCH", item.patch.is_some()),
            ("POST", item.post.is_some()),
            ("PUT", item.put.is_some()),
        ]
    });
    let known = known.iter().flatten().filter(|(_, taken)| *taken);
    let names: Vec<&str> = known.map(|(name, _)| *name).collect();
    if names.is_empty() {
        "GET, HEAD".to_owned()
    } else {
        names.join(", ")
    }
}

/// Registers what is not part of the document.
pub fn fallbacks(config: &mut web::ServiceConfig) {
    config.route("/reset-password", web::get().to(public::password_page::reset));
    config.route("/accept-invitation", web::get().to(public::password_page::accept));
    config.default_service(web::to(|request| async move {
        Err::<String, _>(not_found(request).await)
    }));
}
