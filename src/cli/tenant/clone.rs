//! `helixai tenant clone`: a copy of a tenant, to try things out.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::{output, session};
use crate::domain::tenant_key::TenantKey;

/// From which tenant, and to which key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// The key of the copy, which must be free
    #[arg(value_parser = TenantKey::parse)]
    new: TenantKey,

    /// Leave the people behind: names, addresses, numbers and messages become others, and everybody gets one new password
    #[arg(long)]
    mask: bool,

    /// Print the copy as JSON
    #[arg(long)]
    json: bool,
}

/// Copies.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start_with_files(config).await?;
    let progress = Progress::listener(args.json);
    let made = platform
        .keeper
        .duplicate(
            (&args.key, args.new.clone()),
            args.mask,
            &std::env::temp_dir(),
            super::origin(),
            &progress,
        )
        .await
        .with_context(|| format!("{} is not copied to {}", args.key, args.new))?;
    let url = platform.settings.server.tenant_url(&made.restored.tenant_key);
    platform.close().await;
    let (email, password) = match made.login {
        Some(login) => (login.email, Some(login.password)),
        None => (None, None),
    };
    if args.json {
        output::json(&serde_json::json!({
            "tenant_key": made.restored.tenant_key,
            "id": made.restored.id,
            "url": url,
            "made_at": made.restored.made_at,
            "rows": made.restored.rows,
            "masked": args.mask,
            "owner": { "email": email, "temporary_password": password },
        }));
        return Ok(Exit::Done.into());
    }
    let key = &made.restored.tenant_key;
    output::line(format_args!("tenant    {key} (a copy, which sends nothing)"));
    output::line(format_args!("address   {url}"));
    output::line(format_args!("rows      {}", made.restored.rows));
    match password {
        Some(password) => {
            let owner = email.unwrap_or("none who can log in".to_owned());
            output::line(format_args!("owner     {owner}"));
            output::line(format_args!(
                "password  {password} (of everybody there; shown this once)"
            ));
        }
        None => output::line("login     with the original's users and passwords"),
    }
    Ok(Exit::Done.into())
}
