//! `helixai tenant sessions`, `backup-sessions` and `restore-session`: copies of the devices that a tenant's bots of WhatsApp are.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::json;

use crate::cli::exit::{Exit, Refused};
use crate::cli::{output, session};
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::tenants;
use crate::db::tenant::whatsapp::copies::{self, Linkable, Over};
use crate::db::tenant::{Access, TenantDb, audit, whatsapp};
use crate::db::{DbError, Refusal};
use crate::domain::ids::{DeviceCopyId, InstanceId, TenantId};
use crate::domain::tenant_key::TenantKey;
use crate::http::tenant::session_backups::SessionBackup;
use crate::platform::Platform;
use crate::tenancy::keeper::KeeperError;

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// Which bots.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// The bot's id or name; without it, all that are linked
    bot: Option<String>,

    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

/// Which bot, and from what.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// The bot's id or name
    bot: String,

    /// The backup's id; without it, the newest
    #[arg(long)]
    copy: Option<DeviceCopyId>,

    /// Lose the device that the bot is linked by now
    #[arg(long)]
    replace: bool,

    /// Print what was put back as JSON
    #[arg(long)]
    json: bool,
}

/// A bot with its backups, as it is printed.
#[derive(Debug, Serialize)]
struct Session {
    id: InstanceId,
    name: String,
    is_active: bool,
    state: String,
    backups: Vec<SessionBackup>,
}

/// A tenant that is served, with its bots.
struct Shop {
    platform: Platform,
    id: TenantId,
    db: TenantDb,
    bots: Vec<Linkable>,
}

impl Shop {
    async fn find(config: Option<&Path>, key: &TenantKey) -> anyhow::Result<Self> {
        let platform = session::start_with_files(config).await?;
        let found = tenants::find_record(&platform.master, key).await?;
        let found = found
            .ok_or(KeeperError::Unknown)
            .with_context(|| key.to_string())?;
        let db = platform.channels.db(found.id).await?;
        let db = db
            .ok_or(KeeperError::WrongState(found.status))
            .with_context(|| key.to_string())?;
        let access = Access::system(platform.clock.now());
        let bots = db.run(&access, copies::list_linkable()).await?.output;
        Ok(Self {
            platform,
            id: found.id,
            db,
            bots,
        })
    }

    /// The bot of this id or name.
    fn bot(&self, named: &str) -> anyhow::Result<&Linkable> {
        let mut bots = self
            .bots
            .iter()
            .filter(|bot| bot.id.to_string() == named || bot.name == named);
        match (bots.next(), bots.next()) {
            (Some(bot), None) => Ok(bot),
            (Some(_), Some(_)) => {
                let text = format!("several bots are called {named}: name one by its id");
                Err(Refused::error(Exit::Usage, text))
            }
            (None, _) => {
                let text = format!("the tenant has no bot {named} that can be linked to a telephone");
                Err(Refused::error(Exit::Unknown, text))
            }
        }
    }

    async fn backups(&self, bot: InstanceId) -> anyhow::Result<Vec<SessionBackup>> {
        let copies = self.platform.channels.list_copies((self.id, bot)).await?;
        Ok(copies.into_iter().map(SessionBackup::from).collect())
    }

    /// Says in the platform's audit what is about to be done.
    async fn note(&self, action: &'static str, details: serde_json::Value) -> anyhow::Result<()> {
        let origin = super::origin();
        let line = MasterAudit {
            actor: origin.actor,
            action,
            subject: Subject::Tenant(self.id),
            request_id: origin.request_id,
            details,
            at: self.platform.clock.now(),
        };
        let mut tx = self.platform.master.begin().await?;
        insert_audit(&mut tx, &line).await?;
        Ok(tx.commit().await?)
    }
}

/// Prints bots and their backups.
pub async fn list(config: Option<&Path>, args: ListArgs) -> anyhow::Result<ExitCode> {
    let shop = Shop::find(config, &args.key).await?;
    let mut sessions = Vec::new();
    for bot in &shop.bots {
        sessions.push(Session {
            id: bot.id,
            name: bot.name.clone(),
            is_active: bot.is_active,
            state: bot.state.clone(),
            backups: shop.backups(bot.id).await?,
        });
    }
    shop.platform.close().await;
    if args.json {
        output::json(&json!({ "items": sessions }));
        return Ok(Exit::Done.into());
    }
    let head = ["BOT", "NAME", "STATE", "BACKUP", "TAKEN", "SIZE"].map(str::to_owned);
    let mut rows = vec![head];
    for session in sessions {
        let state = match session.is_active {
            true => session.state,
            false => format!("{} (not active)", session.state),
        };
        let mut bot = [session.id.to_string(), session.name, state];
        for backup in &session.backups {
            rows.push(with(bot, Some(backup)));
            bot = Default::default();
        }
        if session.backups.is_empty() {
            rows.push(with(bot, None));
        }
    }
    output::table(rows);
    Ok(Exit::Done.into())
}

