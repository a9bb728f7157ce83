//! Tenants whose schema is older than the template: with a reason, or not migrated yet.

use super::report::Report;
use crate::db::shard::inspect::registry::Tenant;
use crate::db::shard::template::Template;
use crate::domain::tenant::{Niche, TenantStatus};

/// How many tenants a finding names.
const NAMED: usize = 5;

/// A failed migration is an error; tenants behind are one if this program does not serve them, else a warning.
pub(super) fn judge(template: &Template, tenants: &[Tenant], report: &mut Report) {
    let (mut refused, mut behind) = (Vec::new(), Vec::new());
    for tenant in tenants {
        if !matches!(tenant.status, TenantStatus::Active | TenantStatus::Suspended) {
            continue;
        }
        let Some(niche) = Niche::parse(&tenant.niche).ok() else {
            continue;
        };
        if let Some(error) = &tenant.migration_error {
            report.error(
                "behind",
                format!("a migration of {} cannot be applied: {error}", tenant.key),
                "mend the cause, then run `helixai migrate`",
            );
        }
        if template.is_too_old(&niche, &tenant.versions) {
            refused.push(tenant.key.as_str());
        } else if template.is_behind(&niche, &tenant.versions) {
            behind.push(tenant.key.as_str());
        }
    }
    const CURE: &str = "run `helixai migrate`";
    if !refused.is_empty() {
        let what = format!(
            "{}: their schemas are too old, and they are answered 503",
            named(&refused)
        );
        report.error("behind", what, CURE);
    }
    if !behind.is_empty() {
        let what = format!("{}: their schemas are older than the template", named(&behind));
        report.warning("behind", what, CURE);
    }
}

fn named(keys: &[&str]) -> String {
    let first = keys.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
