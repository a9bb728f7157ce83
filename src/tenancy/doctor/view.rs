//! A shard as the registry sees it, from two readings: what both agree on has not been changing meanwhile.

use std::collections::{HashMap, HashSet};

use crate::db::master::lanes::ShardRecord;
use crate::db::shard::inspect::registry::{Lane, Registry, Tenant};
use crate::db::shard::setup::ShardRoles;

/// What the registry says of one shard.
pub(super) struct ShardView<'a> {
    /// The names of its roles.
    pub(super) roles: &'a ShardRoles,
    /// Whether schema `master` is here as well.
    pub(super) has_registry: bool,
    /// Its lanes.
    pub(super) lanes: Vec<&'a Lane>,
    /// The tenants that were the same in both readings.
    pub(super) steady: Vec<&'a Tenant>,
    /// Every tenant of either reading, by role.
    by_role: HashMap<&'a str, &'a Tenant>,
    by_schema: HashMap<&'a str, &'a Tenant>,
    /// Roles and schemas of tenants on their way, on the side where they do not live.
    guests: HashSet<&'a str>,
}

impl<'a> ShardView<'a> {
    pub(super) fn new(shard: &'a ShardRecord, before: &'a Registry, after: &'a Registry) -> Self {
        let of_shard =
            |registry: &'a Registry| registry.tenants.iter().filter(|tenant| tenant.shard == shard.id);
        let earlier: HashMap<&str, &Tenant> = of_shard(before)
            .map(|tenant| (tenant.role.as_str(), tenant))
            .collect();
        let all = || of_shard(before).chain(of_shard(after));
        let moves = || before.moves.iter().chain(&after.moves);
        let is_moving = |tenant: &Tenant| moves().any(|one| one.key == tenant.key);
        Self {
            roles: &shard.roles,
            has_registry: shard.database_url_sealed.is_none(),
            lanes: after.lanes.iter().filter(|lane| lane.shard == shard.id).collect(),
            steady: of_shard(after)
                .filter(|tenant| earlier.get(tenant.role.as_str()) == Some(tenant) && !is_moving(tenant))
                .collect(),
            by_role: all().map(|tenant| (tenant.role.as_str(), tenant)).collect(),
            by_schema: all().map(|tenant| (tenant.schema.as_str(), tenant)).collect(),
            guests: moves()
                .filter(|one| one.beside == shard.id)
                .flat_map(|one| [one.role.as_str(), one.schema.as_str()])
                .collect(),
        }
    }

    pub(super) fn tenant_of_role(&self, role: &str) -> Option<&'a Tenant> {
        self.by_role.get(role).copied()
    }

    pub(super) fn tenant_of_schema(&self, schema: &str) -> Option<&'a Tenant> {
        self.by_schema.get(schema).copied()
    }

    /// Whether this role or schema is that of a tenant on its way, on the side where it does not live.
    pub(super) fn is_guest(&self, name: &str) -> bool {
        self.guests.contains(name)
    }

    pub(super) fn lane_logins(&self) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        self.lanes.iter().map(|lane| lane.login.as_str())
    }

    /// Whether nothing has changed about this tenant meanwhile.
    pub(super) fn is_steady(&self, tenant: &Tenant) -> bool {
        self.steady.iter().any(|steady| steady.id == tenant.id)
    }
}
