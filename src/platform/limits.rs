//! The limits of connections and logins, as the settings name them.

use std::num::NonZeroUsize;

use crate::config::Settings;
use crate::db::shard::lanes::LoginTimeouts;
use crate::db::tenant::LaneSettings;

pub(super) fn lane_settings(settings: &Settings) -> LaneSettings {
    let (tenancy, database) = (&settings.tenancy, &settings.database);
    LaneSettings {
        connections: tenancy.lane_pool,
        of_one_tenant: tenancy.connections_of_one_tenant(),
        statements: NonZeroUsize::new(tenancy.statements_per_connection).unwrap_or(NonZeroUsize::MIN),
        tenants: tenancy.tenants_per_connection,
        wait: database.wait_timeout,
        statement_timeout: database.statement_timeout,
    }
}

pub(super) fn login_timeouts(settings: &Settings) -> LoginTimeouts {
    LoginTimeouts {
        lock: settings.database.lock_timeout,
        idle_in_transaction: settings.database.idle_in_transaction_timeout,
    }
}