fn with([id, name, state]: [String; 3], backup: Option<&SessionBackup>) -> [String; 6] {
    let none = || "-".to_owned();
    let taken = backup.and_then(|backup| backup.taken_at);
    [
        id,
        name,
        state,
        backup.map_or_else(none, |backup| backup.id.to_string()),
        taken.map_or_else(none, |at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        backup.map_or_else(none, |backup| {
            output::bytes(i64::try_from(backup.bytes).unwrap_or(i64::MAX))
        }),
    ]
}

/// Backs up, now.
pub async fn back_up(config: Option<&Path>, args: BackupArgs) -> anyhow::Result<ExitCode> {
    let shop = Shop::find(config, &args.key).await?;
    let bots: Vec<InstanceId> = match &args.bot {
        Some(named) => vec![shop.bot(named)?.id],
        None => shop.bots.iter().map(|bot| bot.id).collect(),
    };
    shop.note("tenant.session_backup", json!({ "bots": bots }))
        .await?;
    let mut made = Vec::new();
    for bot in bots {
        if let Some(copy) = shop
            .platform
            .channels
            .copy_device(&shop.db, (shop.id, bot))
            .await?
        {
            made.push((bot, SessionBackup::from(copy)));
        }
    }
    shop.platform.close().await;
    if made.is_empty() && args.bot.is_some() {
        let text = "the bot is linked to no telephone: there is nothing to back up";
        return Err(Refused::error(Exit::Conflict, text));
    }
    if args.json {
        let items = made
            .iter()
            .map(|(bot, backup)| json!({ "bot": bot, "backup": backup }));
        output::json(&json!({ "items": items.collect::<Vec<_>>() }));
        return Ok(Exit::Done.into());
    }
    for (bot, backup) in made {
        output::line(format_args!("{bot}: {}", backup.id));
    }
    Ok(Exit::Done.into())
}

/// Puts back.
pub async fn restore(config: Option<&Path>, args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let shop = Shop::find(config, &args.key).await?;
    let bot = shop.bot(&args.bot)?;
    if bot.is_active {
        return Err(bot_active());
    }
    let of = (shop.id, bot.id);
    let newest = || async {
        shop.backups(bot.id)
            .await
            .map(|all| all.into_iter().next().map(|copy| copy.id))
    };
    let id = match args.copy {
        Some(id) => Some(id),
        None => newest().await?,
    };
    let none = || Refused::error(Exit::Unknown, "there is no such session backup of the bot");
    let id = id.ok_or_else(none)?;
    let channels = &shop.platform.channels;
    let copy = channels.open_copy(of, id).await?.ok_or_else(none)?;
    let now = shop.platform.clock.now();
    let access = Access::system(now);
    let over = match args.replace {
        true => Over::Any,
        false => {
            let device = shop.db.run(&access, whatsapp::find_device(bot.id)).await?.output;
            channels.may_be_lost(of, device).ok_or_else(device_linked)?
        }
    };
    let details = json!({ "bot": bot.id, "backup": id, "replace": args.replace });
    shop.note("tenant.session_restore", details.clone()).await?;
    crate::kill_point!("copies.noted");
    let batch = (
        Vec::from(copies::put_back(bot.id, copy, over, now)),
        audit::insert_with(&access, "bot.session_restore", "instances", bot.id, details),
    );
    let put = shop.db.run(&access, batch).await;
    crate::kill_point!("copies.put_back");
    put.map_err(|error| match error {
        DbError::Refused(Refusal::State) => bot_active(),
        DbError::Refused(Refusal::Stale) => device_linked(),
        error => error.into(),
    })?;
    shop.platform.close().await;
    if args.json {
        output::json(&json!({ "tenant_key": args.key, "bot": bot.id, "backup": id }));
    } else {
        output::line(format_args!(
            "{}: {id} is put back; start the bot, and it comes in without a code",
            bot.id
        ));
    }
    Ok(Exit::Done.into())
}

fn bot_active() -> anyhow::Error {
    let text = "the bot is active, or some process has it still: stop it (PATCH /api/bots/{id}/status with is_active false), wait a few \
                seconds, and repeat";
    Refused::error(Exit::Conflict, text)
}

fn device_linked() -> anyhow::Error {
    let text = "the bot is linked, with keys that are newer than the backup's: --replace loses them, and what was sealed for them \
                cannot be read any more";
    Refused::error(Exit::Conflict, text)
}
