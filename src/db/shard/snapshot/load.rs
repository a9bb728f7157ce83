//! Loading: one transaction makes the schema at the version that the rows had, fills it, brings it to the newest version
//! and puts it where it belongs. Until it is committed nobody sees anything of it; killed anywhere, nothing of it was.
//!
//! For a tenant that lives, the schema is made under a name aside. In the end the tenant's exclusive lock is taken, which
//! waits for requests in flight and refuses those that begin; the old schema is dropped and the new one gets its name.
//! Names in the registry stay as they are, so no cache has to hear of it before the next request.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::{Client, CopyInSink, Transaction};
use uuid::Uuid;

use super::shape::{Shape, Table};
use super::{WITHOUT_FILES, devices, quoted, refused, uuids, write_values_alike};
use crate::db::DbError;
use crate::db::shard::hold::{hold, wait_at_most};
use crate::db::shard::ident;
use crate::db::shard::provision::{create_role, inherit_clause, is_provisioned};
use crate::db::shard::schema::{Plan, Versions};
use crate::db::tenant::photos::PhotosOf;
use crate::domain::ids::{MessageId, PhotoId, TenantId};
use crate::domain::tenant::Niche;

/// How long requests in flight may keep a restore from taking the place of what it replaces.
const DRAIN: Duration = Duration::from_secs(60);

/// Whose rows are loaded, and where they go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The restore, noted with the rows.
    pub restore: Uuid,
    /// The tenant.
    pub tenant: TenantId,
    /// Its niche.
    pub niche: Niche,
    /// Its schema.
    pub schema: String,
    /// Its role.
    pub role: String,
    /// The login of its lane.
    pub login: String,
    /// The role that owns its tables.
    pub owner_role: String,
    /// Whether it has a schema, which this one replaces.
    pub over: bool,
    /// Whether nobody is to be served when it comes back: it was suspended.
    pub suspended: bool,
}

/// A load under way. Dropped, it leaves nothing.
pub struct Loading<'a> {
    transaction: Transaction<'a>,
    to: &'a Destination,
    /// The schema's name until the end.
    aside: String,
    shape: Shape,
}

/// Takes the rows of one table.
pub struct RowSink {
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

impl RowSink {
    /// Begins to fill a table of the schema that the transaction works in.
    pub(super) async fn open(transaction: &Transaction<'_>, table: &Table) -> Result<Self, DbError> {
        let command = format!(
            "copy {} ({}) from stdin",
            ident(&table.name),
            quoted(&table.columns)
        );
        let sink = Box::pin(transaction.copy_in(command.as_str()).await?);
        Ok(Self { sink })
    }

    /// Sends a piece of rows as `COPY` has written them.
    ///
    /// # Errors
    /// When the connection is lost. What the server refuses is told by [`RowSink::finish`].
    pub async fn send(&mut self, rows: Vec<u8>) -> Result<(), DbError> {
        Ok(self.sink.send(Bytes::from(rows)).await?)
    }

    /// Ends the table and tells how many rows it got.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn finish(mut self) -> Result<u64, DbError> {
        Ok(self.sink.as_mut().finish().await?)
    }
}

impl<'a> Loading<'a> {
    /// Makes the empty schema at these versions of the template.
    ///
    /// # Errors
    /// [`DbError::Conflict`] while another operation on the tenant is at work; whatever the server refuses.
    pub async fn begin(
        admin: &'a mut Client,
        to: &'a Destination,
        versions: &Versions,
    ) -> Result<Self, DbError> {
        let there = is_provisioned(admin, to.tenant, &to.role).await?;
        if there != to.over {
            let has = if there { "already has" } else { "does not have" };
            return Err(refused(format!("the shard {has} a schema of this tenant")));
        }
        let inherit = inherit_clause(admin).await?;
        let transaction = admin.transaction().await?;
        hold(&transaction, to.tenant).await?;
        write_values_alike(&transaction).await?;
        let aside = if to.over {
            format!("{}_{}", to.schema, suffix(to.restore))
        } else {
            let member = (!to.suspended).then_some((to.login.as_str(), inherit));
            create_role(&transaction, to.tenant, &to.role, member, Some(to.restore)).await?;
            to.schema.clone()
        };
        let plan = Plan::new(&aside, &to.role, &to.owner_role, &to.niche)?;
        let shape = make_empty(&transaction, &plan, versions).await?;
        Ok(Self {
            transaction,
            to,
            aside,
            shape,
        })
    }

    /// The tables that the schema has at the versions of the rows.
    pub fn tables(&self) -> &[Table] {
        &self.shape.tables
    }

    /// Begins to fill a table, which must be one of [`Loading::tables`].
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn fill(&self, table: &Table) -> Result<RowSink, DbError> {
        RowSink::open(&self.transaction, table).await
    }

