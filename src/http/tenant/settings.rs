//! `/api/settings`: what the tenant has set for itself.

use actix_web::{get, patch, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::db::tenant::settings::StoredSettings;
use crate::db::tenant::{audit, settings};
use crate::domain::email::Email;
use crate::domain::invalid::FieldErrors;
use crate::domain::patch::Patch;
use crate::domain::phone::Phone;
use crate::domain::settings::{BusinessHours, Language, Settings, TEXT_MAX, TimeZone};
use crate::domain::text::{Name, text};
use crate::http::body::Body;
use crate::http::extract::{ManageTenant, SeeSettings, TenantAccess};
use crate::http::form::Changes;
use crate::http::problem::{Problem, ProblemBody};

/// The settings that count now.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SettingsAnswer {
    #[serde(flatten)]
    settings: Settings,
    /// When one of them was last changed.
    updated_at: Option<DateTime<Utc>>,
}

impl SettingsAnswer {
    fn of(tenant_name: &str, stored: &StoredSettings) -> Self {
        Self {
            settings: Settings::of(tenant_name, &stored.values),
            updated_at: stored.updated_at,
        }
    }
}

/// Changes to settings: what is left out stays, `null` goes back to what counts without it. Of two who change the same
/// setting the last one wins; different settings do not disturb each other.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSettings {
    /// How customers know the business.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    company_name: Patch<String>,
    /// In which its days and hours are meant.
    #[serde(default)]
    #[schema(value_type = Option<TimeZone>)]
    time_zone: Patch<String>,
    /// What its people and customers are spoken to in.
    #[serde(default)]
    #[schema(value_type = Option<Language>)]
    language: Patch<String>,
    /// When people answer; all days at once.
    #[serde(default)]
    #[schema(value_type = Option<BusinessHours>)]
    business_hours: Patch<BusinessHours>,
    /// What a robot says first: at most 2,000 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    greeting: Patch<String>,
    /// What a robot says outside of the business hours: at most 2,000 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    away_message: Patch<String>,
    /// Where customers may write to.
    #[serde(default)]
    #[schema(value_type = Option<Email>)]
    contact_email: Patch<String>,
    /// Where customers may call.
    #[serde(default)]
    #[schema(value_type = Option<Phone>)]
    contact_phone: Patch<String>,
    /// Where the business is: at most 2,000 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    address: Patch<String>,
}

impl UpdateSettings {
    fn check(self) -> Result<Map<String, Value>, FieldErrors> {
        let mut form = Changes::default();
        form.optional("company_name", self.company_name, |name| Name::parse(&name));
        form.optional("time_zone", self.time_zone, |zone| TimeZone::parse(&zone));
        form.optional("language", self.language, |language| Language::parse(&language));
        form.optional("business_hours", self.business_hours, BusinessHours::check);
        form.optional("greeting", self.greeting, |greeting| text(&greeting, TEXT_MAX));
        form.optional("away_message", self.away_message, |away| text(&away, TEXT_MAX));
        form.optional("contact_email", self.contact_email, |email| Email::parse(&email));
        form.optional("contact_phone", self.contact_phone, |phone| Phone::parse(&phone));
        form.optional("address", self.address, |address| text(&address, TEXT_MAX));
        form.finish()
    }
}

/// Read the settings.
#[utoipa::path(
    tag = "settings", operation_id = "get_settings", security(("bearer" = [])),
    responses(
        (status = 200, body = SettingsAnswer), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/settings")]
pub async fn get_settings(access: TenantAccess<SeeSettings>) -> Result<web::Json<SettingsAnswer>, Problem> {
    let stored = access.run(settings::find_all()).await?.output;
    Ok(web::Json(SettingsAnswer::of(&access.tenant.name, &stored)))
}

/// Change settings.
#[utoipa::path(
    tag = "settings", operation_id = "update_settings", request_body = UpdateSettings, security(("bearer" = [])),
    responses(
        (status = 200, body = SettingsAnswer), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[patch("/api/settings")]
pub async fn update_settings(
    access: TenantAccess<ManageTenant>,
    body: Body<UpdateSettings>,
) -> Result<web::Json<SettingsAnswer>, Problem> {
    let update = access.check(body.value).await?;
    let changes = access.check(update.check()).await?;
    let named: Vec<&String> = changes.keys().collect();
    let details = json!({ "changed": named });
    let spoken = changes.contains_key("language");
    let batch = (
        settings::lock(&changes),
        settings::upsert(&changes, access.now),
        (
            settings::delete_nulls(&changes),
            spoken.then(|| settings::note_language(access.now)),
        ),
        audit::insert_with(&access.access, "settings.update", "settings", "all", details),
        settings::find_all(),
    );
    let (_, _, _, _, stored) = access.run(batch).await?.output;
    Ok(web::Json(SettingsAnswer::of(&access.tenant.name, &stored)))
}
