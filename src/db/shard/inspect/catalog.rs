//! What every schema of a shard consists of, compared with a schema that is made for this from the template and never
//! committed.
//!
//! The server makes one number of each schema; only of those that differ are the objects fetched, of some at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::{Client, Transaction};

use crate::db::DbError;
use crate::db::shard::ident;
use crate::db::shard::schema::{Plan, Versions};
use crate::db::shard::setup::ShardRoles;
use crate::db::shard::template::Template;
use crate::domain::random;
use crate::domain::tenant::Niche;

const FACTS: &str = include_str!("catalog.sql");

/// So many schemas' objects are in memory at a time; there are a thousand or so of each.
const AT_ONCE: usize = 50;

/// A schema, and what it should be made from.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name.
    pub schema: String,
    /// The tenant's role.
    pub role: String,
    /// The niche.
    pub niche: Niche,
    /// The versions of its ledgers.
    pub versions: Versions,
}

/// How an object differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The template has it, the schema does not.
    Missing,
    /// The schema has it, the template does not.
    Unexpected,
    /// It is another than the template's.
    Different,
}

/// An object that is not as the template makes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Its kind and name: `column leads.phone`.
    pub object: String,
    /// How it differs.
    pub how: How,
    /// As the template makes it.
    pub expected: Option<String>,
    /// As it is.
    pub found: Option<String>,
}

type Objects = BTreeMap<String, String>;

/// The differences of each schema that has any. Schemas that do not exist are passed over, as are niches and versions that
/// the program does not know.
///
/// # Errors
/// When the catalogue cannot be read or the administrator may not make a schema.
pub async fn differences(
    admin: &mut Client,
    roles: &ShardRoles,
    subjects: &[Subject],
) -> Result<BTreeMap<String, Vec<Difference>>, DbError> {
    let transaction = admin.transaction().await?;
    let fresh = make_fresh(&transaction, roles, subjects).await?;
    // As templates write them: no schema can be left out of a definition. Some memory, for thousands of schemas.
    transaction
        .batch_execute(
            "set local search_path = pg_catalog, pg_temp; set local jit = off; set local work_mem = '64MB'",
        )
        .await?;
    let known = subjects.iter().filter_map(|subject| {
        let made = fresh.get(&origin(subject))?;
        Some((subject, made))
    });
    let known: Vec<(&Subject, &Fresh)> = known.collect();
    let mut all: Vec<(&str, &str)> = known
        .iter()
        .map(|(subject, _)| (subject.schema.as_str(), subject.role.as_str()))
        .collect();
    all.extend(
        fresh
            .values()
            .map(|made| (made.schema.as_str(), made.role.as_str())),
    );
    let sums = sums(&transaction, &all).await?;
    let sum = |schema: &str| sums.get(schema);
    let differing: Vec<&(&Subject, &Fresh)> = known
        .iter()
        .filter(|(subject, made)| sum(&subject.schema).is_some() && sum(&subject.schema) != sum(&made.schema))
        .collect();
    let mut found = BTreeMap::new();
    for piece in differing.chunks(AT_ONCE) {
        found.extend(compare_all(&transaction, piece).await?);
    }
    transaction.rollback().await?;
    Ok(found)
}

/// The differences of these schemas from those that the template makes.
async fn compare_all(
    transaction: &Transaction<'_>,
    differing: &[&(&Subject, &Fresh)],
) -> Result<Vec<(String, Vec<Difference>)>, DbError> {
    let wanted: BTreeSet<(&str, &str)> = differing
        .iter()
        .flat_map(|(subject, made)| {
            [
                (subject.schema.as_str(), subject.role.as_str()),
                (made.schema.as_str(), made.role.as_str()),
            ]
        })
        .collect();
    let objects = objects(transaction, &wanted.into_iter().collect::<Vec<_>>()).await?;
    let nothing = Objects::new();
    let of = |schema: &str| objects.get(schema).unwrap_or(&nothing);
    Ok(differing
        .iter()
        .map(|(subject, made)| {
            (
                subject.schema.clone(),
                compare(of(&made.schema), of(&subject.schema)),
            )
        })
        .collect())
}

/// A schema as the template makes it.
struct Fresh {
    schema: String,
    role: String,
}

fn origin(subject: &Subject) -> (Niche, Versions) {
    let mut versions = subject.versions.clone();
    versions.sort();
    (subject.niche.clone(), versions)
}

/// Makes one schema for each niche and set of versions.
async fn make_fresh(
    transaction: &Transaction<'_>,
    roles: &ShardRoles,
    subjects: &[Subject],
) -> Result<HashMap<(Niche, Versions), Fresh>, DbError> {
    let template = Template::embedded()?;
    let mut made = HashMap::new();
    for origin in subjects.iter().map(origin).collect::<BTreeSet<_>>() {
        let (niche, versions) = &origin;
        let known = |(ledger, version): &(String, i32)| {
            template
                .part(ledger)
                .is_some_and(|part| *version <= part.version())
        };
        if template.niche(niche).is_none() || versions.len() != 2 || !versions.iter().all(known) {
            continue;
        }
        let schema = format!("fresh_{}", random::letters(12, b"abcdefghijklmnopqrstuvwxyz"));
        let role = roles.tenant(&schema);
        transaction
            .batch_execute(&format!("create role {} nologin noinherit", ident(&role)))
            .await?;
        let owner = roles.owner();
        let plan = Plan::new(&schema, &role, &owner, niche)?;
        plan.create(transaction).await?;
        plan.migrate(transaction, versions).await?;
        plan.restrict(transaction).await?;
        transaction.batch_execute("reset role").await?;
        made.insert(origin, Fresh { schema, role });
    }
    Ok(made)
}

/// One number for each schema that exists. The objects need no order for it.
async fn sums(
    transaction: &Transaction<'_>,
    schemas: &[(&str, &str)],
) -> Result<HashMap<String, (i64, i64)>, DbError> {
    let (names, roles): (Vec<&str>, Vec<&str>) = schemas.iter().copied().unzip();
    let sql = format!(
        "{FACTS} select s.schema_name, count(f.object),
                        coalesce(bit_xor(hashtextextended(f.object || E'\\n' || f.definition, 0)), 0)
                 from schemas s left join facts f on f.schema_name = s.schema_name group by s.schema_name"
    );
    let rows = transaction.query(&sql, &[&names, &roles]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?))))
        .collect()
}

async fn objects(
    transaction: &Transaction<'_>,
    schemas: &[(&str, &str)],
) -> Result<HashMap<String, Objects>, DbError> {
    let mut found: HashMap<String, Objects> = HashMap::new();
    if schemas.is_empty() {
        return Ok(found);
    }
    let (names, roles): (Vec<&str>, Vec<&str>) = schemas.iter().copied().unzip();
    let sql = format!("{FACTS} select schema_name, object, definition from facts");
    for row in transaction.query(&sql, &[&names, &roles]).await? {
        let objects = found.entry(row.try_get(0)?).or_default();
        objects.insert(row.try_get(1)?, row.try_get(2)?);
    }
    Ok(found)
}

fn compare(expected: &Objects, found: &Objects) -> Vec<Difference> {
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    names
        .into_iter()
        .filter_map(|object| {
            let (expected, found) = (expected.get(object).cloned(), found.get(object).cloned());
            let how = match (&expected, &found) {
                (Some(_), None) => How::Missing,
                (None, Some(_)) => How::Unexpected,
                (one, other) if one != other => How::Different,
                _ => return None,
            };
            let object = object.clone();
            Some(Difference {
                object,
                how,
                expected,
                found,
            })
        })
        .collect()
}
