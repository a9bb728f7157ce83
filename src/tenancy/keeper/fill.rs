//! The rows of a snapshot, into the tables that were made for them.

use std::collections::BTreeSet;

use super::KeeperError;
use super::files::{Incoming, Whole};
use super::mask::Masked;
use super::verify::Parts;
use crate::db::shard::snapshot::{Loading, Table};
use crate::db::shard::template::{Keeping, Template};
use crate::db::tenant::photos::PhotosOf;
use crate::domain::ids::TenantId;
use crate::domain::tenant::Niche;
use crate::storage::Store;
use crate::tenancy::snapshot::{Header, HeaderTable, Part};

/// What becomes of each table of a snapshot: `None` for one whose rows stay behind.
pub(super) struct Places(Vec<Option<Table>>);

impl Places {
    /// Compares the snapshot's tables with those that the schema has at the same version of the template.
    pub(super) fn find(
        header: &Header,
        niche: &Niche,
        tables: &[Table],
        is_copy: bool,
    ) -> Result<Self, KeeperError> {
        for table in tables {
            let known = |found: &HeaderTable| found.name == table.name;
            if !header.tables.iter().any(known) && !header.left_out.contains(&table.name) {
                return Err(misfit(&table.name, "is missing in it"));
            }
        }
        let places = header.tables.iter().map(|found| {
            let table = tables.iter().find(|table| table.name == found.name);
            let table = table.ok_or_else(|| misfit(&found.name, "is not known"))?;
            let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) =
                (table.columns.iter().collect(), found.columns.iter().collect());
            if ours != theirs || found.columns.len() != table.columns.len() {
                return Err(misfit(&found.name, "has other columns"));
            }
            Ok(stays(niche, &found.name, is_copy)?.then(|| Table {
                name: table.name.clone(),
                columns: found.columns.clone(),
            }))
        });
        Ok(Self(places.collect::<Result<_, KeeperError>>()?))
    }

    /// Where the rows of the snapshot's table of this number go, if anywhere.
    pub(super) fn table(&self, number: usize) -> Option<&Table> {
        self.0.get(number).and_then(Option::as_ref)
    }
}

/// Whether the rows of a table come back.
fn stays(niche: &Niche, table: &str, is_copy: bool) -> Result<bool, KeeperError> {
    let template = Template::embedded()?;
    let parts = template.parts_of(niche);
    let keeping = parts
        .iter()
        .flatten()
        .find_map(|(_, part)| part.tables.get(table).copied());
    match keeping {
        Some(Keeping::Kept) => Ok(true),
        Some(Keeping::Own) => Ok(!is_copy),
        Some(Keeping::Forgotten) => Ok(false),
        None => Err(misfit(table, "is not known")),
    }
}

pub(super) fn misfit(table: &str, how: &str) -> KeeperError {
    KeeperError::Misfit(format!("the table {table} {how}"))
}

/// What a snapshot held.
pub(super) struct Filled {
    /// Rows that were loaded and stay.
    pub(super) rows: u64,
    /// Photos that were left out, because the snapshot had their rows without their files.
    pub(super) photos_left_out: u64,
}

/// Loads all rows and then the files.
pub(super) async fn fill(
    loading: &Loading<'_>,
    places: &Places,
    mut parts: Parts,
    (store, tenant, niche): (&dyn Store, TenantId, &Niche),
    masked: &mut Masked<'_>,
) -> Result<Filled, KeeperError> {
    let mut loaded = 0;
    let mut kept = Whole::default();
    let mut sink = None;
    let mut file = None;
    while let Some(part) = parts.parts.recv().await {
        match part {
            Part::Table(number) => {
                sink = match places.table(number) {
                    Some(table) => Some((loading.fill(table).await?, table)),
                    None => None,
                };
                masked.begin(number, sink.is_some())?;
            }
            Part::Rows(rows) => {
                if let Some((sink, _)) = &mut sink {
                    sink.send(masked.rows(rows)?).await?;
                }
            }
            Part::TableEnd(rows) => {
                if let Some((sink, table)) = sink.take() {
                    if sink.finish().await? != rows {
                        return Err(misfit(&table.name, "has another number of rows when loaded"));
                    }
                    loaded += rows;
                }
                crate::kill_point!("restore.table");
            }
            Part::File { name, .. } => file = Incoming::begin(&name, masked.is_masking()),
            Part::Bytes(bytes) => {
                if let Some(file) = &mut file {
                    file.add(&bytes);
                }
            }
            Part::FileEnd => {
                if let Some(file) = file.take() {
                    kept.add(file.keep(store, tenant).await?);
                }
            }
        }
    }
    parts.end().await?;
    loading.note_lost_files(kept.messages()).await?;
    let photos_left_out = match PhotosOf::niche(niche.as_str()) {
        Some(of) => loading.leave_out_photos_without_files(of, &kept.photos()).await?,
        None => 0,
    };
    Ok(Filled {
        rows: loaded - photos_left_out,
        photos_left_out,
    })
}
