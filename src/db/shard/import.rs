//! Loading rows that come from elsewhere into the schema of a tenant: one transaction, as the tenant's own role.
//!
//! Nobody sees any of it before the commit; killed anywhere, nothing of it was. The line in the tenant's audit that is
//! written with the rows holds the source's digest, so that the same source is known when it comes again.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::pin;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{SinkExt as _, TryStreamExt as _};
use serde_json::Value;
use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use super::hold::hold;
use super::ident;
use super::snapshot::{SourceAddress, enter, reader};
use crate::db::DbError;
use crate::domain::ids::AuditId;

/// Contacts that are filled by one statement.
const FILLED_AT_ONCE: usize = 500;

/// A table that rows are loaded into, and the columns that they have.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns of a row, in order.
    pub columns: &'static [&'static str],
}

/// Rows of one table, as `COPY` reads them.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Of which table.
    pub table: Table,
    /// How many.
    pub count: u64,
    text: Vec<u8>,
}

impl Rows {
    /// None yet.
    pub fn new(table: Table) -> Self {
        Self {
            table,
            count: 0,
            text: Vec::new(),
        }
    }

    /// Adds a row: a value for each column.
    pub fn push(&mut self, values: &[Option<&str>]) {
        debug_assert_eq!(values.len(), self.table.columns.len());
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                self.text.push(b'\t');
            }
            let Some(value) = value else {
                self.text.extend_from_slice(b"\\N");
                continue;
            };
            for byte in value.bytes() {
                match byte {
                    b'\\' => self.text.extend_from_slice(b"\\\\"),
                    b'\t' => self.text.extend_from_slice(b"\\t"),
                    b'\n' => self.text.extend_from_slice(b"\\n"),
                    b'\r' => self.text.extend_from_slice(b"\\r"),
                    other => self.text.push(other),
                }
            }
        }
        self.text.push(b'\n');
        self.count += 1;
    }

    /// Bytes that wait to be sent.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// A contact that rows may be merged into. Of its name, e-mail address and notes only marks are kept, by which the same text is
/// known.
#[derive(Debug, Clone, Copy)]
pub struct KnownContact {
    /// Its id.
    pub id: Uuid,
    marks: [Option<u64>; 3],
}

/// What a contact lacked: name, e-mail address and notes, and when the row that had them was last changed.
#[derive(Debug, Clone)]
pub struct Filled {
    /// Which contact.
    pub contact: Uuid,
    /// What it gets; `None` where it stays as it is.
    pub values: [Option<String>; 3],
    /// When the row was last changed.
    pub updated_at: DateTime<Utc>,
}

impl KnownContact {
    /// With this name, e-mail address and notes.
    pub fn new(id: Uuid, values: [Option<&str>; 3]) -> Self {
        let marks = values.map(|value| value.map(mark));
        Self { id, marks }
    }

    /// Takes a value over if there is none; answers whether it is there now.
    pub fn merge(&mut self, place: usize, value: &str) -> Merged {
        let Some(mine) = self.marks.get_mut(place) else {
            return Merged::Dropped;
        };
        match *mine {
            None => {
                *mine = Some(mark(value));
                Merged::Filled
            }
            Some(same) if same == mark(value) => Merged::Same,
            Some(_) => Merged::Dropped,
        }
    }
}

/// What has become of a value of a row that was merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// The contact had none, and has it now.
    Filled,
    /// The contact has it.
    Same,
    /// The contact has another.
    Dropped,
}

fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What a tenant has that imported rows must fit.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its contacts by their numbers.
    pub phones: HashMap<String, KnownContact>,
    /// The conversations that no bot holds, by contact and channel.
    pub conversations: HashMap<(Uuid, String), Uuid>,
    /// The stages of its sales funnel.
    pub stages: HashSet<String>,
    /// Plates of the vehicles in stock.
    pub plates: HashSet<String>,
}

/// A load under way. Dropped, it leaves nothing.
pub struct Filling<'a> {
    transaction: Transaction<'a>,
}

impl<'a> Filling<'a> {
    /// Opens the transaction, as the tenant's role. Until it ends, the tenant is not backed up, restored or deleted.
    ///
    /// # Errors
    /// [`DbError::Conflict`] while another operation on the tenant is at work; whatever the server refuses.
    pub async fn begin(admin: &'a mut Client, address: &SourceAddress) -> Result<Self, DbError> {
        let transaction = admin.transaction().await?;
        hold(&transaction, address.tenant).await?;
        let role = reader(&transaction, address).await?;
        enter(&transaction, &address.schema, role).await?;
        transaction
            .batch_execute("set local statement_timeout = 0; set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'")
            .await?;
        Ok(Self { transaction })
    }

