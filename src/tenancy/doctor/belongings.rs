//! What a tenant consists of in its shard, and what there is that belongs to none.

use std::collections::{HashMap, HashSet};

use super::report::Report;
use super::view::ShardView;
use crate::db::shard::inspect::registry::Tenant;
use crate::db::shard::inspect::roles::Role;
use crate::db::shard::inspect::schemas::Schema;
use crate::db::shard::{ident, literal};
use crate::domain::ids::TenantId;
use crate::domain::tenant::TenantStatus;

/// Judges roles, schemas and `helixai.tenant_roles` against the registry's tenants.
pub(super) fn judge(
    view: &ShardView<'_>,
    roles: &[Role],
    schemas: &[Schema],
    tenant_roles: &[(String, TenantId)],
    report: &mut Report,
) {
    let role_names: HashSet<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    let schema_names: HashSet<&str> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    let noted: HashMap<&str, TenantId> = tenant_roles
        .iter()
        .map(|(role, id)| (role.as_str(), *id))
        .collect();
    for tenant in view.steady.iter().filter(|tenant| is_made(tenant)) {
        for (thing, name, there) in [
            ("role", &tenant.role, role_names.contains(tenant.role.as_str())),
            (
                "schema",
                &tenant.schema,
                schema_names.contains(tenant.schema.as_str()),
            ),
        ] {
            if !there {
                report.error(
                    "missing",
                    format!(
                        "{} is {}, but its {thing} {name} does not exist",
                        tenant.key, tenant.status
                    ),
                    "restore the tenant from its backup",
                );
            }
        }
        if noted.get(tenant.role.as_str()) != Some(&tenant.id) {
            report.error(
                "tenant_roles",
                format!(
                    "the work of {} is not noticed, or taken for another's",
                    tenant.key
                ),
                format!(
                    "insert into helixai.tenant_roles (role_name, tenant_id) values ({}, '{}') \
                     on conflict (role_name) do update set tenant_id = excluded.tenant_id",
                    literal(&tenant.role),
                    tenant.id
                ),
            );
        }
    }
    let failed = |tenant: &&&Tenant| tenant.status == TenantStatus::Failed;
    for tenant in view.steady.iter().filter(failed) {
        let why = tenant.onboarding_error.as_deref().unwrap_or("unknown");
        report.error(
            "onboarding",
            format!("the onboarding of {} was given up: {why}", tenant.key),
            format!(
                "mend the cause, then POST /api/admin/tenants/{}/retry, or repeat the request with its Idempotency-Key",
                tenant.key
            ),
        );
    }
    for (role, _) in tenant_roles {
        if view.tenant_of_role(role).is_none() && !view.is_guest(role) {
            report.warning(
                "strays",
                format!("helixai.tenant_roles names {role}, which is no tenant's role"),
                format!(
                    "delete from helixai.tenant_roles where role_name = {}",
                    literal(role)
                ),
            );
        }
    }
    for schema in schemas.iter().filter(|schema| !view.is_guest(&schema.name)) {
        judge_schema(view, schema, report);
    }
    for lane in view.lanes.iter().filter(|lane| lane.counted != lane.tenants) {
        report.warning(
            "count",
            format!(
                "{} counts {} tenants and has {}",
                lane.login, lane.counted, lane.tenants
            ),
            format!(
                "update master.lanes set tenants_count = {} where login = {}",
                lane.tenants,
                literal(&lane.login)
            ),
        );
    }
}

/// Judges who may enter the registry.
pub(super) fn judge_master(master: &Schema, login: &str, report: &mut Report) {
    for (grantee, right) in &master.grants {
        if grantee != login || right != "USAGE" {
            revoke(master, grantee, right, report);
        }
    }
}

/// Whether the tenant's schema and role must exist.
fn is_made(tenant: &Tenant) -> bool {
    matches!(tenant.status, TenantStatus::Active | TenantStatus::Suspended)
}

fn judge_schema(view: &ShardView<'_>, schema: &Schema, report: &mut Report) {
    let quoted = ident(&schema.name);
    let Some(tenant) = view.tenant_of_schema(&schema.name) else {
        report.warning(
            "strays",
            format!("the schema {} belongs to no tenant", schema.name),
            format!("look at what it holds; when nobody needs it: drop schema {quoted} cascade"),
        );
        return;
    };
    let owner = view.roles.owner();
    if schema.owner != owner {
        report.error(
            "owner",
            format!(
                "the schema {} is owned by {}, not by {owner}",
                schema.name, schema.owner
            ),
            format!("alter schema {quoted} owner to {}", ident(&owner)),
        );
    }
    for (grantee, right) in &schema.grants {
        if *grantee != tenant.role || right != "USAGE" {
            revoke(schema, grantee, right, report);
        }
    }
}

fn revoke(schema: &Schema, grantee: &str, right: &str, report: &mut Report) {
    let from = if grantee == "PUBLIC" {
        grantee.to_owned()
    } else {
        ident(grantee)
    };
    report.error(
        "grants",
        format!("{grantee} has the right {right} on the schema {}", schema.name),
        format!("revoke {right} on schema {} from {from}", ident(&schema.name)),
    );
}
