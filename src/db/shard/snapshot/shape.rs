//! What a schema consists of, as far as its rows are concerned: tables, their columns, and who refers to whom.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Transaction;
use tokio_postgres::types::Oid;

use super::refused;
use crate::db::DbError;
use crate::db::shard::schema::history_of;

/// A table and those of its columns that hold what somebody has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns in order, without generated ones.
    pub columns: Vec<String>,
}

/// The tables of one schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// In an order in which they can be filled: a table comes after those that it refers to.
    pub tables: Vec<Table>,
}

/// What hangs on the schema. `pg_class` has no index by schema, `pg_depend` has.
const RELATIONS: &str = "\
select c.oid, c.relname::text, c.relkind::text
from pg_namespace n
join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and d.classid = 'pg_class'::regclass
join pg_class c on c.oid = d.objid
where n.nspname = $1";

const COLUMNS: &str = "\
select attrelid, attname::text from pg_attribute
where attrelid = any ($1) and attnum > 0 and not attisdropped and attgenerated = ''
order by attrelid, attnum";

const REFERENCES: &str =
    "select conrelid, confrelid from pg_constraint where conrelid = any ($1) and contype = 'f'";

impl Shape {
    /// Reads it from the catalogue. `parts` are those of the template that the schema is made from.
    ///
    /// # Errors
    /// When the schema holds what no template makes, or the catalogue cannot be read.
    pub(in crate::db::shard) async fn read(
        transaction: &Transaction<'_>,
        schema: &str,
        parts: &[&str],
    ) -> Result<Self, DbError> {
        let histories: Vec<String> = parts.iter().map(|part| history_of(part)).collect();
        let mut tables: BTreeMap<Oid, Table> = BTreeMap::new();
        for row in transaction.query(RELATIONS, &[&schema]).await? {
            let (oid, name, kind): (Oid, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            match kind.as_str() {
                "r" if histories.contains(&name) => {}
                "r" => {
                    let columns = Vec::new();
                    tables.insert(oid, Table { name, columns });
                }
                // A view is made by the migrations and holds nothing.
                "v" => {}
                _ => return Err(refused(format!("{schema}.{name} is no table of the template"))),
            }
        }
        let oids: Vec<Oid> = tables.keys().copied().collect();
        for row in transaction.query(COLUMNS, &[&oids]).await? {
            if let Some(table) = tables.get_mut(&row.try_get(0)?) {
                table.columns.push(row.try_get(1)?);
            }
        }
        let mut references: BTreeSet<(Oid, Oid)> = BTreeSet::new();
        for row in transaction.query(REFERENCES, &[&oids]).await? {
            references.insert((row.try_get(0)?, row.try_get(1)?));
        }
        Ok(Self {
            tables: in_order(tables, references)?,
        })
    }
}

/// Each table after those that it refers to, otherwise by name.
fn in_order(
    mut tables: BTreeMap<Oid, Table>,
    references: BTreeSet<(Oid, Oid)>,
) -> Result<Vec<Table>, DbError> {
    let mut ordered = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waits = |oid: &Oid| {
            let mut others = references.iter().filter(|(from, to)| from == oid && to != oid);
            others.any(|(_, to)| tables.contains_key(to))
        };
        let mut ready: Vec<Oid> = tables.keys().filter(|oid| !waits(oid)).copied().collect();
        if ready.is_empty() {
            let names: Vec<&str> = tables.values().map(|table| table.name.as_str()).collect();
            return Err(refused(format!("{} refer to one another", names.join(", "))));
        }
        ready.sort_by_key(|oid| tables.get(oid).map(|table| table.name.clone()));
        ordered.extend(ready.into_iter().filter_map(|oid| tables.remove(&oid)));
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(references: &[(Oid, Oid)]) -> Result<Vec<String>, String> {
        let table = |oid: Oid| Table {
            name: format!("t{oid}"),
            columns: Vec::new(),
        };
        let tables = (1..=3).map(|oid| (oid, table(oid))).collect();
        in_order(tables, references.iter().copied().collect())
            .map(|tables| tables.into_iter().map(|table| table.name).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_table_comes_after_what_it_refers_to() {
        assert_eq!(order(&[]).unwrap(), ["t1", "t2", "t3"]);
        assert_eq!(order(&[(1, 2), (2, 3)]).unwrap(), ["t3", "t2", "t1"]);
        // To itself, and to what is elsewhere.
        assert_eq!(order(&[(1, 1), (2, 9)]).unwrap(), ["t1", "t2", "t3"]);
        assert!(order(&[(1, 2), (2, 1)]).unwrap_err().contains("t1, t2"));
    }
}