    /// When this source was imported before, if it was.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn imported_before(&self, digest: &str) -> Result<Option<DateTime<Utc>>, DbError> {
        let row = self
            .transaction
            .query_opt(
                "select at from audit_log where action = 'tenant.import' and details ->> 'sha256' = $1 limit 1",
                &[&digest],
            )
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Those of these tables that hold rows.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn filled(&self, tables: &[&'static str]) -> Result<Vec<&'static str>, DbError> {
        let mut filled = Vec::new();
        for table in tables {
            let question = format!("select exists (select from {})", ident(table));
            if self.transaction.query_one(&question, &[]).await?.try_get(0)? {
                filled.push(*table);
            }
        }
        Ok(filled)
    }

    /// What the rows must fit. `vehicles`: the tenant has such a table.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn known(&self, vehicles: bool) -> Result<Known, DbError> {
        let mut known = Known::default();
        let rows = self
            .transaction
            .query("select code from lead_stages", &[])
            .await?;
        for row in rows {
            known.stages.insert(row.try_get(0)?);
        }
        let rows = self
            .transaction
            .query_raw(
                "select phone, id, name, email, notes from contacts where phone is not null",
                std::iter::empty::<&str>(),
            )
            .await?;
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await? {
            let values = [row.try_get(2)?, row.try_get(3)?, row.try_get(4)?];
            let contact = KnownContact::new(row.try_get(1)?, values);
            known.phones.insert(row.try_get(0)?, contact);
        }
        let rows = self
            .transaction
            .query(
                "select contact_id, channel, id from conversations where instance_id is null",
                &[],
            )
            .await?;
        for row in rows {
            known
                .conversations
                .insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
        }
        if vehicles {
            let stock =
                "select plate from vehicles where plate is not null and status not in ('sold', 'archived')";
            for row in self.transaction.query(stock, &[]).await? {
                known.plates.insert(row.try_get(0)?);
            }
        }
        Ok(known)
    }

    /// Loads rows.
    ///
    /// # Errors
    /// Whatever the server refuses: a constraint, when somebody has written what these rows hold meanwhile.
    pub async fn copy(&self, rows: Rows) -> Result<(), DbError> {
        let columns: Vec<String> = rows.table.columns.iter().map(|column| ident(column)).collect();
        let command = format!(
            "copy {} ({}) from stdin",
            ident(rows.table.name),
            columns.join(", ")
        );
        let mut sink = Box::pin(self.transaction.copy_in(command.as_str()).await?);
        sink.send(Bytes::from(rows.text)).await?;
        sink.as_mut().finish().await?;
        Ok(())
    }

    /// Gives contacts what they lacked, unless somebody else has done so meanwhile.
    async fn fill(&self, filled: &[Filled]) -> Result<(), DbError> {
        let contacts: Vec<Uuid> = filled.iter().map(|filled| filled.contact).collect();
        let value = |place: usize| -> Vec<Option<&str>> {
            let values = filled.iter().map(|filled| filled.values.get(place));
            values.map(|value| value.and_then(Option::as_deref)).collect()
        };
        let updated: Vec<DateTime<Utc>> = filled.iter().map(|filled| filled.updated_at).collect();
        self.transaction
            .execute(
                "update contacts c set name = coalesce(c.name, f.name), email = coalesce(c.email, f.email),
                        notes = coalesce(c.notes, f.notes), updated_at = greatest(c.updated_at, f.updated_at),
                        version = c.version + 1
                 from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
                      as f (id, name, email, notes, updated_at)
                 where c.id = f.id",
                &[&contacts, &value(0), &value(1), &value(2), &updated],
            )
            .await?;
        Ok(())
    }

    /// Brings what was loaded together, writes the tenant's audit and commits. `links`: leads, each with the contact that
    /// its conversations have shown. `filled`: a contact at most once.
    ///
    /// # Errors
    /// Whatever the server refuses. When the connection is lost here, [`Filling::imported_before`] tells whether it was
    /// committed.
    pub async fn finish(
        self,
        links: &[(Uuid, Uuid)],
        filled: &[Filled],
        details: &Value,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        // Not before: whoever changes one of these contacts waits from here on.
        for piece in filled.chunks(FILLED_AT_ONCE) {
            self.fill(piece).await?;
        }
        let (leads, contacts): (Vec<Uuid>, Vec<Uuid>) = links.iter().copied().unzip();
        self.transaction
            .execute(
                "update leads l set contact_id = u.contact from unnest($1::uuid[], $2::uuid[]) as u (lead, contact)
                 where l.id = u.lead and l.contact_id is null",
                &[&leads, &contacts],
            )
            .await?;
        self.transaction
            .execute(
                "update conversations c set last_message_at = m.last
                 from (select conversation_id, max(created_at) as last from messages group by conversation_id) m
                 where m.conversation_id = c.id and c.last_message_at < m.last",
                &[],
            )
            .await?;
        self.transaction
            .execute(
                "insert into audit_log (id, at, actor_kind, action, entity, details)
                 values ($1, $2, 'system', 'tenant.import', 'tenant', $3)",
                &[&AuditId::new().as_uuid(), &now, details],
            )
            .await?;
        crate::kill_point!("import.loaded");
        self.transaction.commit().await?;
        crate::kill_point!("import.committed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_place() {
        let mut rows = Rows::new(Table {
            name: "a",
            columns: &["b", "c"],
        });
        rows.push(&[Some("x\ty\n\\.\r\\N"), None]);
        assert_eq!(rows.text, b"x\\ty\\n\\\\.\\r\\\\N\t\\N\n");
        assert_eq!((rows.count, rows.is_empty(), rows.len()), (1, false, 18));
    }
}
