//! An account at a gateway, as it comes in and as it is shown: the platform's and the tenants' alike. Credentials are never
//! shown again.

use actix_web::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::billing::gateways::Credentials;
use crate::billing::payments::accounts::{AccountChange, AccountError};
use crate::billing::payments::{NewAccount, Payments};
use crate::db::master::payments::accounts::AccountRecord;
use crate::domain::charge::AccountStatus;
use crate::domain::ids::{GatewayAccountId, TenantId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::payment::GatewayKind;
use crate::domain::text::line;
use crate::http::problem::Problem;

/// Longest name.
const NAME_MAX: usize = 100;

/// An account at a gateway. Its credentials are never shown.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GatewayAccount {
    id: GatewayAccountId,
    gateway: GatewayKind,
    name: String,
    /// `disabled`: new charges do not use it; those that it has are followed.
    status: AccountStatus,
    /// Where the gateway is to send its webhooks.
    hook_url: String,
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// An account to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGatewayAccount {
    #[schema(value_type = GatewayKind)]
    gateway: Option<String>,
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Of Mercado Pago `access_token` and `webhook_secret`; of Stripe `secret_key` and `webhook_secret`; of Asaas `api_key` and
    /// `webhook_token`, which you make up (32 characters or more).
    #[schema(value_type = Object, example = json!({"access_token": "APP_USR-0000", "webhook_secret": "0000"}))]
    credentials: Option<Map<String, Value>>,
}

/// What of an account changes.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateGatewayAccount {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// All of them, of the same gateway.
    #[schema(value_type = Option<Object>)]
    credentials: Option<Map<String, Value>>,
    #[schema(value_type = Option<AccountStatus>)]
    status: Option<String>,
    /// The version that was read: another one is refused.
    #[schema(value_type = Option<i32>, minimum = 1)]
    version: Option<i32>,
}

impl GatewayAccount {
    /// What is shown of an account.
    pub fn new(record: &AccountRecord, payments: &Payments) -> Self {
        Self {
            id: record.id,
            gateway: record.gateway,
            name: record.name.clone(),
            status: record.status,
            hook_url: payments.hook_url(record),
            version: record.version,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

impl CreateGatewayAccount {
    /// Checks the fields; the account is `owner`'s (`None`: the platform's).
    ///
    /// # Errors
    /// The refused fields; nothing of a credential is in them.
    pub fn check(self, owner: Option<TenantId>) -> Result<NewAccount, FieldErrors> {
        let mut errors = FieldErrors::new();
        let gateway = errors.require("gateway", self.gateway, |gateway| GatewayKind::parse(&gateway));
        let name = errors.require("name", self.name, |name| line(&name, NAME_MAX));
        let given = errors.require("credentials", self.credentials, Ok);
        let credentials = gateway.zip(given);
        let credentials = credentials.and_then(|(kind, given)| read(&mut errors, kind, &given));
        errors.finish(|| {
            Some(NewAccount {
                owner,
                name: name?,
                credentials: credentials?,
            })
        })
    }
}

impl UpdateGatewayAccount {
    /// Checks the fields, for an account of this gateway.
    ///
    /// # Errors
    /// The refused fields; nothing of a credential is in them.
    pub fn check(self, gateway: GatewayKind) -> Result<AccountChange, FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.check_opt("name", self.name, |name| line(&name, NAME_MAX));
        let status = errors.check_opt("status", self.status, |status| AccountStatus::parse(&status));
        let given = self.credentials;
        let credentials = given.and_then(|given| read(&mut errors, gateway, &given));
        errors.finish(|| {
            Some(AccountChange {
                name,
                credentials,
                status,
                version: self.version,
            })
        })
    }
}

fn read(errors: &mut FieldErrors, kind: GatewayKind, given: &Map<String, Value>) -> Option<Credentials> {
    match Credentials::parse(kind, given) {
        Ok(credentials) => Some(credentials),
        Err(refused) => {
            for error in refused {
                let invalid = Invalid::new(error.code, error.message);
                errors.push(&format!("credentials.{}", error.field), invalid);
            }
            None
        }
    }
}

/// Why an account is not made or changed, as it is answered.
pub fn refused(error: AccountError) -> Problem {
    match error {
        AccountError::Unknown => Problem::not_found(),
        AccountError::Taken => Problem::conflict(
            "gateway_account_exists",
            "There is an active account of this gateway: change it, or disable it first.",
        ),
        AccountError::Stale => Problem::conflict(
            "stale_version",
            "Somebody has changed this since you read it: read it again and repeat your change.",
        ),
        AccountError::OtherGateway => Problem::invalid_field(
            "credentials",
            Invalid::new("other_gateway", "are of another gateway than the account"),
        ),
        AccountError::Used => Problem::conflict(
            "gateway_account_used",
            "Something was collected through this account: disable it instead.",
        ),
        AccountError::OtherCollector => Problem::conflict(
            "gateway_account_other",
            "These credentials are of another account at the gateway, and this one has collected already: disable it, and create \
             another one with them.",
        ),
        AccountError::Unproven => Problem::unavailable(
            "gateway_unavailable",
            "The gateway does not say now whose credentials these are: nothing has changed. Try again in a moment.",
        ),
        AccountError::Credentials => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "credentials_refused",
            "The gateway does not accept these credentials: copy them again.",
        ),
        AccountError::Db(error) => error.into(),
    }
}