    /// Removes the rows of photos that name files which are not among those of `kept`; how many it was. No row may lack its
    /// files, and without the row that names it a photo is simply not there.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn leave_out_photos_without_files(
        &self,
        of: PhotosOf,
        kept: &[PhotoId],
    ) -> Result<u64, DbError> {
        let command = format!("delete from {} where {WITHOUT_FILES}", ident(of.table()));
        Ok(self.transaction.execute(&command, &[&uuids(kept)]).await?)
    }

    /// Messages whose file is not among those of `kept` say that it was lost; how many it was. A schema of a version without files has
    /// none.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn note_lost_files(&self, kept: &[MessageId]) -> Result<u64, DbError> {
        let state = |column: &String| column == "file_state";
        let mut tables = self.tables().iter();
        if !tables.any(|table| table.name == "messages" && table.columns.iter().any(state)) {
            return Ok(0);
        }
        let kept: Vec<Uuid> = kept.iter().map(|message| message.as_uuid()).collect();
        let command = "update messages set file_state = 'failed', file_error = 'lost', file_type = null, file_bytes = null \
            where file_state = 'stored' and id not in (select kept.id from unnest($1::uuid[]) as kept (id))";
        Ok(self.transaction.execute(command, &[&kept]).await?)
    }

    /// Brings what was loaded to the newest version, puts it into its place and commits. Answers the versions.
    ///
    /// # Errors
    /// [`DbError::Conflict`] when requests in flight do not end; whatever the server refuses. When the connection is lost
    /// here, an [`Inquiry`] tells whether it was committed.
    pub async fn finish(self) -> Result<Versions, DbError> {
        let Self {
            transaction,
            to,
            aside,
            ..
        } = self;
        let plan = Plan::new(&aside, &to.role, &to.owner_role, &to.niche)?;
        let newest = bring_up(&transaction, &plan).await?;
        plan.restrict(&transaction).await?;
        crate::kill_point!("restore.migrated");
        transaction
            .batch_execute("reset role; set local search_path = pg_catalog, pg_temp")
            .await?;
        note_work(&transaction, to, &aside).await?;
        if to.over {
            replace(&transaction, to, &aside).await?;
            crate::kill_point!("restore.replaced");
        }
        let schema = if to.over { &to.schema } else { &aside };
        note_bots(&transaction, to, schema).await?;
        transaction.commit().await?;
        crate::kill_point!("restore.committed");
        Ok(newest)
    }
}

/// Makes the schema at these versions, without a row. From here on the transaction works in it, as the owner of its tables.
pub(super) async fn make_empty(
    transaction: &Transaction<'_>,
    plan: &Plan<'_>,
    versions: &Versions,
) -> Result<Shape, DbError> {
    plan.create(transaction).await?;
    crate::kill_point!("restore.schema");
    plan.migrate(transaction, versions).await?;
    let [(core, _), (niche, _)] = &plan.parts;
    let shape = Shape::read(transaction, plan.schema, &[core, niche]).await?;
    empty(transaction, &shape).await?;
    Ok(shape)
}

/// Brings a schema that has its rows to the newest version, and ends what waited in it.
pub(super) async fn bring_up(transaction: &Transaction<'_>, plan: &Plan<'_>) -> Result<Versions, DbError> {
    // What is checked at commit is checked now: tables with checks that wait cannot be altered.
    transaction.batch_execute("set constraints all immediate").await?;
    crate::kill_point!("restore.loaded");
    let newest = plan.newest();
    plan.migrate(transaction, &newest).await?;
    for (_, part) in &plan.parts {
        if !part.restore.trim().is_empty() {
            transaction.batch_execute(&part.restore).await?;
        }
    }
    Ok(newest)
}

/// Tells the shard when the work that goes on by the clock is due: what it knew of the tenant may be gone.
async fn note_work(transaction: &Transaction<'_>, to: &Destination, aside: &str) -> Result<(), DbError> {
    let command = format!(
        "insert into helixai.due_work (tenant_id, due_at)
         select $1, min(run_at) from {}.jobs where state = 'queued' having min(run_at) is not null
         on conflict (tenant_id) do update set due_at = least(due_work.due_at, excluded.due_at)",
        ident(aside)
    );
    transaction.execute(&command, &[&to.tenant.as_uuid()]).await?;
    Ok(())
}

/// Tells the shard which bots are to run. Last, since processes wait for these rows every second.
async fn note_bots(transaction: &Transaction<'_>, to: &Destination, schema: &str) -> Result<(), DbError> {
    transaction
        .execute(
            "update helixai.channel_instances set wanted = false, revision = revision + 1 where tenant_id = $1",
            &[&to.tenant.as_uuid()],
        )
        .await?;
    let command = format!(
        "insert into helixai.channel_instances as c (instance_id, tenant_id, wanted, revision, heard)
         select id, $1, true, 1, 0 from {}.instances where is_active
         on conflict (instance_id) do update set wanted = true, revision = c.revision + 1 where c.tenant_id = excluded.tenant_id",
        ident(schema)
    );
    transaction.execute(&command, &[&to.tenant.as_uuid()]).await?;
    Ok(())
}

