//! Proving a snapshot: it is read to its end, loaded as a restore would load it, read back out of the database and compared,
//! table by table. Nothing of it is ever committed.

use std::path::Path;

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};

use super::fill::{Places, misfit};
use super::target::Wanted;
use super::verify::{Parts, Verified};
use super::{Keeper, KeeperError, OnProgress};
use crate::db::DbError;
use crate::db::master::{lanes, tenants};
use crate::db::shard::snapshot::{Rehearsal, Table};
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::snapshot::{Header, Part};

/// A snapshot that can be restored: it was, as far as a restore goes before its commit.
#[derive(Debug, Clone)]
pub struct Rehearsed {
    /// Whose.
    pub id: TenantId,
    /// Its key at the backup.
    pub tenant_key: String,
    /// The moment whose rows these are.
    pub made_at: DateTime<Utc>,
    /// Whether the file is encrypted.
    pub encrypted: bool,
    /// How many tables were compared.
    pub tables: usize,
    /// How many rows.
    pub rows: u64,
    /// How many files of the tenant, whose checksums are right.
    pub files: u64,
}

impl Keeper {
    /// Restores a snapshot into a scratch schema that nobody sees, and compares what is there with what is in the file.
    /// `any_platform` accepts one that was not made with this key.
    ///
    /// # Errors
    /// [`KeeperError::Snapshot`] and [`KeeperError::Misfit`] when the snapshot is not to be trusted; other errors say nothing of
    /// it.
    pub async fn rehearse(
        &self,
        file: &Path,
        any_platform: bool,
        progress: &OnProgress,
    ) -> Result<Rehearsed, KeeperError> {
        let snapshot =
            Verified::read(file, self.platform_key.clone(), any_platform, progress.clone()).await?;
        let wanted = Wanted::check(&snapshot.header, None)?;
        let shard = self.shard_for(&snapshot.header).await?;
        let owner_role = self.shards.roles(shard).await?.owner();
        let mut admin = self.shards.administrator(shard).await?;
        let rehearsal = Rehearsal::begin(&mut admin, owner_role, &wanted.niche, &wanted.versions).await?;
        let places = Places::find(&snapshot.header, &wanted.niche, rehearsal.tables(), false)?;
        let tenant = snapshot.header.tenant.clone();
        let mut rehearsed = Rehearsed {
            id: tenant.id,
            tenant_key: tenant.key,
            made_at: snapshot.header.made_at,
            encrypted: snapshot.encrypted,
            tables: 0,
            rows: 0,
            files: snapshot.files,
        };
        let loaded = load(&rehearsal, &places, snapshot.parts(progress.clone())).await?;
        for (number, (table, expected)) in loaded.iter().enumerate() {
            progress("comparing", number as u64, loaded.len() as u64);
            let mut found = Sum::default();
            let mut rows = rehearsal.rows(table).await?;
            while let Some(row) = rows.next().await {
                found.add(&row?);
            }
            if found != *expected {
                return Err(misfit(&table.name, "has other rows when they are read back"));
            }
            rehearsed.tables += 1;
            rehearsed.rows += found.rows;
            crate::kill_point!("verify.table");
        }
        rehearsal.finish().await.map_err(refused)?;
        Ok(rehearsed)
    }

    /// Where the tenant lives; for one that is gone any shard will do.
    async fn shard_for(&self, header: &Header) -> Result<ShardId, KeeperError> {
        if let Ok(key) = TenantKey::parse(&header.tenant.key)
            && let Some(tenant) = tenants::find_record(&self.master, &key).await?
        {
            return Ok(tenant.shard);
        }
        let shards = lanes::list_shards(&self.master).await?;
        shards.first().map(|shard| shard.id).ok_or(KeeperError::NoRoom)
    }
}

/// What the database says of the rows is said of the snapshot, unless it could not be asked.
fn refused(error: DbError) -> KeeperError {
    match error {
        error if error.is_transient() => error.into(),
        error => KeeperError::Misfit(error.to_string()),
    }
}

async fn load<'a>(
    rehearsal: &Rehearsal<'_>,
    places: &'a Places,
    mut parts: Parts,
) -> Result<Vec<(&'a Table, Sum)>, KeeperError> {
    let mut loaded: Vec<(&Table, Sum)> = Vec::new();
    let mut sink = None;
    while let Some(part) = parts.parts.recv().await {
        match part {
            Part::Table(number) => {
                sink = match places.table(number) {
                    Some(table) => Some((rehearsal.fill(table).await?, table, Sum::default())),
                    None => None,
                };
            }
            Part::Rows(rows) => {
                if let Some((sink, _, sum)) = &mut sink {
                    sum.add(&rows);
                    sink.send(rows).await?;
                }
            }
            Part::TableEnd(rows) => {
                if let Some((sink, table, sum)) = sink.take() {
                    if sink.finish().await.map_err(refused)? != rows {
                        return Err(misfit(&table.name, "has another number of rows when loaded"));
                    }
                    loaded.push((table, sum));
                }
            }
            // Their checksums are compared by whoever reads the file.
            Part::File { .. } | Part::Bytes(_) | Part::FileEnd => {}
        }
    }
    parts.end().await?;
    Ok(loaded)
}

/// Count and checksum of rows in any order, as `COPY` writes them: the sum of their hashes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    sum: u128,
    /// The beginning of a row whose end has not come yet.
    begun: Vec<u8>,
}

impl Sum {
    fn add(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            let mut hash = Sha256::new();
            hash.update(&self.begun);
            hash.update(line);
            self.begun.clear();
            let hash: [u8; 32] = hash.finalize().into();
            let half = hash.first_chunk::<16>().copied().unwrap_or_default();
            self.sum = self.sum.wrapping_add(u128::from_be_bytes(half));
            self.rows += 1;
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.begun.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(pieces: &[&str]) -> Sum {
        let mut sum = Sum::default();
        for piece in pieces {
            sum.add(piece.as_bytes());
        }
        sum
    }

    #[test]
    fn rows_are_the_same_in_any_order_and_in_any_pieces() {
        let whole = sum(&["1\ta\n2\tb\n\n"]);
        assert_eq!(whole.rows, 3);
        assert_eq!(whole, sum(&["\n2\t", "b", "\n1\ta\n"]));
        for other in [
            "1\ta\n2\tb\n",
            "1\ta\n2\tc\n\n",
            "1\tb\n2\ta\n\n",
            "1\ta\n1\ta\n2\tb\n\n",
        ] {
            assert_ne!(whole, sum(&[other]), "{other}");
        }
        // Twice the same row is not nothing.
        assert_ne!(sum(&["1\n1\n"]).sum, 0);
    }
}
