//! `helixai tenant show`: one tenant, where it lives and what it has bought.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::{output, session};
use crate::db::master::archives::{self, ArchiveRecord};
use crate::db::master::subscriptions::{self, SubscriptionRecord};
use crate::db::master::tenants::{self, TenantRecord};
use crate::domain::subscription::SubscriptionStatus;
use crate::domain::tenant_key::TenantKey;
use crate::http::admin::tenants::Tenant;
use crate::platform::Platform;
use crate::tenancy::lifecycle::LifecycleError;

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Print the tenant as the API answers it, with its role, its lane and its subscription
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    tenant: Tenant,
    role_name: String,
    lane_login: String,
    subscription: Option<ShownSubscription>,
}

#[derive(Serialize)]
struct ShownSubscription {
    status: SubscriptionStatus,
    plan: String,
    trial_ends_at: Option<chrono::DateTime<chrono::Utc>>,
    current_period_end: chrono::DateTime<chrono::Utc>,
}

/// Prints the tenant.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let tenant = tenants::find_record(&platform.master, &args.key)
        .await?
        .ok_or(LifecycleError::Unknown)
        .with_context(|| args.key.to_string())?;
    let subscription = subscriptions::find_newest(&platform.master, &args.key).await?;
    let archive = archives::find_all(&platform.master, &[tenant.id]).await?.pop();
    platform.close().await;
    if args.json {
        output::json(&Shown::new(tenant, archive, subscription, &platform));
    } else {
        show(&tenant, subscription.as_ref(), &platform);
        if let Some(until) = archive.and_then(|archive| archive.purge_at) {
            output::line(format_args!("removed for good on {}", until.to_rfc3339()));
        }
    }
    Ok(Exit::Done.into())
}

impl Shown {
    fn new(
        tenant: TenantRecord,
        archive: Option<ArchiveRecord>,
        subscription: Option<SubscriptionRecord>,
        platform: &Platform,
    ) -> Self {
        Self {
            role_name: tenant.role.clone(),
            lane_login: tenant.login.clone(),
            tenant: Tenant::new(tenant, platform).with_archive(archive),
            subscription: subscription.map(|subscription| ShownSubscription {
                status: subscription.state.at(platform.clock.now()),
                plan: subscription.plan,
                trial_ends_at: subscription.state.trial_ends_at,
                current_period_end: subscription.current_period_end,
            }),
        }
    }
}

/// A line for each thing; also what `suspend` and `activate` print.
pub fn show(tenant: &TenantRecord, subscription: Option<&SubscriptionRecord>, platform: &Platform) {
    let mut rows = vec![
        ["tenant", &tenant.key].map(str::to_owned),
        ["name", &tenant.name].map(str::to_owned),
        ["niche", &tenant.niche].map(str::to_owned),
        ["status", tenant.status.as_str()].map(str::to_owned),
    ];
    if let Some(reason) = &tenant.suspended_reason {
        rows.push(["reason", reason].map(str::to_owned));
    }
    rows.extend([
        [
            "address".to_owned(),
            platform.settings.server.tenant_url(&tenant.key),
        ],
        ["owner", &tenant.owner_email].map(str::to_owned),
        ["document", tenant.document.as_deref().unwrap_or("—")].map(str::to_owned),
        ["schema", &tenant.schema].map(str::to_owned),
        ["role", &tenant.role].map(str::to_owned),
        ["lane", &tenant.login].map(str::to_owned),
        ["created".to_owned(), tenant.created_at.to_rfc3339()],
    ]);
    if let Some(subscription) = subscription {
        let until = subscription.current_period_end.format("%Y-%m-%d");
        let status = subscription.state.at(platform.clock.now());
        let text = format!("{}, {status} until {until}", subscription.plan);
        rows.push(["subscription".to_owned(), text]);
    }
    output::table(rows);
}
