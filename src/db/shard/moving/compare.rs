//! Whether two schemas hold the same, while nothing is written to either.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::target::Described;
use crate::db::DbError;
use crate::db::shard::ident;
use crate::db::shard::schema::history_of;
use crate::domain::tenant::Niche;

/// Up to here rows are read and compared; beyond it, while the tenant stands still, they are only counted.
const CHECKED: i64 = 1024 * 1024;

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// How many rows.
    pub rows: i64,
    /// A sum over all of their text, where it was made.
    pub checksum: Option<String>,
}

/// How to look at the tables of a tenant.
#[derive(Debug, Clone)]
pub struct Comparison {
    schema: String,
    tables: Vec<String>,
    /// Bytes that they and their indexes take.
    pub bytes: i64,
    /// Whether rows are read, or only counted.
    pub reads: bool,
}

impl Comparison {
    /// Decides by the size of the tables, and by whether both servers make sums alike.
    ///
    /// # Errors
    /// When a server cannot be asked.
    pub async fn plan(
        source: &Client,
        target: &Client,
        (schema, niche): (&str, &Niche),
        described: &Described,
    ) -> Result<Self, DbError> {
        let mut tables: Vec<String> = described
            .shape
            .tables
            .iter()
            .map(|table| table.name.clone())
            .collect();
        tables.push(history_of(crate::db::shard::template::CORE));
        tables.push(history_of(niche.as_str()));
        let names: Vec<String> = tables
            .iter()
            .map(|table| format!("{}.{}", ident(schema), ident(table)))
            .collect();
        let row = source
            .query_one(
                "select coalesce(sum(pg_total_relation_size(name::regclass)), 0)::int8,
                        coalesce(sum(pg_table_size(name::regclass)), 0)::int8
                 from unnest($1::text[]) as name",
                &[&names],
            )
            .await?;
        let (bytes, of_rows): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Self {
            schema: schema.to_owned(),
            tables,
            bytes,
            reads: of_rows <= CHECKED && major(source).await? == major(target).await?,
        })
    }

    /// How many tables there are.
    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// What each table holds now.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn look(&self, admin: &mut Client) -> Result<BTreeMap<String, Contents>, DbError> {
        let transaction = admin.build_transaction().read_only(true).start().await?;
        transaction
            .batch_execute(
                "set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'; set local timezone = 'UTC';
                 set local bytea_output = 'hex'; set local extra_float_digits = 1",
            )
            .await?;
        let sum = if self.reads {
            "coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text"
        } else {
            "null::text"
        };
        let questions: Vec<String> = self
            .tables
            .iter()
            .enumerate()
            .map(|(number, table)| {
                let (schema, table) = (ident(&self.schema), ident(table));
                format!("select {number}::int4, count(*), {sum} from {schema}.{table} t")
            })
            .collect();
        let rows = transaction.query(&questions.join(" union all "), &[]).await?;
        transaction.commit().await?;
        let mut found = BTreeMap::new();
        for row in rows {
            let number = usize::try_from(row.try_get::<_, i32>(0)?).unwrap_or(usize::MAX);
            if let Some(table) = self.tables.get(number) {
                let (rows, checksum) = (row.try_get(1)?, row.try_get(2)?);
                found.insert(table.clone(), Contents { rows, checksum });
            }
        }
        Ok(found)
    }
}

async fn major(admin: &Client) -> Result<i32, DbError> {
    let row = admin
        .query_one("select current_setting('server_version_num')::int4 / 10000", &[])
        .await?;
    Ok(row.try_get(0)?)
}
