//! `helixai tenant list`: the tenants, newest first, a page at a time.

use std::path::Path;
use std::process::ExitCode;

use crate::cli::exit::Exit;
use crate::cli::{output, session};
use crate::db::master::tenants::{self, TenantFilter};
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::tenant::{Niche, TenantStatus};
use crate::http::admin::tenants::Tenant;
use crate::http::body::search_text;
use crate::tenancy::onboarding_form::find_niche;

/// What narrows the list; all of it must hold.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those in this state
    #[arg(long, value_parser = TenantStatus::parse)]
    status: Option<TenantStatus>,

    /// Only those of this niche
    #[arg(long, value_parser = find_niche)]
    niche: Option<Niche>,

    /// Only those with this text in their key, name or owner's address, or this CPF or CNPJ
    #[arg(long, value_name = "TEXT", value_parser = search_text)]
    q: Option<String>,

    /// How many, 1 to 200
    #[arg(long, value_name = "N", default_value = "50", value_parser = Limit::parse)]
    limit: Limit,

    /// Go on after the page that ended with this cursor
    #[arg(long, value_parser = Cursor::parse)]
    cursor: Option<Cursor>,

    /// Print the page as the API answers it
    #[arg(long)]
    json: bool,
}

/// Prints one page.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let filter = TenantFilter {
        status: args.status,
        niche: args.niche.map(String::from),
        text: args.q,
    };
    let after = args.cursor.map(|cursor| (cursor.at, cursor.id));
    let rows = tenants::list(&platform.master, &filter, after, args.limit.rows()).await?;
    let page = Page::from_rows(rows, args.limit, |row| Cursor::new(row.created_at, row.id));
    if args.json {
        output::json(&Page {
            items: Tenant::describe(page.items, &platform).await?,
            next_cursor: page.next_cursor,
        });
        platform.close().await;
        return Ok(Exit::Done.into());
    }
    platform.close().await;
    let head = ["KEY", "NICHE", "STATUS", "SINCE", "NAME"].map(str::to_owned);
    let rows = page.items.into_iter().map(|tenant| {
        let since = tenant.created_at.format("%Y-%m-%d").to_string();
        [
            tenant.key,
            tenant.niche,
            tenant.status.to_string(),
            since,
            tenant.name,
        ]
    });
    output::table(std::iter::once(head).chain(rows).collect());
    if let Some(cursor) = page.next_cursor {
        output::note(format_args!("there are more: --cursor {cursor}"));
    }
    Ok(Exit::Done.into())
}
