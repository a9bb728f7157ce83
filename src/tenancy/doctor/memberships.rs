//! Who may act as whom: a tenant's role belongs to the login of its lane, and to nobody else.

use super::report::Report;
use super::view::ShardView;
use crate::db::shard::ident;
use crate::db::shard::inspect::registry::Tenant;
use crate::db::shard::inspect::roles::Membership;
use crate::domain::tenant::TenantStatus;

/// Judges every membership in and of the shard's roles.
pub(super) fn judge(view: &ShardView<'_>, memberships: &[Membership], report: &mut Report) {
    for membership in memberships {
        let powerless = !membership.sets && !membership.inherits && !membership.admin;
        if membership.is_administrators || powerless || view.is_guest(&membership.role) {
            continue;
        }
        match view.tenant_of_role(&membership.role) {
            Some(tenant) if tenant.login == membership.member => {
                judge_own(view, tenant, membership, report);
            }
            _ => report.error(
                "memberships",
                format!("{} may act as {}", membership.member, membership.role),
                format!(
                    "revoke {} from {}",
                    ident(&membership.role),
                    ident(&membership.member)
                ),
            ),
        }
    }
    judge_missing(view, memberships, report);
    judge_capacities(view, memberships, report);
}

/// The membership of a lane's login in the role of a tenant of that lane.
fn judge_own(view: &ShardView<'_>, tenant: &Tenant, membership: &Membership, report: &mut Report) {
    let (role, login) = (ident(&membership.role), ident(&membership.member));
    if membership.inherits {
        report.error(
            "inherit",
            format!(
                "{} has the rights of {} without becoming it: a query that names no tenant reads its rows",
                membership.member, membership.role
            ),
            format!(
                "grant {role} to {login} with inherit false, set true (before PostgreSQL 16: alter role {login} noinherit)"
            ),
        );
    }
    if membership.admin {
        report.error(
            "memberships",
            format!("{} may let others act as {}", membership.member, membership.role),
            format!("revoke admin option for {role} from {login}"),
        );
    }
    let stopped = matches!(tenant.status, TenantStatus::Suspended | TenantStatus::Archived);
    if stopped && membership.sets && view.is_steady(tenant) {
        report.error(
            "suspension",
            format!(
                "{} is {}, but its role can still be used",
                tenant.key, tenant.status
            ),
            format!("revoke {role} from {login}"),
        );
    }
}

fn judge_missing(view: &ShardView<'_>, memberships: &[Membership], report: &mut Report) {
    for tenant in &view.steady {
        let may_serve = memberships.iter().any(|membership| {
            membership.role == tenant.role && membership.member == tenant.login && membership.sets
        });
        if tenant.status == TenantStatus::Active && !may_serve {
            report.error(
                "memberships",
                format!(
                    "{} is active, but {} may not act as its role: it is not served",
                    tenant.key, tenant.login
                ),
                format!("helixai tenant activate {}", tenant.key),
            );
        }
    }
}

fn judge_capacities(view: &ShardView<'_>, memberships: &[Membership], report: &mut Report) {
    for lane in &view.lanes {
        let count = memberships
            .iter()
            .filter(|membership| membership.member == lane.login)
            .count();
        if i64::try_from(count).unwrap_or(i64::MAX) > lane.capacity {
            report.warning(
                "capacity",
                format!(
                    "{} may act as {count} roles, {} is its capacity: becoming one gets slow",
                    lane.login, lane.capacity
                ),
                "revoke the memberships that are no tenants of this lane",
            );
        }
    }
}
