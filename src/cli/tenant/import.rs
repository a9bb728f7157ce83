//! `helixai tenant import`: an old database becomes a tenant.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::create;
use crate::cli::exit::{Exit, Refused};
use crate::cli::progress::Progress;
use crate::cli::{output, secret_input, session};
use crate::domain::tenant_key::TenantKey;
use crate::http::admin::onboarding::NewTenantAnswer;
use crate::platform::Platform;
use crate::tenancy::import::map::{GARAGE, Map};
use crate::tenancy::import::report::{Level, Report};
use crate::tenancy::import::source::{Source, SourceError};
use crate::tenancy::import::{DumpError, ImportError, ImportRequest, Imported, Importer};
use crate::tenancy::onboarding_form::{OnboardingForm, OwnerForm};
use crate::tenancy::provision::IdempotencyKey;

/// Whose idempotency keys these are: those of `tenant create` do not meet them.
const CALLER: &str = "cli import";
/// Problems that are told of on the terminal.
const TOLD: usize = 20;

/// What, and into which tenant.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// A dump of `mysqldump`; it may be packed with gzip
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "csv",
        conflicts_with = "csv"
    )]
    mysql_dump: Option<PathBuf>,

    /// A file of comma-separated values with a line of names, for each table
    #[arg(long, value_name = "TABLE=FILE", num_args = 1.., value_parser = table_and_file)]
    csv: Vec<(String, PathBuf)>,

    /// What becomes of which table and column (docs/IMPORT.md); without it the map of the garage's old database
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,

    /// Check everything, change nothing
    #[arg(long)]
    dry_run: bool,

    /// Write every problem with its value to this file, a JSON object per line; only its owner can read it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Take a dump that does not end with "Dump completed": one that was made with `--skip-comments`
    #[arg(long, requires = "mysql_dump")]
    accept_unfinished: bool,

    /// Leave out rows that are refused, with all that belongs to them, instead of importing nothing
    #[arg(long)]
    skip_refused: bool,

    /// Add to the rows that the tenant has
    #[arg(long)]
    into_existing: bool,

    /// Onboard the tenant: the name of the business
    #[arg(long, requires = "owner_email", requires = "owner_name")]
    name: Option<String>,

    /// The e-mail address of the first user
    #[arg(long, requires = "name")]
    owner_email: Option<String>,

    /// The name of the first user
    #[arg(long, requires = "name")]
    owner_name: Option<String>,

    /// Read the first user's password from the first line of standard input; without it one is made up and printed
    #[arg(long, requires = "name")]
    owner_password_stdin: bool,

    /// The code of the plan; without it the smallest one
    #[arg(long, requires = "name")]
    plan: Option<String>,

    /// CPF or CNPJ
    #[arg(long, requires = "name")]
    document: Option<String>,

    /// Print what was found and done as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the embedded map.
pub fn print_map() -> ExitCode {
    output::line(GARAGE.trim_end());
    Exit::Done.into()
}

/// Imports.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let map = read_map(args.map.as_deref())?;
    if let Some((table, _)) = args.csv.iter().find(|(table, _)| map.table(table).is_none()) {
        let known: Vec<&str> = map.tables.keys().map(String::as_str).collect();
        let message = format!(
            "--csv {table}: the map has no such table; it has {}",
            known.join(", ")
        );
        return Err(Refused::error(Exit::Usage, message));
    }
    refuse_overwriting(&args)?;
    let form = form(&args, &map)?;
    if let Some(form) = &form {
        form.clone().check().map_err(create::refused)?;
    }
    let platform = session::start(config).await?;
    let request = ImportRequest {
        key: args.key.clone(),
        onboarding: form.map(|form| onboarding(&platform, form)).transpose()?,
        source: match args.mysql_dump {
            Some(dump) => Source::Dump(dump),
            None => Source::Csv(args.csv),
        },
        map: Arc::new(map),
        dry_run: args.dry_run,
        accept_unfinished: args.accept_unfinished,
        skip_refused: args.skip_refused,
        into_existing: args.into_existing,
        report: args.report,
    };
    let imported = import(&platform, request, args.json).await?;
    let tenant = imported
        .onboarded
        .clone()
        .map(|tenant| NewTenantAnswer::new(tenant, &platform));
    if args.json {
        output::json(&serde_json::json!({
            "tenant_key": imported.tenant_key,
            "id": imported.id,
            "imported": imported.is_done,
            "dry_run": args.dry_run,
            "sha256": imported.digest,
            "rows": imported.report.imported(),
            "refused": imported.report.refused(),
            "tables": imported.report.tables,
            "warnings": imported.report.warnings,
            "problems": imported.report.problems,
            "tenant": tenant,
        }));
    } else {
        show(&imported, args.dry_run);
        if let Some(tenant) = &imported.onboarded {
            create::show(tenant, &platform);
        }
    }
    platform.close().await;
    let is_refused =
        !imported.is_done && imported.report.refused() > 0 && !(args.dry_run && args.skip_refused);
    Ok(if is_refused { Exit::Refused } else { Exit::Done }.into())
}

