//! `helixai admin`: the platform's administrators, who log in at `POST /api/admin/sessions`.

use std::path::Path;
use std::process::ExitCode;

use super::exit::{Exit, Refused};
use super::{exit, output, secret_input, session};
use crate::accounts::hashing;
use crate::db::master::admins;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::domain::email::Email;
use crate::domain::invalid::Invalid;
use crate::domain::password::Password;
use crate::domain::text::Name;

/// The arguments of `helixai admin`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add an administrator, or give the one of this address a new name and password
    ///
    /// The sessions of an administrator that exists end.
    #[command(after_help = exit::HELP)]
    Create(Create),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The address to log in with
    #[arg(long, value_parser = Email::parse)]
    email: Email,

    /// The name of the person
    #[arg(long, value_parser = Name::parse)]
    name: Name,

    /// Read the password from the first line of standard input; without it one is made up and printed
    #[arg(long)]
    password_stdin: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of the subcommands.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Create(args) => create(config, args).await,
    }
}

async fn create(config: Option<&Path>, args: Create) -> anyhow::Result<ExitCode> {
    let (password, made_up) = if args.password_stdin {
        let line = secret_input::read_line()?;
        (Password::parse(line.to_string()).map_err(refused)?, None)
    } else {
        let password = Password::generate();
        (password.clone(), Some(password))
    };
    let platform = session::start(config).await?;
    let hash = hashing::hash(password).await?;
    let now = platform.clock.now();
    let mut tx = platform.master.begin().await?;
    let id = admins::upsert_admin(&mut tx, &args.email, args.name.as_str(), &hash, now).await?;
    // Whoever knew the former password is out.
    admins::delete_sessions(&mut tx, id).await?;
    let audit = MasterAudit {
        actor: MasterActor::Cli,
        action: "admin.create",
        subject: Subject::Admin(id),
        request_id: None,
        details: serde_json::json!({}),
        at: now,
    };
    insert_audit(&mut tx, &audit).await?;
    tx.commit().await?;
    platform.close().await;

    if args.json {
        output::json(&serde_json::json!({
            "id": id,
            "email": args.email,
            "name": args.name,
            "temporary_password": made_up.as_ref().map(Password::expose),
        }));
    } else {
        output::line(format_args!("administrator {} <{}>", args.name, args.email));
        if let Some(password) = made_up {
            output::line(format_args!("password (shown this once): {}", password.expose()));
        }
    }
    Ok(Exit::Done.into())
}

fn refused(invalid: Invalid) -> anyhow::Error {
    Refused::error(Exit::Usage, format!("the password {invalid}"))
}
