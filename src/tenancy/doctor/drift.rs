//! Whether each tenant's schema is what its template makes: somebody may have changed one by hand, or lost a migration by
//! bringing back an older copy of a database.

use super::report::Report;
use super::view::ShardView;
use crate::db::shard::inspect::catalog::{Difference, How, Subject};
use crate::domain::tenant::{Niche, TenantStatus};

/// How many objects a finding names.
const NAMED: usize = 5;

/// A schema that is not what its template makes.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Drift {
    /// Whose.
    pub tenant_key: String,
    /// Its shard.
    pub shard: String,
    /// Its schema.
    pub schema: String,
    /// The objects that differ, by name.
    pub differences: Vec<Difference>,
}

/// What a look at all shards has found.
#[derive(Debug, serde::Serialize)]
pub struct Drifts {
    /// The schemas that differ.
    pub drift: Vec<Drift>,
    /// The shards of which nothing is known.
    pub unreachable: Vec<Unreachable>,
}

/// A shard that could not be looked at.
#[derive(Debug, serde::Serialize)]
pub struct Unreachable {
    /// Its name.
    pub shard: String,
    /// Why.
    pub error: String,
}

/// The schemas that can be compared: of tenants that are there, and stay as they are.
pub(super) fn subjects(view: &ShardView<'_>) -> Vec<Subject> {
    let there = view
        .steady
        .iter()
        .filter(|tenant| matches!(tenant.status, TenantStatus::Active | TenantStatus::Suspended));
    there
        .filter_map(|tenant| {
            Some(Subject {
                schema: tenant.schema.clone(),
                role: tenant.role.clone(),
                niche: Niche::parse(&tenant.niche).ok()?,
                versions: tenant.versions.clone(),
            })
        })
        .collect()
}

/// Each schema that differs is an error: the program relies on what the template makes.
pub(super) fn judge(drifts: &[Drift], report: &mut Report) {
    for drift in drifts {
        let words = |difference: &Difference| {
            let how = match difference.how {
                How::Missing => "is missing",
                How::Unexpected => "should not be there",
                How::Different => "is different",
            };
            format!("{} {how}", difference.object)
        };
        let mut named: Vec<String> = drift.differences.iter().take(NAMED).map(words).collect();
        let more = drift.differences.len().saturating_sub(NAMED);
        if more > 0 {
            named.push(format!("{more} more"));
        }
        report.error(
            "drift",
            format!(
                "the schema of {} is not what its template makes: {}",
                drift.tenant_key,
                named.join(", ")
            ),
            "`helixai migrate --drift` shows both sides: change the schema back; when it lacks a migration, `helixai migrate --all`",
        );
    }
}
