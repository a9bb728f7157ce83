//! The shard's roles: those that must be there, and what none of them may have.

use super::report::Report;
use super::view::ShardView;
use crate::db::shard::ident;
use crate::db::shard::inspect::roles::Role;

/// Judges the roles by themselves; what they are members of is judged by [`super::memberships`].
pub(super) fn judge(view: &ShardView<'_>, roles: &[Role], report: &mut Report) {
    let owner = view.roles.owner();
    let mut logins: Vec<String> = view.lane_logins().map(str::to_owned).collect();
    if view.has_registry {
        logins.push(view.roles.master());
    }
    for needed in logins.iter().chain([&owner]) {
        if !roles.iter().any(|role| role.name == *needed) {
            report.error(
                "roles",
                format!("the role {needed} does not exist"),
                "run `helixai migrate`, then `helixai doctor` again",
            );
        }
    }
    for role in roles {
        let quoted = ident(&role.name);
        if !role.powers.is_empty() {
            let without: Vec<String> = role.powers.iter().map(|power| format!("no{power}")).collect();
            report.error(
                "attributes",
                format!("the role {} is {}", role.name, role.powers.join(", ")),
                format!("alter role {quoted} {}", without.join(" ")),
            );
        }
        let is_login = logins.contains(&role.name);
        if is_login && role.inherit {
            report.error(
                "attributes",
                format!(
                    "the login {} has the rights of its tenants without becoming one of them",
                    role.name
                ),
                format!("alter role {quoted} noinherit"),
            );
        }
        if is_login && !role.login {
            report.error(
                "attributes",
                format!("the login {} may not log in", role.name),
                format!("alter role {quoted} login"),
            );
        }
        let is_known = is_login || role.name == owner || view.tenant_of_role(&role.name).is_some();
        if is_known && !is_login && role.login {
            report.error(
                "attributes",
                format!("the role {} may log in", role.name),
                format!("alter role {quoted} nologin"),
            );
        }
        if !is_known && !view.is_guest(&role.name) {
            report.warning(
                "strays",
                format!("the role {} belongs to no tenant and no lane", role.name),
                format!("when nobody needs it: drop owned by {quoted}; drop role {quoted}"),
            );
        }
    }
}