/// Puts the schema aside into the place of the tenant's own, while nobody is inside of the tenant.
async fn replace(transaction: &Transaction<'_>, to: &Destination, aside: &str) -> Result<(), DbError> {
    wait_at_most(transaction, DRAIN).await?;
    transaction
        .execute("select pg_advisory_xact_lock($1)", &[&to.tenant.lock_key()])
        .await?;
    let (old, new) = (ident(&to.schema), ident(aside));
    // A key that was revoked since stays revoked. Who may do what is not taken back either: users keep the role that they
    // have now, and those who were shut out or removed since stay out.
    transaction
        .batch_execute(&format!(
            "update {new}.api_keys n set revoked_at = o.revoked_at
             from {old}.api_keys o where o.id = n.id and o.revoked_at is not null and n.revoked_at is null;
             update {new}.users n set role = o.role from {old}.users o where o.id = n.id and o.role <> n.role;
             update {new}.users n set status = 'disabled'
             where n.status <> 'disabled'
               and not exists (select from {old}.users o where o.id = n.id and o.status <> 'disabled')"
        ))
        .await?;
    devices::keep_todays(transaction, (&to.schema, &old), &new).await?;
    let owner = format!("select 1 from {new}.users where role = 'owner' and status = 'active' limit 1");
    if transaction.query_opt(&owner, &[]).await?.is_none() {
        let why =
            "none of today's owners is in the snapshot: make a user who was there then an owner, and repeat";
        return Err(refused(why.to_owned()));
    }
    transaction
        .batch_execute(&format!(
            "drop schema {old} cascade; alter schema {new} rename to {old}"
        ))
        .await?;
    transaction
        .execute(
            "update helixai.tenant_roles set restore_id = $2 where tenant_id = $1",
            &[&to.tenant.as_uuid(), &to.restore],
        )
        .await?;
    // Whoever has a page open looks at other rows now, with a session that is gone.
    transaction
        .execute(
            "select pg_notify('helixai_events', jsonb_build_object('tenant', $1::uuid, 'type', kind)::text)
             from unnest(array['access.changed', 'resync']) kind",
            &[&to.tenant.as_uuid()],
        )
        .await?;
    Ok(())
}

/// Removes what migrations have filled in: the rows bring it along.
async fn empty(transaction: &Transaction<'_>, shape: &Shape) -> Result<(), DbError> {
    let questions: Vec<String> = shape
        .tables
        .iter()
        .enumerate()
        .map(|(number, table)| {
            format!(
                "select {number}::int4 where exists (select from {})",
                ident(&table.name)
            )
        })
        .collect();
    if questions.is_empty() {
        return Ok(());
    }
    let filled = transaction.query(&questions.join(" union all "), &[]).await?;
    let mut names = Vec::new();
    for row in filled {
        let number = usize::try_from(row.try_get::<_, i32>(0)?).unwrap_or(usize::MAX);
        names.extend(shape.tables.get(number).map(|table| ident(&table.name)));
    }
    if !names.is_empty() {
        let command = format!("truncate {} cascade", names.join(", "));
        transaction.batch_execute(&command).await?;
    }
    Ok(())
}

/// Eight characters of the restore's id, from its random part.
fn suffix(restore: Uuid) -> String {
    let text = restore.simple().to_string();
    text.chars().rev().take(8).collect()
}

/// What became of a restore. As long as this exists, no other operation on the tenant can begin, and the restore that was
/// asked for can no longer be committed: its worker is gone.
pub struct Inquiry<'a> {
    _transaction: Transaction<'a>,
    committed: bool,
}

impl<'a> Inquiry<'a> {
    /// Asks the shard.
    ///
    /// # Errors
    /// [`DbError::Conflict`] while an operation on the tenant, perhaps this restore, is at work.
    pub async fn open(admin: &'a mut Client, tenant: TenantId, restore: Uuid) -> Result<Self, DbError> {
        let transaction = admin.transaction().await?;
        hold(&transaction, tenant).await?;
        let row = transaction
            .query_opt(
                "select 1 from helixai.tenant_roles where tenant_id = $1 and restore_id = $2",
                &[&tenant.as_uuid(), &restore],
            )
            .await?;
        Ok(Self {
            _transaction: transaction,
            committed: row.is_some(),
        })
    }

    /// Whether the tenant's rows come from this restore: its transaction was committed.
    pub fn is_committed(&self) -> bool {
        self.committed
    }
}
