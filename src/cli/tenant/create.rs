//! `helixai tenant create`: onboarding from a shell. The fields are checked as the API checks them.

use std::path::Path;
use std::process::ExitCode;

use crate::cli::exit::{Exit, Refused};
use crate::cli::{output, secret_input, session};
use crate::domain::invalid::FieldErrors;
use crate::domain::text::line;
use crate::http::admin::onboarding::NewTenantAnswer;
use crate::platform::Platform;
use crate::tenancy::onboarding_form::{OnboardingForm, OwnerForm};
use crate::tenancy::provision::{IdempotencyKey, OnboardError, Onboarded};

/// Whose idempotency keys these are: those of the API's administrators do not meet them.
const CALLER: &str = "cli";
/// Longest idempotency key, as in the API.
const IDEMPOTENCY_KEY_MAX: usize = 200;

/// The fields of a new tenant.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The key: its subdomain and `X-Tenant-Key`
    #[arg(value_name = "KEY")]
    tenant_key: String,

    /// The name of the business
    #[arg(long)]
    name: String,

    /// The niche: the name of a template, or one of its aliases
    #[arg(long)]
    niche: String,

    /// The code of the plan; without it the smallest one
    #[arg(long)]
    plan: Option<String>,

    /// CPF or CNPJ
    #[arg(long)]
    document: Option<String>,

    /// The e-mail address of the first user
    #[arg(long)]
    owner_email: String,

    /// The name of the first user
    #[arg(long)]
    owner_name: String,

    /// Read the first user's password from the first line of standard input; without it one is made up and printed
    #[arg(long)]
    owner_password_stdin: bool,

    /// Make repeating the command harmless: for 24 hours the same key answers the same tenant
    #[arg(long, value_name = "ID", value_parser = |id: &str| line(id, IDEMPOTENCY_KEY_MAX))]
    idempotency_key: Option<String>,

    /// Print what the API answers for a new tenant
    #[arg(long)]
    json: bool,
}

/// Onboards the tenant and prints its secrets, this once.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let password = match args.owner_password_stdin {
        true => Some(secret_input::read_line()?.to_string()),
        false => None,
    };
    let form = OnboardingForm {
        tenant_key: Some(args.tenant_key),
        name: Some(args.name),
        niche: Some(args.niche),
        plan: args.plan,
        document: args.document,
        owner: Some(OwnerForm {
            email: Some(args.owner_email),
            name: Some(args.owner_name),
            password,
        }),
    };
    // Before anything is connected to: a mistake in the arguments needs no database.
    form.clone().check().map_err(refused)?;
    let platform = session::start(config).await?;
    let tenant = onboard(&platform, form, args.idempotency_key).await?;
    if args.json {
        output::json(&NewTenantAnswer::new(tenant, &platform));
    } else {
        show(&tenant, &platform);
    }
    platform.close().await;
    Ok(Exit::Done.into())
}

async fn onboard(
    platform: &Platform,
    form: OnboardingForm,
    idempotency_key: Option<String>,
) -> anyhow::Result<Onboarded> {
    let repeat = idempotency_key.map(|key| IdempotencyKey {
        caller: CALLER.to_owned(),
        key,
        request_hash: form.fingerprint(&platform.key),
    });
    let key = form.tenant_key.clone().unwrap_or_default();
    let request = form.check().map_err(refused)?;
    let origin = super::origin();
    platform
        .provisioner
        .onboard(request, repeat, origin.actor, origin.request_id)
        .await
        .map_err(|error| {
            let advice = match &error {
                OnboardError::NoRoom => "; `helixai shard add` makes some",
                OnboardError::UnknownPlan => "; the API lists the plans at /api/admin/plans",
                _ => "",
            };
            let message = format!("{key} is not onboarded: {error}{advice}");
            anyhow::Error::from(error).context(message)
        })
}

pub(super) fn refused(errors: FieldErrors) -> anyhow::Error {
    let lines: Vec<String> = errors
        .into_iter()
        .map(|error| {
            let argument = match error.field.as_str() {
                "tenant_key" => "KEY".to_owned(),
                "owner.password" => "the password".to_owned(),
                field => format!("--{}", field.replace(['.', '_'], "-")),
            };
            format!("{argument} {}", error.message)
        })
        .collect();
    Refused::error(Exit::Usage, lines.join("; "))
}

/// What a new tenant's people need to know, this once.
pub(super) fn show(tenant: &Onboarded, platform: &Platform) {
    let url = platform.settings.server.tenant_url(&tenant.tenant_key);
    output::line(format_args!("tenant    {} ({})", tenant.tenant_key, tenant.niche));
    output::line(format_args!("address   {url}"));
    output::line(format_args!("owner     {}", tenant.owner_email));
    if let Some(password) = &tenant.temporary_password {
        output::line(format_args!("password  {password}"));
    }
    output::line(format_args!("api key   {}", tenant.api_key));
    output::note("The API key and a made-up password are shown this once.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_arguments() {
        let errors = OnboardingForm::default().check().map(|_| ()).unwrap_err();
        assert_eq!(
            refused(errors).to_string(),
            "KEY is required; --name is required; --niche is required; --owner-email is required; \
             --owner-name is required"
        );
    }
}