async fn import(platform: &Platform, request: ImportRequest, quiet: bool) -> anyhow::Result<Imported> {
    let importer = Importer {
        master: platform.master.clone(),
        shards: platform.shards.clone(),
        provisioner: platform.provisioner.clone(),
        clock: platform.clock.clone(),
    };
    let key = request.key.clone();
    let progress = Progress::listener(quiet);
    importer
        .import(request, super::origin(), &progress)
        .await
        .map_err(|error| {
            let advice = match &error {
                ImportError::Unknown => "; --name, --owner-email and --owner-name onboard it",
                ImportError::NotEmpty(_) => "; --into-existing adds to them",
                ImportError::Source(SourceError::Dump(DumpError::Unfinished)) => {
                    "; --accept-unfinished takes it as it is"
                }
                _ => "",
            };
            let message = match &error {
                ImportError::Unsure(_) => format!("whether {key} has the rows is not known: {error}"),
                _ => format!("nothing is imported into {key}: {error}{advice}"),
            };
            anyhow::Error::from(error).context(message)
        })
}

fn read_map(path: Option<&Path>) -> anyhow::Result<Map> {
    let Some(path) = path else {
        return Map::parse(GARAGE).map_err(anyhow::Error::msg);
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the map {} cannot be read", path.display()))?;
    Map::parse(&text)
        .map_err(|mistake| Refused::error(Exit::Usage, format!("the map {}: {mistake}", path.display())))
}

/// A report replaces the file that has its name: not one that is read.
fn refuse_overwriting(args: &Args) -> anyhow::Result<()> {
    // By whatever name: what is not there yet is nobody's.
    let file = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let Some(report) = args.report.as_deref().and_then(file) else {
        return Ok(());
    };
    let sources = args.csv.iter().map(|(_, path)| path);
    let mut read = sources.chain(&args.mysql_dump).chain(&args.map);
    match read.find(|path| file(path) == Some(report)) {
        Some(path) => {
            let message = format!("--report would overwrite {}", path.display());
            Err(Refused::error(Exit::Usage, message))
        }
        None => Ok(()),
    }
}

/// How the tenant is onboarded, if it is to be.
fn form(args: &Args, map: &Map) -> anyhow::Result<Option<OnboardingForm>> {
    if args.name.is_none() {
        return Ok(None);
    }
    let password = match args.owner_password_stdin {
        true => Some(secret_input::read_line()?.to_string()),
        false => None,
    };
    Ok(Some(OnboardingForm {
        tenant_key: Some(args.key.to_string()),
        name: args.name.clone(),
        niche: Some(map.niche.clone()),
        plan: args.plan.clone(),
        document: args.document.clone(),
        owner: Some(OwnerForm {
            email: args.owner_email.clone(),
            name: args.owner_name.clone(),
            password,
        }),
    }))
}

/// A repeated command onboards no second time, and is told the secrets once more.
fn onboarding(
    platform: &Platform,
    form: OnboardingForm,
) -> anyhow::Result<(crate::tenancy::provision::Onboarding, IdempotencyKey)> {
    let repeat = IdempotencyKey {
        caller: CALLER.to_owned(),
        key: form.tenant_key.clone().unwrap_or_default(),
        request_hash: form.fingerprint(&platform.key),
    };
    Ok((form.check().map_err(create::refused)?, repeat))
}

fn table_and_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((table, file)) if !table.is_empty() && !file.is_empty() => {
            Ok((table.to_owned(), PathBuf::from(file)))
        }
        _ => Err("must be TABLE=FILE".to_owned()),
    }
}

fn show(imported: &Imported, dry_run: bool) {
    let report: &Report = &imported.report;
    let head = [
        "table", "becomes", "rows", "imported", "merged", "refused", "changed",
    ]
    .map(str::to_owned);
    let rows = report.tables.iter().map(|table| {
        [
            table.table.clone(),
            table.to.to_owned(),
            table.rows.to_string(),
            table.imported.to_string(),
            table.merged.to_string(),
            table.refused.to_string(),
            table.changed.to_string(),
        ]
    });
    output::table(std::iter::once(head).chain(rows).collect());
    for warning in &report.warnings {
        output::note(format_args!("note: {warning}"));
    }
    for problem in report.problems.iter().take(TOLD) {
        let level = match problem.level {
            Level::Refused => "refused",
            Level::Changed => "changed",
        };
        output::note(format_args!(
            "{level}: {} row {}, {}: {} ({})",
            problem.table, problem.row, problem.column, problem.message, problem.code
        ));
    }
    if report.problems.len() > TOLD {
        output::note("…; --report FILE has all of them, with their values");
    }
    output::note(match (imported.is_done, dry_run) {
        (true, _) => "Imported, all in one transaction.",
        (false, true) => "Nothing was changed: this was a dry run.",
        (false, false) => {
            "Nothing was imported: put right what is refused, or leave it out with --skip-refused."
        }
    });
}
