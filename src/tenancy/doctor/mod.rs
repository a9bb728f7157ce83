//! Compares a platform with what it should be, and says for every difference what to do.
//!
//! [`Doctor::examine`] looks at everything (`helixai doctor`); [`Doctor::examine_before_serving`] at what a server
//! should not start with. The questions are asked in `db::shard::inspect`; here are only the judgements: [`server`],
//! [`logins`], [`memberships`], [`belongings`], [`moves`], [`usage`], [`payments`], [`books`], [`backups`], [`archives`],
//! [`budget`], [`host`], [`migrations`], [`drift`]. To add a check: a question there if it needs one, a judgement here that adds to the [`Report`], a row in
//! `docs/CLI.md`.

pub mod archives;
pub mod backups;
pub mod belongings;
pub mod books;
pub mod budget;
pub mod drift;
pub mod host;
pub mod logins;
pub mod memberships;
mod migrations;
pub mod moves;
pub mod payments;
pub mod report;
pub mod server;
pub mod usage;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::shards::connector_of;
use crate::db::DbError;
use crate::db::connect::{AdminClient, Connector};
use crate::db::master::lanes::ShardRecord;
use crate::db::shard::inspect::registry::{Registry, Tenant, registry};
use crate::db::shard::inspect::versions::{Versions, versions};
use crate::db::shard::inspect::{catalog, roles, schemas};
use crate::db::shard::template::Template;
use crate::db::shard::{inspect, privileges, setup};
use crate::domain::clock::Clock;
use crate::domain::platform_key::PlatformKey;
use budget::Budget;
use drift::{Drift, Drifts, Unreachable};
use report::{Level, Report};
use view::ShardView;

pub use report::Finding;

/// The check that finds rights by which a tenant's SQL could leave its schema.
pub const PRIVILEGES: &str = "privileges";

/// What the program is set to use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections of a process to each lane.
    pub lane_pool: i64,
    /// Connections of a process to the registry.
    pub master_pool: i64,
    /// Processes that serve.
    pub processes: i64,
    /// Whether rights that a managed server does not let go are accepted.
    pub allow_excess_privileges: bool,
    /// The time between two snapshots of a tenant; `None` when none are made by the clock.
    pub backups_every: Option<Duration>,
}

/// Knows how to reach what it examines.
pub struct Doctor {
    /// The database of the registry.
    pub connector: Connector,
    /// Opens the addresses of the other shards.
    pub key: PlatformKey,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// What the program is set to use.
    pub limits: Limits,
    /// Folders of this machine that the program writes to.
    pub folders: Vec<PathBuf>,
    /// Tells this machine's time.
    pub clock: Clock,
}

/// The lanes of one server, and the connections that it has.
struct ServerShare {
    started_at: DateTime<Utc>,
    budget: Budget,
}

impl Doctor {
    /// Looks at everything. What cannot be looked at is a finding as well.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut report = Report::default();
        host::judge_disks(&self.folders, &mut report);
        match self.connector.administrator().await {
            Ok(admin) => {
                if let Err(error) = self.examine_all(&admin, &mut report).await {
                    report.error(
                        "unfinished",
                        format!("the examination could not go on: {error}"),
                        "mend what is named above, then run `helixai doctor` again",
                    );
                }
            }
            Err(error) => report.error(
                "connection",
                format!("the administrator cannot connect: {error}"),
                "check that PostgreSQL runs and that `database.url` names it",
            ),
        }
        report.into_findings()
    }

    /// Looks at what a server should not start with: rights that let one tenant reach another, and more connections
    /// than there are.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn examine_before_serving(&self) -> Result<Vec<Finding>, DbError> {
        let mut report = Report::default();
        let admin = self.connector.administrator().await?;
        let registry = registry(&admin).await?;
        let mut servers = Vec::new();
        for shard in &registry.shards {
            report.begin_shard(&shard.name);
            match self.reach(shard).await {
                Ok((connector, client)) => {
                    self.examine_privileges(&client, &connector, &mut report).await?;
                    self.add_share(&mut servers, &client, shard, &registry).await?;
                }
                Err(error) => unreachable(&mut report, &error),
            }
        }
        report.end_shard();
        judge_budgets(&servers, &mut report);
        Ok(report.into_findings())
    }

    async fn examine_all(&self, admin: &AdminClient, report: &mut Report) -> Result<(), DbError> {
        self.examine_server(admin, report).await?;
        let (found, needed) = (versions(admin).await?, Versions::embedded()?);
        server::judge_versions(found, needed, report);
        if found.master.is_none() || found.is_behind(needed) {
            return Ok(());
        }
        let registry = registry(admin).await?;
        if registry.shards.is_empty() {
            report.error("registry", "the registry knows no shard", "run `helixai migrate`");
        }
        let master = schemas::schema(admin, "master").await?;
        let local = setup::find_roles(admin).await?;
        if let (Some(master), Some(local)) = (master, local) {
            belongings::judge_master(&master, &local.master(), report);
            self.try_login(&self.connector, &local.master(), report).await;
        }
        usage::judge(&inspect::usage::discrepancies(admin).await?, report);
        payments::judge(&inspect::payments::payments(admin).await?, report);
        books::judge(&inspect::books::discrepancies(admin).await?, report);
        if let Some(every) = self.limits.backups_every {
            backups::judge(
                &inspect::backups::backups(admin, every * 2).await?,
                every * 2,
                report,
            );
        }
        archives::judge(&inspect::archives::unended(admin).await?, report);
        moves::judge(&registry.moves, registry.read_at, report);
        migrations::judge(Template::embedded()?, &registry.tenants, report);
        let mut servers = Vec::new();
        for shard in &registry.shards {
            report.begin_shard(&shard.name);
            match self.reach(shard).await {
                Ok((connector, mut client)) => {
                    self.examine_shard(admin, &mut client, &connector, shard, report)
                        .await?;
                    self.add_share(&mut servers, &client, shard, &registry).await?;
                }
                Err(error) => unreachable(report, &error),
            }
        }
        report.end_shard();
        judge_budgets(&servers, report);
        Ok(())
    }

    async fn examine_server(&self, client: &AdminClient, report: &mut Report) -> Result<(), DbError> {
        let before = self.clock.now();
        let server = inspect::server::server(client).await?;
        server::judge(&server, report);
        host::judge_clock(server.clock, before, self.clock.now(), report);
        host::judge_disks(&server.data_folder, report);
        Ok(())
    }

    async fn examine_shard(
        &self,
        admin: &AdminClient,
        client: &mut AdminClient,
        connector: &Connector,
        shard: &ShardRecord,
        report: &mut Report,
    ) -> Result<(), DbError> {
        if shard.database_url_sealed.is_some() {
            self.examine_server(client, report).await?;
        }
        self.examine_privileges(client, connector, report).await?;
        match setup::find_roles(client).await? {
            Some(roles) if roles == shard.roles => {}
            found => {
                let found = found.map_or("none".to_owned(), |roles| roles.prefix);
                report.error(
                    "prefix",
                    format!(
                        "the registry knows the shard's roles as {}_*, the shard itself as {found}_*",
                        shard.roles.prefix
                    ),
                    "this is another database than the one registered: correct its address, or restore it from its backup",
                );
                return Ok(());
            }
        }
        // Tenants come and change while this looks: only what two readings agree on is expected to be there.
        let before = registry(admin).await?;
        let prefix = &shard.roles.prefix;
        let roles = roles::roles(client, prefix).await?;
        let memberships = roles::memberships(client, prefix).await?;
        let schemas = schemas::tenant_schemas(client, &shard.roles.owner()).await?;
        let tenant_roles = schemas::tenant_roles(client).await?;
        let slots = inspect::moves::slots(client).await?;
        let (publications, subscriptions) = inspect::moves::links(client).await?;
        let after = registry(admin).await?;
        let view = ShardView::new(shard, &before, &after);

        let known = [before.moves.as_slice(), after.moves.as_slice()].concat();
        moves::judge_shard(&known, &slots, (&publications, &subscriptions), report);

        logins::judge(&view, &roles, report);
        memberships::judge(&view, &memberships, report);
        belongings::judge(&view, &roles, &schemas, &tenant_roles, report);
        for login in view.lane_logins() {
            if roles.iter().any(|role| role.name == login) {
                self.try_login(connector, login, report).await;
            }
        }
        drift::judge(&self.drift_of(admin, client, shard).await?, report);
        Ok(())
    }

    /// The schemas that are not what their template makes; a shard that cannot be read keeps nobody from the others.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn drift(&self) -> Result<Drifts, DbError> {
        let admin = self.connector.administrator().await?;
        let (mut drift, mut unreachable) = (Vec::new(), Vec::new());
        for shard in &registry(&admin).await?.shards {
            let found = match self.reach(shard).await {
                Ok((_, mut client)) => self.drift_of(&admin, &mut client, shard).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(found) => drift.extend(found),
                Err(error) => unreachable.push(Unreachable {
                    shard: shard.name.clone(),
                    error: error.to_string(),
                }),
            }
        }
        Ok(Drifts { drift, unreachable })
    }

    async fn drift_of(
        &self,
        admin: &AdminClient,
        client: &mut AdminClient,
        shard: &ShardRecord,
    ) -> Result<Vec<Drift>, DbError> {
        let before = registry(admin).await?;
        let subjects = drift::subjects(&ShardView::new(shard, &before, &before));
        let mut differing = catalog::differences(client, &shard.roles, &subjects).await?;
        if differing.is_empty() {
            return Ok(Vec::new());
        }
        // What has been changing meanwhile is no drift.
        let after = registry(admin).await?;
        let view = ShardView::new(shard, &before, &after);
        let drift = |tenant: &&Tenant| {
            Some(Drift {
                differences: differing.remove(&tenant.schema)?,
                tenant_key: tenant.key.clone(),
                shard: shard.name.clone(),
                schema: tenant.schema.clone(),
            })
        };
        Ok(view.steady.iter().filter_map(drift).collect())
    }

    async fn examine_privileges(
        &self,
        client: &AdminClient,
        connector: &Connector,
        report: &mut Report,
    ) -> Result<(), DbError> {
        let level = if self.limits.allow_excess_privileges {
            Level::Warning
        } else {
            Level::Error
        };
        for excess in privileges::check(client, connector.database()).await? {
            report.add(
                level,
                PRIVILEGES,
                format!(
                    "PUBLIC, and so every tenant's role, has a right on {}",
                    excess.object
                ),
                excess.cure,
            );
        }
        Ok(())
    }

    async fn try_login(&self, connector: &Connector, login: &str, report: &mut Report) {
        if let Err(error) = connector.single(login).await {
            report.error(
                "login",
                format!("{login} cannot connect: {error}"),
                "run `helixai migrate`, which sets the passwords again; when `platform.key` was changed, give the former one",
            );
        }
    }

    async fn reach(&self, shard: &ShardRecord) -> Result<(Connector, AdminClient), DbError> {
        let connector = connector_of(shard, &self.connector, &self.key, self.connect_timeout)?;
        let client = connector.administrator().await?;
        Ok((connector, client))
    }

    /// Adds a shard's lanes to the server that it is on.
    async fn add_share(
        &self,
        servers: &mut Vec<ServerShare>,
        client: &AdminClient,
        shard: &ShardRecord,
        registry: &Registry,
    ) -> Result<(), DbError> {
        let server = inspect::server::server(client).await?;
        let lanes = registry
            .lanes
            .iter()
            .filter(|lane| lane.shard == shard.id)
            .count();
        let lanes = i64::try_from(lanes).unwrap_or(i64::MAX);
        let master_pool = match shard.database_url_sealed {
            None => self.limits.master_pool,
            Some(_) => 0,
        };
        match servers
            .iter_mut()
            .find(|share| share.started_at == server.started_at)
        {
            Some(share) => {
                share.budget.lanes += lanes;
                share.budget.master_pool += master_pool;
            }
            None => servers.push(ServerShare {
                started_at: server.started_at,
                budget: Budget {
                    lanes,
                    lane_pool: self.limits.lane_pool,
                    master_pool,
                    processes: self.limits.processes,
                    max_connections: server.max_connections,
                    reserved: server.reserved_connections,
                },
            }),
        }
        Ok(())
    }
}

fn judge_budgets(servers: &[ServerShare], report: &mut Report) {
    for share in servers {
        share.budget.judge(report);
    }
}

fn unreachable(report: &mut Report, error: &DbError) {
    report.error(
        "connection",
        format!("the administrator cannot connect: {error}"),
        "check that the shard's server runs; its tenants are answered 503",
    );
}
